"""CustomResourceDefinitions: what the server fills in, what it refuses, and how they come to be served."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from image_catalog.local.kubernetes.left_out import left_out
from image_catalog.local.kubernetes.objects.meta import timestamp
from image_catalog.local.kubernetes.resources import ResourceRegistry
from image_catalog.local.kubernetes.schemas.structural import compile_schema
from image_catalog.local.kubernetes.status import Cause, bad_request, invalid_value, required
from image_catalog.local.kubernetes.storage.store import Body, Change

__all__ = ["CRDS", "CRD_CLEANUP", "RegistryFollower", "established", "prepare_crd", "terminating", "validate_crd"]

CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")
"""The bucket of CustomResourceDefinitions."""

CRD_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""Finalizer that keeps a deleted CRD until its objects are gone."""


def prepare_crd(body: Body) -> Body:
    """Default the names, and what a new definition tells of its state."""
    spec = body.get("spec")
    if not isinstance(spec, Mapping) or not isinstance(spec.get("names"), Mapping):
        raise bad_request("CustomResourceDefinition without spec.names")
    names = {
        "singular": str(spec["names"].get("kind", "")).lower(),
        "listKind": f"{spec['names'].get('kind', '')}List",
        **spec["names"],
    }
    spec = {"conversion": None, **spec, "names": names}
    if spec["conversion"] is None:
        spec["conversion"] = {"strategy": "None"}
    if spec["conversion"].get("strategy") == "Webhook":
        raise left_out("conversion webhooks")
    # A version without a name is refused later, with all that is wrong.
    storage = [version.get("name", "") for version in spec.get("versions") or () if version.get("storage")]
    status = body.get("status") or {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}}
    versions = list(dict.fromkeys([*(status.get("storedVersions") or ()), *storage]))
    return {**body, "spec": spec, "status": {**status, "storedVersions": versions}}


def established(body: Body, now: datetime) -> Body:
    """Tell that the names are accepted and the kind is served, as the API server's controllers do."""
    conditions = [
        _condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
        _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now),
    ]
    return {**body, "status": {**body["status"], "conditions": conditions, "acceptedNames": body["spec"]["names"]}}


def terminating(body: Body, now: datetime) -> Body:
    """Tell that the objects are about to be removed."""
    told = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    conditions = list(body["status"].get("conditions") or ())
    conditions.append(_condition("Terminating", "InstanceDeletionPending", told, now))
    return {**body, "status": {**body["status"], "conditions": conditions}}


def _condition(kind: str, reason: str, message: str, now: datetime) -> Body:
    return {"type": kind, "status": "True", "lastTransitionTime": timestamp(now), "reason": reason, "message": message}


def validate_crd(body: Body, _old: Body | None) -> list[Cause]:
    """Check names, versions and schemas, each schema by compiling it."""
    spec, names = body["spec"], body["spec"]["names"]
    causes = [] if spec.get("group") else [required("spec.group")]
    causes += [required(f"spec.names.{field}") for field in ("plural", "kind") if not names.get(field)]
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if body["metadata"].get("name") != wanted:
        told = f'must be spec.names.plural+"."+spec.group: {wanted}'
        causes.append(invalid_value("metadata.name", f'"{body["metadata"].get("name")}"', told))
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        causes.append(required("spec.scope"))
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        told = "must have exactly one version marked as storage version"
        causes.append(invalid_value("spec.versions", f"{len(versions)} versions", told))
    for i, version in enumerate(versions):
        causes += _version_causes(version, f"spec.versions[{i}]")
        causes += _schema_causes(version, f"spec.versions[{i}].schema.openAPIV3Schema")
    return causes


def _schema_causes(version: Mapping[str, Any], field: str) -> list[Cause]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        return [required(field, "schemas are required")]
    try:
        compile_schema(schema)
    except (AttributeError, KeyError, TypeError, ValueError) as e:
        return [invalid_value(field, "schema", str(e))]
    return []


def _version_causes(version: Mapping[str, Any], field: str) -> list[Cause]:
    """Check what the table's columns and the selectors are made from."""
    needed = {"additionalPrinterColumns": ("name", "type", "jsonPath"), "selectableFields": ("jsonPath",)}
    causes = [] if version.get("name") else [required(f"{field}.name")]
    for parts, names in needed.items():
        for i, part in enumerate(version.get(parts) or ()):
            causes += [required(f"{field}.{parts}[{i}].{name}") for name in names if not part.get(name)]
    return causes


class RegistryFollower:
    """Keeps what is served equal to the CRDs that are stored; listens to the store.

    Parameters
    ----------
    registry
        What is served.
    """

    def __init__(self, *, registry: ResourceRegistry) -> None:
        self._registry = registry

    def __call__(self, kind: tuple[str, str], change: Change) -> None:
        """Install or uninstall what changed."""
        if kind != CRDS:
            return
        body, previous = change.stored.body, change.previous
        if change.kind == "DELETED":
            self._registry.uninstall(change.key[1])
        elif previous is None or previous.body["spec"] != body["spec"]:
            self._registry.install(body)
