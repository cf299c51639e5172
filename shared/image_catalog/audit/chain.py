"""The chains: each record carries the hash of the one before, so that a change afterwards shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

__all__ = [
    "GENESIS",
    "Break",
    "BreakKind",
    "Link",
    "Verification",
    "canonical",
    "digest_of",
    "link_hash",
    "read_links",
    "subject_of",
]

GENESIS: Final = "0" * 64
"""What the first record of a chain carries in place of a hash before it."""

_SHOWN: Final = re.compile(r"^[^{]*\baudit appended\b.*\blinks=(\[\{.*?\}\])", re.ASCII)
"""Links in a log for people, where lists stand as Python writes them."""

_HASHED: Final = (
    "seq",
    "chain",
    "position",
    "event_id",
    "part",
    "kind",
    "namespace",
    "name",
    "time",
    "recorded_at",
    "actor",
    "outcome",
    "digest",
    "registry_url",
    "message",
    "confirmed",
    "folds",
    "amount",
    "data",
    "state_digest",
    "previous_hash",
)
"""Columns that a record's hash is made of: all, save the hash. A new one is left out where it holds nothing."""


@dataclass(frozen=True, slots=True)
class Link:
    """One record of a chain, as it is written into logs.

    Attributes
    ----------
    chain
        ``namespace/name`` of the entry.
    position
        The record's place in its chain.
    hash
        The record's hash.
    """

    chain: str
    position: int
    hash: str

    def to_dict(self) -> dict[str, Any]:
        """Return the link as JSON."""
        return {"chain": self.chain, "position": self.position, "hash": self.hash}


class BreakKind(StrEnum):
    """In which way a chain does not hold."""

    CHANGED = "Changed"
    MISPLACED = "Misplaced"
    MISSING = "Missing"
    CUT = "Cut"
    STATE = "State"


@dataclass(frozen=True, slots=True)
class Break:
    """A place where a chain does not hold.

    Attributes
    ----------
    chain
        ``namespace/name`` of the entry.
    position
        Place in the chain.
    kind
        In which way.
    message
        One sentence for people.
    """

    chain: str
    position: int
    kind: BreakKind
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of going through all chains.

    Attributes
    ----------
    chains, records
        How many there are.
    links
        How many of the logged links are of a record that is still there, or of the one that a chain begins after.
    breaks
        Each place where a chain does not hold; none if all is as it was.
    """

    chains: int
    records: int
    links: int
    breaks: list[Break]


def subject_of(namespace: str | None, name: str | None) -> str:
    """Return what the chain of a record is of.

    An entry has ``namespace/name``. What has no entry is chained to what else
    happened in its namespace, ``namespace/``, and what has neither to ``/``:
    names are never empty, so none of these is an entry's.
    """
    return f"{namespace or ''}/{name or ''}"


def canonical(value: Any) -> bytes:
    """Return JSON that is the same for the same value: keys sorted, nothing between the tokens.

    Raises
    ------
    TypeError
        Raised if the value is not JSON.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest_of(value: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal digits."""
    return hashlib.sha256(value).hexdigest()


def link_hash(row: Mapping[str, Any]) -> str:
    """Return the hash of a record.

    Parameters
    ----------
    row
        The record's columns, with ``chain`` beside them. Times are whole
        microseconds since 1970, ``data`` is canonical JSON in a text.
    """
    return digest_of(canonical({name: value for name in _HASHED if (value := row[name]) is not None}))


def _links_in(line: str) -> object:
    if shown := _SHOWN.search(line):
        import ast  # noqa: PLC0415 - no function reads a log

        with suppress(ValueError, SyntaxError):
            return ast.literal_eval(shown[1])
    with suppress(orjson.JSONDecodeError):
        document = orjson.loads(line[line.find("{") :])
        return document.get("links", [document]) if isinstance(document, dict) else None
    return None


def read_links(lines: Iterable[str | bytes]) -> Iterator[Link]:
    """Read the links in a log, or in what ``image-catalog audit links`` printed.

    Parameters
    ----------
    lines
        JSON, each a link or a log's line with ``links``, or a line of a log
        that was written for people; whatever else there is, and whatever
        stands before the JSON of a line, is passed over.
    """
    for line in lines:
        found = _links_in(line if isinstance(line, str) else line.decode(errors="replace"))
        for link in found if isinstance(found, list) else ():
            match link:
                case {"chain": str(chain), "position": int(position), "hash": str(value)}:
                    yield Link(chain, position, value)
                case _:
                    pass
