"""One write: what it is about, and how a client's body is compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from image_catalog.local.kubernetes.objects.meta import pruned_metadata
from image_catalog.local.kubernetes.objects.shapes import Shape, misfit
from image_catalog.local.kubernetes.resources import Resource
from image_catalog.local.kubernetes.status import StatusError, bad_request, conflict, invalid, invalid_value
from image_catalog.local.kubernetes.storage.store import Body, Key, Stored

__all__ = [
    "ENVELOPE",
    "Write",
    "bucket_of",
    "check_place",
    "check_preconditions",
    "check_shape",
    "opened",
    "tell_unknown",
    "wrong_name",
]

ENVELOPE = ("apiVersion", "kind", "metadata")
"""The fields that every object has."""


@dataclass(slots=True, kw_only=True)
class Write:
    """What a write is about and how it is to be done.

    Attributes
    ----------
    resource
        The kind, in the version that the request named.
    namespace
        None for cluster-scoped kinds.
    name
        None for a creation in the collection.
    subresource
        ``status`` or None.
    dry_run
        Do everything but store.
    field_validation
        ``Strict``, ``Warn`` or ``Ignore``.
    manager
        The tool that writes; empty for what the server does itself.
    warnings
        Collects what the ``Warning`` headers tell.
    """

    resource: Resource
    namespace: str | None
    name: str | None = None
    subresource: str | None = None
    dry_run: bool = False
    field_validation: str = "Warn"
    manager: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """Return where the object lies in its bucket."""
        return (self.namespace or "", self.name or "")


def bucket_of(resource: Resource) -> tuple[str, str]:
    """Return where objects of a kind are stored; events of both groups are the same objects."""
    return ("", "events") if resource.plural == "events" and not resource.custom else (resource.group, resource.plural)


def opened(write: Write, body: Any) -> Body:
    """Compare a body's ``apiVersion`` and ``kind`` with the request, and copy it.

    Raises
    ------
    StatusError
        400 or 422 when they differ.
    """
    resource = write.resource
    if not isinstance(body, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): not an object")
    version, kind = body.get("apiVersion"), body.get("kind")
    if not resource.custom:
        version, kind = version or resource.api_version, kind or resource.kind
    missing = "Kind" if not kind else "apiVersion" if not version else None
    if missing is not None:
        raise bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): Object '{missing}' is missing"
        )
    if version != resource.api_version:
        error = bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})"
        )
        write.warnings += [f'unknown field "{name}"' for name in sorted(body) if name not in ENVELOPE]
        raise error
    if kind != resource.kind:
        cause = invalid_value("kind", f'"{kind}"', f"must be {resource.kind}")
        name = pruned_metadata(body.get("metadata"), []).get("name", "")
        raise invalid(resource, name, [cause], kind=str(kind))
    return {**body, "apiVersion": version, "kind": kind}


def check_place(write: Write, sent: Body) -> None:
    """Compare the namespace and the name of a body with the path.

    Raises
    ------
    StatusError
        400 when they differ.
    """
    if write.namespace is not None and sent.get("namespace", write.namespace) != write.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if write.name is not None and sent.get("name", write.name) != write.name:
        raise wrong_name(write, str(sent.get("name")))


def wrong_name(write: Write, sent: str) -> StatusError:
    """400 for a body whose name is not that of the path."""
    return bad_request(f"the name of the object ({sent}) does not match the name on the URL ({write.name})")


def tell_unknown(write: Write, unknown: list[str]) -> None:
    """Warn of unknown fields, or refuse them, as ``fieldValidation`` says.

    Raises
    ------
    StatusError
        400 under ``Strict``.
    """
    if not unknown or write.field_validation == "Ignore":
        return
    told = [f'unknown field "{path}"' for path in unknown]
    if write.field_validation == "Strict":
        kind, version = write.resource.kind, write.resource.version
        raise bad_request(
            f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: {", ".join(told)}'
        )
    write.warnings += told


def check_preconditions(write: Write, stored: Stored, wanted: Mapping[str, Any]) -> None:
    """Compare the preconditions of a deletion with the stored object.

    Raises
    ------
    StatusError
        409 when one does not hold.
    """
    metadata = stored.body["metadata"]
    for name, told, hint in (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ):
        if wanted.get(name) and wanted[name] != metadata[name]:
            why = (
                f"the {told} in the precondition ({wanted[name]}) does not match the {told} in record "
                f"({metadata[name]}). The object might have been {hint}"
            )
            raise conflict(write.resource, write.name or "", why, kind=write.resource.kind)


def check_shape(kind: str, version: str, body: Body, shape: Mapping[str, Shape]) -> None:
    """Refuse a body of a built-in kind that has a value of another type than it should.

    Raises
    ------
    StatusError
        400, naming the field.
    """
    path = misfit(body, shape)
    if path is not None:
        raise bad_request(
            f'{kind} in version "{version}" cannot be handled as a {kind}: json: cannot unmarshal the value of '
            f"{kind}.{path}, which has another type"
        )
