"""What the API serves: one `Resource` per group, version and plural, and the registry of them.

A registry starts with the built-in kinds (:mod:`image_catalog.local.kubernetes.objects.builtin`)
and grows by the served versions of every CustomResourceDefinition that is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ALL_VERBS", "NAME_COLUMN", "Column", "Resource", "ResourceRegistry", "resources_of_crd", "version_priority"]

ALL_VERBS: tuple[str, ...] = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
"""Every verb of a stored kind, in the order in which discovery lists them."""

_VERSION = re.compile(r"^v(\d+)(?:(alpha|beta)(\d+))?$")
_STABILITY = {None: 2, "beta": 1, "alpha": 0}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a Table answer.

    Attributes
    ----------
    name
        The header, in the words of the CRD (kubectl prints it in capitals).
    type
        OpenAPI type: ``string``, ``integer``, ``number``, ``boolean`` or ``date``.
    json_path
        Simple JSON path such as ``.status.phase``; empty where the cell of a
        built-in kind is computed by :mod:`image_catalog.local.kubernetes.wire.tables`.
    priority
        0 is shown always, a higher one only by ``-o wide``.
    format
        OpenAPI format; ``name`` marks the column that identifies the row.
    description
        What ``columnDefinitions`` tells about the column.
    """

    name: str
    type: str = "string"
    json_path: str = ""
    priority: int = 0
    format: str = ""
    description: str = ""


NAME_COLUMN = Column(
    "Name",
    json_path=".metadata.name",
    format="name",
    description="Name must be unique within a namespace. Is required when creating resources.",
)
"""The first column of nearly every kind."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind under one group and version, with all that serving it takes.

    Attributes
    ----------
    group
        Empty for the core group.
    verbs
        What may be asked of it; review kinds know ``create`` alone.
    has_status
        Whether ``/status`` is a subresource of its own.
    columns
        The Table's columns, the name column included.
    selectable_fields
        Field paths without the leading dot (``spec.url``), beside
        ``metadata.name`` and ``metadata.namespace`` which every kind knows.
    schema
        The version's ``openAPIV3Schema``; None for built-in kinds.
    subresources
        Further subresources as ``(name, group, version, kind, verbs)``.
    custom
        Whether a CustomResourceDefinition made it.
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    list_kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    has_status: bool = False
    columns: tuple[Column, ...] = ()
    selectable_fields: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    subresources: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = ()
    custom: bool = False

    @property
    def api_version(self) -> str:
        """Return what objects carry: ``v1`` or ``group/version``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """Return how messages name the kind: ``secrets`` or ``leases.coordination.k8s.io``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def stored(self) -> bool:
        """Return whether objects of the kind are kept (reviews are answered and forgotten)."""
        return "get" in self.verbs

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Build the request path of the collection, an object or a subresource.

        Parameters
        ----------
        namespace
            None for cluster-scoped kinds and for lists over all namespaces.
        name
            None for the collection.
        subresource
            ``status`` for example; needs a name.
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if namespace is not None:
            parts.append(f"namespaces/{namespace}")
        parts += [part for part in (self.plural, name, subresource) if part is not None]
        return "/".join(parts)


class ResourceRegistry:
    """Every resource that the API serves at the moment.

    Parameters
    ----------
    resources
        What is served from the start, usually the built-in kinds.
    """

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources = {_key(resource): resource for resource in resources}
        self._of_crd: dict[str, tuple[Resource, ...]] = {}
        self.generation = 0
        """Grows with every change, so that derived documents can be cached."""

    def all(self) -> tuple[Resource, ...]:
        """Return every resource: built-in kinds first, then those of CRDs."""
        return tuple(self._resources.values())

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Look a resource up by its place in the request path."""
        return self._resources.get((group, version, plural))

    def find_kind(self, api_version: str, kind: str) -> Resource | None:
        """Look a stored resource up by what an object or owner reference carries."""
        for resource in self._resources.values():
            if resource.kind == kind and resource.api_version == api_version and resource.stored:
                return resource
        return None

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Return each group's versions, the preferred one first; the core group is ``""``."""
        found: dict[str, set[str]] = {}
        for resource in self._resources.values():
            found.setdefault(resource.group, set()).add(resource.version)
        return {group: tuple(sorted(versions, key=version_priority, reverse=True)) for group, versions in found.items()}

    def in_version(self, group: str, version: str) -> tuple[Resource, ...]:
        """Return the resources of one group version."""
        return tuple(r for r in self._resources.values() if r.group == group and r.version == version)

    def install(self, crd: Mapping[str, Any]) -> tuple[Resource, ...]:
        """Serve what a CustomResourceDefinition declares, in place of what it declared before.

        Parameters
        ----------
        crd
            The manifest (``apiextensions.k8s.io/v1``), already validated.
        """
        self.uninstall(crd["metadata"]["name"])
        resources = resources_of_crd(crd)
        self._of_crd[crd["metadata"]["name"]] = resources
        self._resources.update((_key(resource), resource) for resource in resources)
        return resources

    def uninstall(self, crd_name: str) -> tuple[Resource, ...]:
        """Stop serving what the CRD of that name declared, and tell what that was."""
        resources = self._of_crd.pop(crd_name, ())
        for resource in resources:
            self._resources.pop(_key(resource), None)
        self.generation += 1
        return resources


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Order versions as the API server does: GA before beta before alpha, newer first.

    See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority
    """
    match = _VERSION.match(version)
    if match is None:
        return (-1, 0, 0, version)
    return (_STABILITY[match[2]], int(match[1]), int(match[3] or 0), version)


def resources_of_crd(crd: Mapping[str, Any]) -> tuple[Resource, ...]:
    """Read the served versions of a CustomResourceDefinition manifest."""
    spec, names = crd["spec"], crd["spec"]["names"]
    return tuple(
        Resource(
            group=spec["group"],
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            singular=names.get("singular") or names["kind"].lower(),
            list_kind=names.get("listKind") or names["kind"] + "List",
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            has_status="status" in (version.get("subresources") or {}),
            columns=_columns(version.get("additionalPrinterColumns")),
            selectable_fields=tuple(f["jsonPath"].removeprefix(".") for f in version.get("selectableFields") or ()),
            schema=(version.get("schema") or {}).get("openAPIV3Schema"),
            custom=True,
        )
        for version in spec["versions"]
        if version.get("served")
    )


_AGE = Column("Age", "date", ".metadata.creationTimestamp", description="When the object was created.")


def _columns(declared: Iterable[Mapping[str, Any]] | None) -> tuple[Column, ...]:
    if not declared:
        return (NAME_COLUMN, _AGE)
    return (
        NAME_COLUMN,
        *(
            Column(
                name=column["name"],
                type=column["type"],
                json_path=column["jsonPath"],
                priority=column.get("priority", 0),
                format=column.get("format", ""),
                description=column.get("description")
                or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}",
            )
            for column in declared
        ),
    )


def _key(resource: Resource) -> tuple[str, str, str]:
    return (resource.group, resource.version, resource.plural)
