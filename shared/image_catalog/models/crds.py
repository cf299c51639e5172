"""The CustomResourceDefinitions, generated from the models.

The models are the single source: field descriptions are their docstrings,
limits their constraints. `crd_manifests` gives the objects, `write_crds` the
files that a test compares with the committed ones.
"""

from __future__ import annotations

import inspect
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from image_catalog.models.catalogimage import CatalogImage
from image_catalog.models.catalogregistry import CatalogRegistry
from image_catalog.models.docstrings import field_docs, plain_text
from image_catalog.models.due import DUE_FIELDS
from image_catalog.models.names import GROUP, VERSION
from image_catalog.pages.files import write_changed

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["crd_manifests", "write_crds"]

_KEPT = frozenset(
    {
        "type", "format", "pattern", "enum", "default", "minLength", "maxLength", "minimum", "maximum", "maxItems",
        "minItems", "required", "description", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
        "x-kubernetes-validations",
    }
)  # fmt: skip
"""What a structural schema takes over from pydantic's JSON Schema; titles and the like say nothing."""

_IMAGE_RULES = [
    {
        "rule": "!has(self.digest) || !self.registryUrl.contains('@') || self.registryUrl.endsWith('@' + self.digest)",
        "message": "digest must equal the digest in registryUrl",
        "fieldPath": ".digest",
    }
]
_METADATA_RULES = [
    {
        "rule": "!has(self.bootc) || !has(self.bootcCapable) || self.bootc == self.bootcCapable",
        "message": "bootc and bootcCapable mean the same: give one, or the same value",
        "fieldPath": ".bootc",
    }
]
_REGISTRY_RULES = [
    {
        "rule": (
            "!has(self.auth) || !has(self.auth.type) || (self.auth.type == 'secretRef') == has(self.auth.secretRef)"
        ),
        "message": "auth.secretRef goes with auth.type secretRef, and only with it",
        "fieldPath": ".auth",
    },
    {
        "rule": (
            "!has(self.tls) || !has(self.tls.plainHTTP) || !self.tls.plainHTTP"
            " || !has(self.endpoint) || self.endpoint.startsWith('http://')"
        ),
        "message": "tls.plainHTTP contradicts an https endpoint",
        "fieldPath": ".tls",
    },
    {
        "rule": "!has(self.notifications) || !self.host.startsWith('*.')",
        "message": "notifications need an exact host: what is pushed is named by its repository, and no host with it",
        "fieldPath": ".notifications",
    },
    {
        "rule": "!has(self.notifications) || self.notifications.type != 'dockerhub' || self.host == 'docker.io'",
        "message": "notifications.type dockerhub goes with host docker.io: Docker Hub tells of nothing else",
        "fieldPath": ".notifications",
    },
]


def crd_manifests() -> dict[str, dict[str, Any]]:
    """Return every CRD that the catalog owns, by file name."""
    return {
        "catalogimages.yaml": _crd(
            CatalogImage,
            plural="catalogimages",
            short_names=["catimg"],
            scope="Namespaced",
            rules={"spec": _IMAGE_RULES, "spec.metadata": _METADATA_RULES},
            selectable=[".spec.registryUrl", ".spec.digest", ".status.phase", *(f".{path}" for path in DUE_FIELDS)],
            columns=[
                _column("Registry", ".spec.registryUrl", "Reference of the image"),
                _column("Architecture", ".status.effectiveMetadata.architecture", "Processor architectures"),
                _column("Distro", ".status.effectiveMetadata.distro", "Distribution"),
                _column("Target", ".status.effectiveMetadata.targets[0]", "First hardware target"),
                _column("Phase", ".status.phase", "Where the entry stands in its life"),
                _column("Age", ".metadata.creationTimestamp", "Time since the entry was made", "date"),
                _column("Digest", ".status.registryMetadata.resolvedDigest", "Content in the registry", priority=1),
                _column("Last verified", ".status.lastVerificationTime", "When it was checked", "date", priority=1),
                # A string, not a date: kubectl prints a date as the time since, and this one lies ahead.
                _column("Next verification", ".status.nextVerificationTime", "When it is due", priority=1),
                _column("Next reason", ".status.nextVerificationReason", "Why it is due then", priority=1),
                _column("Namespace", ".metadata.namespace", "Namespace of the entry", priority=1),
                # A string, too: what looks for deletions needs to know that there is one, and people when it was.
                _column("Deleted", ".metadata.deletionTimestamp", "When it was deleted, while it waits", priority=1),
                _column(
                    "Recalled",
                    '.status.conditions[?(@.type=="Recalled")].status',
                    "Whether its content must not be used any more",
                    priority=1,
                ),
            ],
        ),
        "catalogregistries.yaml": _crd(
            CatalogRegistry,
            plural="catalogregistries",
            short_names=["catreg"],
            scope="Cluster",
            rules={"spec": _REGISTRY_RULES},
            selectable=[],
            columns=[
                _column("Host", ".spec.host", "Host as references name it"),
                _column("Phase", ".status.phase", "Whether the registry answers"),
                _column("Circuit", ".status.circuit", "Whether requests are let through"),
                _column("Available 24h", ".status.availability24h", "Share of the probes that got an answer", "number"),
                _column("Last probe", ".status.lastProbeTime", "When it was probed, as far as it is written", "date"),
                _column("Age", ".metadata.creationTimestamp", "Time since the object was made", "date"),
                _column(
                    "Reason", '.status.conditions[?(@.type=="Reachable")].reason', "Why it is in its phase", priority=1
                ),
                _column(
                    "Accepted", '.status.conditions[?(@.type=="Accepted")].reason', "Whether it applies", priority=1
                ),
                _column("Type", ".spec.type", "Kind of registry", priority=1),
                _column("Endpoint", ".spec.endpoint", "Where the registry is really asked", priority=1),
                _column(
                    "Budget", ".status.budget.ratio", "What its limit allows of what is asked for", "number", priority=1
                ),
            ],
        ),
    }


