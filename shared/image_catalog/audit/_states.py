"""Entries after each change: packed, and told by a digest that the chain holds."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from image_catalog.audit._times import from_micros
from image_catalog.audit.chain import canonical, digest_of
from image_catalog.audit.records import State, StateChange

__all__ = ["NewState", "pack", "read_state", "state_digest", "unpack"]

_PLAIN: Final = 0
_ZLIB: Final = 1

_WORTH_PACKING: Final = 512
"""Bytes. Below, the row and its index weigh more than what is saved."""

_LEVEL: Final = 3
"""Two thirds of what level 9 saves, at a sixth of its time: a state is written once, and most are never read."""


@dataclass(frozen=True, slots=True)
class NewState:
    """A state that is to be kept, with what tells whether it is newer than another."""

    uid: str
    resource_version: str
    created: str
    removed: bool
    object: bytes

    @classmethod
    def of(cls, change: StateChange) -> NewState:
        """Read a state; raises TypeError where the object is no JSON."""
        metadata = change.object.get("metadata") or {}
        return cls(
            uid=str(metadata.get("uid") or ""),
            resource_version=str(metadata.get("resourceVersion") or ""),
            created=str(metadata.get("creationTimestamp") or ""),
            removed=change.removed,
            object=canonical(change.object),
        )

    def supersedes(self, last: Mapping[Any, Any] | None) -> bool:
        """Return whether the state came after another one, as far as the two can tell.

        Sources deliver changes late and out of order, but only one state can
        be an entry's last. Resource versions of one object are numbers that
        grow; those of two objects of one name are not asked, because a cluster
        that was made anew begins again.
        """
        if last is None:
            return True
        if self.uid != last["uid"]:
            return self.created >= str(last["created"])
        if self.removed != last["removed"]:
            return self.removed
        try:
            return int(self.resource_version) > int(last["resource_version"])
        except ValueError:
            return self.resource_version != str(last["resource_version"])


def state_digest(row: Mapping[str, Any], content: bytes) -> str:
    """Return the digest that a record holds of its state.

    Parameters
    ----------
    row
        Columns of the state.
    content
        The object as canonical JSON.
    """
    facts = {name: row[name] for name in ("time", "uid", "resource_version", "created", "removed")}
    return digest_of(canonical({**facts, "object": digest_of(content)}))


def pack(content: bytes) -> tuple[int, bytes]:
    """Return how bytes are packed, and what they became."""
    if len(content) < _WORTH_PACKING:
        return _PLAIN, content
    return _ZLIB, zlib.compress(content, _LEVEL)


def unpack(packing: int, content: bytes) -> bytes:
    """Return what was packed.

    Raises
    ------
    ValueError
        Raised if it was changed since.
    """
    if packing == _PLAIN:
        return content
    try:
        return zlib.decompress(content)
    except zlib.error as e:
        raise ValueError("the packed state cannot be read") from e


def read_state(row: Mapping[Any, Any], content: bytes | None = None) -> State:
    """Return the state of a row, which has the chain's ``subject`` beside its columns.

    Parameters
    ----------
    row
        The row.
    content
        Its object as JSON, where somebody has unpacked it already.

    Raises
    ------
    ValueError
        Raised if the object was changed since.
    """
    namespace, _, name = row["subject"].partition("/")
    return State(
        namespace=namespace,
        name=name,
        uid=row["uid"],
        resource_version=row["resource_version"],
        time=from_micros(row["time"]),
        recorded_at=from_micros(row["recorded_at"]),
        removed=row["removed"],
        object=orjson.loads(unpack(row["packing"], row["object"]) if content is None else content),
    )
