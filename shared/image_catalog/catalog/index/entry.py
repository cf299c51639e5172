"""One entry as the index keeps it: the bytes that it is answered with, and little else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import orjson

from image_catalog.models.names import API_VERSION

__all__ = ["Entry"]


class Entry:
    """One image of the catalog, prepared once and answered many times.

    An entry never changes: a new version of the object, or another access, is
    another entry. Whoever holds one across an ``await`` holds what was true.

    Attributes
    ----------
    namespace, name, uid, resource_version
        What the API server knows it by.
    accesses
        How often its details were asked for: what its status says, and what
        has not been written there yet.
    json
        The object as it is answered, without ``metadata.managedFields`` and
        with the exact ``status.accessCount``.
    """

    __slots__ = ("accesses", "json", "name", "namespace", "resource_version", "uid")

    def __init__(
        self, head: bytes, *, namespace: str, name: str, uid: str, resource_version: str, accesses: int
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.resource_version = resource_version
        self.accesses = accesses
        self.json = _whole(head, accesses)

    @classmethod
    def of(
        cls, obj: Mapping[str, Any], *, namespace: str, name: str, uid: str, resource_version: str, accesses: int
    ) -> Entry:
        """Prepare an object for being answered.

        Parameters
        ----------
        obj
            The object as JSON gave it; it is not changed and not kept.
        namespace, name, uid, resource_version
            What it is known by.
        accesses
            The figure to answer.
        """
        metadata, status = obj.get("metadata"), obj.get("status")
        answer = {"apiVersion": API_VERSION, "kind": "CatalogImage"} | {**obj}
        if isinstance(metadata, Mapping):
            answer["metadata"] = {key: value for key, value in metadata.items() if key != "managedFields"}
        answer.pop("status", None)
        known = status if isinstance(status, Mapping) else {}
        answer["status"] = {key: value for key, value in known.items() if key != "accessCount"} | {"accessCount": 0}
        head = orjson.dumps(answer)[: -len(b"0}}")]
        return cls(head, namespace=namespace, name=name, uid=uid, resource_version=resource_version, accesses=accesses)

    def with_accesses(self, accesses: int) -> Entry:
        """Return the same entry with another figure of accesses."""
        # The figure is the last thing in the text: counting an access copies the rest and encodes nothing.
        return Entry(
            self.json[: -len(_whole(b"", self.accesses))],
            namespace=self.namespace,
            name=self.name,
            uid=self.uid,
            resource_version=self.resource_version,
            accesses=accesses,
        )

    @property
    def object(self) -> dict[str, Any]:
        """The object as it is answered, read anew each time."""
        return cast("dict[str, Any]", orjson.loads(self.json))

    def __repr__(self) -> str:
        return f"Entry({self.namespace}/{self.name} at {self.resource_version})"


def _whole(head: bytes, accesses: int) -> bytes:
    return b"%b%d}}" % (head, accesses)
