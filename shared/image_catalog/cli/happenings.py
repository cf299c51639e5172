"""Catalog events in a line each, for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from image_catalog.cli.filters import PREFIX

__all__ = ["HEADINGS", "row"]

HEADINGS: Final = ("TIME", "EVENT", "ENTRY", "WHAT")

_Data = Mapping[str, Any]
_DIGITS: Final = 12
"""Of a digest: as many as tell one from another."""
_NOBODY: Final = "unauthenticated"
_FRACTION: Final = re.compile(r"\.[0-9]+")


def row(event: _Data, *, confirmed: bool, all_namespaces: bool) -> tuple[str, str, str, str]:
    """Return the cells of an event.

    Parameters
    ----------
    event
        The CloudEvent in the JSON format.
    confirmed
        Whether the catalog itself shows it; a request is only what somebody said.
    all_namespaces
        Whether entries of more than one namespace are shown.
    """
    short = str(event.get("type", "")).removeprefix(PREFIX)
    data = event.get("data") if isinstance(event.get("data"), dict) else {}
    assert isinstance(data, dict)  # noqa: S101 - looked at in the line above
    name = str(event.get("catalogname") or data.get("name") or "")
    namespace = str(event.get("catalognamespace") or data.get("namespace") or "")
    what = _SAID.get(short, _phase)(data)
    actor = data.get("actor")
    who = f"by {actor}" if actor and actor != _NOBODY else ""
    mark = "" if confirmed else "(unconfirmed)"
    entry = f"{namespace}/{name}" if all_namespaces else name
    # To the second, as everywhere; some events have six digits more.
    time = _FRACTION.sub("", str(event.get("time", "")))
    return time, short, entry, " ".join(part for part in (what, who, mark) if part)


def _digest(value: object) -> str:
    algorithm, colon, digits = str(value or "").partition(":")
    return f"{algorithm}:{digits[:_DIGITS]}" if colon else ""


def _said(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part)


def _reason(data: _Data) -> str:
    return ": ".join(str(data[key]) for key in ("reason", "message") if data.get(key))


def _phase(data: _Data) -> str:
    return _said(_reason(data), _digest(data.get("digest")))


def _published(data: _Data) -> str:
    build = data.get("sourceImageBuild") or {}
    change = "new version" if data.get("change") == "version" else data.get("change")
    return _said(change, data.get("registryUrl"), _digest(data.get("digest")), build and f"build {build.get('name')}")


def _drifted(data: _Data) -> str:
    gone = "" if data.get("pinnedStillThere", True) else "which is gone"
    return _said(f"tag at {_digest(data.get('registryDigest'))}, pin at {_digest(data.get('pinnedDigest'))}", gone)


def _verified(data: _Data) -> str:
    return _said(data.get("phase"), _reason(data), _digest(data.get("resolvedDigest")))


def _recalled(data: _Data) -> str:
    return _said(_digest(data.get("digest")), data.get("reason"))


def _removed(data: _Data) -> str:
    return _said(_digest(data.get("digest")), data.get("removedBy") and f"removed by {data['removedBy']}")


def _requested(data: _Data) -> str:
    build = data.get("imageBuild") or {}
    return _said(data.get("registryUrl") or data.get("reference"), build and f"build {build.get('name')}")


def _reported(data: _Data) -> str:
    return _said(f"{data.get('result')} on {data.get('target')}", _digest(data.get("digest")), data.get("reportUrl"))


_SAID: Final[Mapping[str, Callable[[_Data], str]]] = {
    "image.drifted": _drifted,
    "image.published": _published,
    "image.recalled": _recalled,
    "image.removed": _removed,
    "image.restored": _recalled,
    "image.verified": _verified,
    "publish.rejected": _reason,
    "publish.requested": _requested,
    "test.reported": _reported,
    "verification.requested": _requested,
}
"""What is told of each type; of those that are not here reason, message and digest."""
