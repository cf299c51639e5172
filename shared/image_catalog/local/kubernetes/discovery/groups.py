"""Discovery: what a client asks first, and finds groups, versions and resources in.

Plain documents (APIVersions, APIGroupList, APIGroup, APIResourceList) and the
aggregated one (APIGroupDiscoveryList, asked for by ``Accept``), which spares
kubectl a request per group version.
See https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api.
"""

from __future__ import annotations

import hashlib
import platform
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from image_catalog.local.kubernetes.resources import Resource, ResourceRegistry

__all__ = ["AGGREGATED_MEDIA_TYPE", "DiscoveryAnswer", "answer_discovery", "version_info"]

AGGREGATED_MEDIA_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""What aggregated discovery is asked for with, and answered as."""

_MINOR = "32"
_STATUS_VERBS = ("get", "patch", "update")
# The API server lists the verbs of custom resources in this order, those of built-in kinds by name.
_CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


@dataclass(frozen=True, slots=True)
class DiscoveryAnswer:
    """One discovery document.

    Attributes
    ----------
    body
        The document.
    media_type
        Its content type.
    """

    body: dict[str, Any]
    media_type: str = "application/json"


def answer_discovery(registry: ResourceRegistry, path: str, *, accept: str = "") -> DiscoveryAnswer | None:
    """Answer ``/api``, ``/api/V``, ``/apis``, ``/apis/G`` and ``/apis/G/V``.

    Parameters
    ----------
    registry
        What is served at the moment.
    path
        The request's path, without the query.
    accept
        The ``Accept`` header; ``/api`` and ``/apis`` answer aggregated when it names that first.

    Returns
    -------
    DiscoveryAnswer | None
        None when the path is no discovery path or names what is not served.
    """
    parts = path.strip("/").split("/")
    if _aggregated(accept) and parts in (["api"], ["apis"]):
        return _aggregate(registry, core=parts == ["api"])
    body = _plain(registry, parts)
    return DiscoveryAnswer(body) if body is not None else None


def version_info() -> dict[str, str]:
    """Build the answer to ``/version``.

    The minor version is told as 32: the dispatching ``kubectl`` of the Google Cloud
    SDK runs the client of the version that it reads here.
    """
    return {
        "major": "1",
        "minor": _MINOR,
        "gitVersion": f"v1.{_MINOR}.0-image-catalog",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }


def _aggregated(accept: str) -> bool:
    """Tell whether the first media range asks for the aggregated document in a version that is served."""
    first, *parameters = (part.strip() for part in accept.partition(",")[0].split(";"))
    return first == "application/json" and {"g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"} <= set(
        parameters
    )


def _plain(registry: ResourceRegistry, parts: list[str]) -> dict[str, Any] | None:
    groups = registry.groups()
    body: dict[str, Any] | None = None
    match parts:
        case ["api"]:
            body = _api_versions(groups.get("", ()))
        case ["apis"]:
            named = [_group(group, versions) for group, versions in groups.items() if group]
            body = {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}
        case ["apis", group] if group in groups:
            body = {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, groups[group])
        case ["api", version] if version in groups.get("", ()):
            body = {"kind": "APIResourceList"} | _resources(registry, "", version)
        case ["apis", group, version] if version in groups.get(group, ()):
            body = {"kind": "APIResourceList", "apiVersion": "v1"} | _resources(registry, group, version)
    return body


def _api_versions(versions: Iterable[str]) -> dict[str, Any]:
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
    return {"kind": "APIVersions", "versions": list(versions), "serverAddressByClientCIDRs": addresses}


def _group(group: str, versions: tuple[str, ...]) -> dict[str, Any]:
    named = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": named, "preferredVersion": named[0]}


def _resources(registry: ResourceRegistry, group: str, version: str) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for resource in _in_order(registry, group, version):
        entries.append(_resource(resource))
        entries += (
            {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced} | facts
            for name, facts in _subresources(resource)
        )
    return {"groupVersion": f"{group}/{version}" if group else version, "resources": entries}


def _resource(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.stored:
        entry["storageVersionHash"] = _storage_version_hash(resource)
    return entry


def _subresources(resource: Resource) -> Iterable[tuple[str, dict[str, Any]]]:
    if resource.has_status:
        yield "status", {"kind": resource.kind, "verbs": list(_STATUS_VERBS)}
    for name, group, version, kind, verbs in resource.subresources:
        yield name, {"group": group, "version": version, "kind": kind, "verbs": list(verbs)}


def _verbs(resource: Resource) -> list[str]:
    return [verb for verb in _CUSTOM_VERBS if verb in resource.verbs] if resource.custom else list(resource.verbs)


def _in_order(registry: ResourceRegistry, group: str, version: str) -> list[Resource]:
    return sorted(registry.in_version(group, version), key=lambda resource: resource.plural)


def _storage_version_hash(resource: Resource) -> str:
    stored = f"{resource.group}/{resource.version}/{resource.kind}"
    return b64encode(hashlib.sha256(stored.encode()).digest()[:8]).decode()


def _aggregate(registry: ResourceRegistry, *, core: bool) -> DiscoveryAnswer:
    items = [
        {
            "metadata": {"name": group} if group else {},
            "versions": [
                {
                    "version": version,
                    "resources": [_aggregated_resource(r) for r in _in_order(registry, group, version)],
                    "freshness": "Current",
                }
                for version in versions
            ],
        }
        for group, versions in registry.groups().items()
        if core is (group == "")
    ]
    body = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
    return DiscoveryAnswer(body, AGGREGATED_MEDIA_TYPE)


def _aggregated_resource(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    subresources = [
        {
            "subresource": name,
            "responseKind": _kind(
                facts.get("group", resource.group), facts.get("version", resource.version), facts["kind"]
            ),
            "verbs": facts["verbs"],
        }
        for name, facts in _subresources(resource)
    ]
    if subresources:
        entry["subresources"] = subresources
    return entry


def _kind(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}