def write_crds(folder: Path) -> list[Path]:
    """Write the CRDs into a folder.

    Parameters
    ----------
    folder
        Where the files go; made when it is absent.

    Returns
    -------
    list of pathlib.Path
        The files whose content changed.
    """
    import yaml  # noqa: PLC0415 - functions import this package and write no files

    note = "# Generated from the models by `make crds`; do not edit.\n"
    return write_changed(
        {
            folder / name: note + yaml.safe_dump(manifest, sort_keys=False, width=120, allow_unicode=True)
            for name, manifest in crd_manifests().items()
        }
    )


def _column(
    name: str, json_path: str, description: str, column_type: str = "string", *, priority: int = 0
) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": column_type, "jsonPath": json_path, "description": description}
    return column | {"priority": priority} if priority else column


def _crd(
    model: type[BaseModel],
    *,
    plural: str,
    short_names: list[str],
    scope: str,
    rules: dict[str, list[dict[str, Any]]],
    selectable: list[str],
    columns: list[dict[str, Any]],
) -> dict[str, Any]:
    kind = model.__name__
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
    }
    if selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in selectable]
    version["schema"] = {"openAPIV3Schema": _object_schema(model, rules)}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "image-catalog"}},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {
                "plural": plural,
                "singular": kind.lower(),
                "kind": kind,
                "listKind": f"{kind}List",
                "shortNames": short_names,
                "categories": ["automotive"],
            },
            "versions": [version],
        },
    }


def _object_schema(model: type[BaseModel], rules: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "description": plain_text(model.__doc__),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of the schema of this object."},
            "kind": {"type": "string", "description": "Kind of this object."},
            "metadata": {"type": "object"},
            "spec": _field_schema(model, "spec"),
            "status": _field_schema(model, "status"),
        },
    }
    for path, path_rules in rules.items():
        node = schema
        for part in path.split("."):
            node = node["properties"][part]
        node["x-kubernetes-validations"] = path_rules
    return schema


def _field_schema(model: type[BaseModel], name: str) -> dict[str, Any]:
    annotation = model.model_fields[name].annotation
    if not (inspect.isclass(annotation) and issubclass(annotation, BaseModel)):
        raise TypeError(f"{model.__name__}.{name} is no model")
    document = annotation.model_json_schema(by_alias=True, mode="validation")
    return _structural(document, document.get("$defs", {}), annotation)


def _structural(node: dict[str, Any], definitions: dict[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """Turn pydantic's JSON Schema into a structural one: references in place, null as absence."""
    if "$ref" in node:
        target = node["$ref"].rsplit("/", 1)[-1]
        siblings = {key: value for key, value in node.items() if key != "$ref"}
        return _structural(definitions[target] | siblings, definitions, _models().get(target))
    if "anyOf" in node:
        (branch,) = [b for b in node["anyOf"] if b.get("type") != "null"]
        # An optional field is absent or has a value: the API server drops null for it.
        siblings = {key: value for key, value in node.items() if key not in {"anyOf", "default"}}
        return _structural(branch | siblings, definitions, model)
    # Copies: a model that stands in two places would else be written as one list and a pointer to it.
    schema = {key: copy(value) for key, value in node.items() if key in _KEPT}
    if "x-kubernetes-validations" in schema:
        # The rules say the same in words, and the API server would answer with both.
        schema.pop("pattern", None)
    if schema.get("default") in (None, [], "") or isinstance(schema.get("default"), dict):
        schema.pop("default", None)
    if "const" in node:
        schema["enum"] = [node["const"]]
    if "description" in schema:
        schema["description"] = plain_text(schema["description"])
    if "properties" in node:
        described = field_docs(model) if model else {}
        schema["properties"] = {
            name: _structural(
                {"description": described[name]} | child if name in described else child, definitions, None
            )
            for name, child in node["properties"].items()
        }
    if "items" in node:
        schema["items"] = _structural(node["items"], definitions, None)
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _structural(node["additionalProperties"], definitions, None)
    return schema


@cache
def _models() -> dict[str, type[BaseModel]]:
    """Return every model of the package by name, as JSON Schema names its definitions."""
    found: dict[str, type[BaseModel]] = {}
    waiting: list[type[BaseModel]] = [BaseModel]
    while waiting:
        model = waiting.pop()
        found[model.__name__] = model
        waiting.extend(model.__subclasses__())
    return found
