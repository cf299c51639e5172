"""Values of options that more than one command takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from image_catalog.cli.errors import UsageError

__all__ = ["parse_duration", "secret_reference", "split_list"]

# Go's own: the library behind it also knows days and years. The models' pattern would cost `--help` all of pydantic.
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Read a duration above zero as Go writes it: ``30s``, ``1m30s``.

    Raises
    ------
    ValueError
        Raised if it is none; typer puts the option that it was given to in front.
    """
    import durationpy  # noqa: PLC0415 - most commands are given none

    found = timedelta(0)
    if _DURATION.fullmatch(text):
        with suppress(durationpy.DurationError, OverflowError):
            found = durationpy.from_str(text)
    if found <= timedelta(0):
        raise ValueError(f"{text[:64]!r} is no duration above zero: write 30s or 1m30s")
    return found


def split_list(values: Iterable[str]) -> list[str]:
    """Return the words of a repeatable option whose values are comma lists, each once and in order."""
    words = (word.strip() for value in values for word in value.split(","))
    return list(dict.fromkeys(word for word in words if word))


def secret_reference(text: str | None) -> dict[str, str] | None:
    """Return what the API takes for the Secret ``[NAMESPACE/]NAME``; `None` for none.

    Raises
    ------
    UsageError
        Raised if it is something else.
    """
    if not text:
        return None
    namespace, slash, name = text.rpartition("/")
    if not name or "/" in namespace or (slash and not namespace):
        raise UsageError(f"--auth-secret {text} names no Secret", hint="write NAME or NAMESPACE/NAME")
    return {"name": name, "namespace": namespace} if namespace else {"name": name}
