"""``--filter``: CESQL, or a short form of it for what is asked most."""

from __future__ import annotations

import re
from typing import Final

from image_catalog.cli.errors import UsageError

__all__ = ["ATTRIBUTES", "PREFIX", "as_cesql"]

PREFIX: Final = "com.redhat.automotive.catalog."
"""What the type of every catalog event starts with; to import the package of events takes longer than a command."""

ATTRIBUTES: Final = (
    "architecture",
    "catalogname",
    "catalognamespace",
    "digest",
    "distro",
    "id",
    "phase",
    "source",
    "subject",
    "target",
    "type",
)
"""Attributes that the short form knows; CESQL knows all."""

_ALIASES: Final = {"name": "catalogname", "namespace": "catalognamespace", "targets": "target"}
_SHORT: Final = re.compile(r"[a-z]+=[^\s'\"(),=<>!]+(?:,[a-z]+=[^\s'\"(),=<>!]+)*")


def as_cesql(text: str) -> str:
    """Return a filter as the API takes it.

    ``type=image.available,target=raspberry-pi`` is the short form of
    ``(type = 'com.redhat.automotive.catalog.image.available') AND (targets LIKE '%,raspberry-pi,%')``: every attribute
    has to match, one that is named more than once with any of its values, and ``*`` stands for anything. A target is
    any of an image's. Everything else is taken for CESQL.

    Parameters
    ----------
    text
        As it was written.

    Raises
    ------
    UsageError
        Raised if the short form names an attribute that no event has.
    """
    if not _SHORT.fullmatch(text):
        return text
    wanted: dict[str, list[str]] = {}
    for part in text.split(","):
        written, _, value = part.partition("=")
        name = _ALIASES.get(written, written)
        if name not in ATTRIBUTES:
            raise UsageError(
                f"--filter: no event has the attribute {written}",
                hint=f"known are {', '.join(ATTRIBUTES)}; put values into quotes to write CESQL",
            )
        wanted.setdefault(name, []).append(_test(name, value))
    return " AND ".join(f"({' OR '.join(tests)})" for tests in wanted.values())


def _test(name: str, value: str) -> str:
    if name == "type" and not value.startswith((PREFIX, "*")):
        value = f"{PREFIX}{value}"
    if name == "target":
        return f"targets LIKE '%,{_pattern(value)},%'"
    return f"{name} LIKE '{_pattern(value)}'" if "*" in value else f"{name} = '{value}'"


def _pattern(value: str) -> str:
    return value.replace("%", r"\%").replace("_", r"\_").replace("*", "%")
