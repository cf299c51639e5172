"""What the data of each event says to people: how it ended, and one sentence.

The broker's ingress is open to every pod, so that the data can be anything: it
is read as JSON of which every field may be missing, or of another type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from image_catalog.audit import Outcome
from image_catalog.catalog.plain import text_in
from image_catalog.events import EventType

__all__ = ["outcome_of", "say"]

_LONGEST: Final = 4096
"""Characters of a sentence; the models of the catalog's own events allow as many."""

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    EventType.PUBLISH_REJECTED.short: Outcome.REFUSED,
    EventType.IMAGE_UNAVAILABLE.short: Outcome.FAILED,
    EventType.IMAGE_FAILED.short: Outcome.FAILED,
    EventType.IMAGE_DRIFTED.short: Outcome.FAILED,
}


def outcome_of(kind: str, data: Any) -> Outcome:
    """Return how what an event tells of ended.

    Parameters
    ----------
    kind
        The short event type.
    data
        The event's data.
    """
    if kind == EventType.IMAGE_VERIFIED.short:
        return Outcome.SUCCEEDED if text_in(data, "phase") == "Available" else Outcome.FAILED
    return _OUTCOMES.get(kind, Outcome.SUCCEEDED)


def say(kind: str, data: Any) -> str:
    """Return what happened as one sentence.

    Parameters
    ----------
    kind
        The short event type.
    data
        The event's data.
    """
    sentence = _SENTENCES.get(kind)
    return sentence(data)[:_LONGEST] if sentence is not None else ""


def _asked_to_publish(data: Any) -> str:
    if url := text_in(data, "registryUrl"):
        return f"asked to publish {url}"
    build = "/".join(part for key in ("namespace", "name") if (part := text_in(data, "imageBuild", key)))
    return f"asked to publish the build {build}" if build else "asked to publish, without saying what"


def _asked_to_verify(data: Any) -> str:
    subject = text_in(data, "reference") or text_in(data, "registryUrl")
    return " ".join(part for part in ("asked to verify", subject, f"({text_in(data, 'reason') or 'manual'})") if part)


def _published(data: Any) -> str:
    change, url = text_in(data, "change"), text_in(data, "registryUrl")
    return f"{change}: {url} has {text_in(data, 'digest') or 'not been asked yet'}"


def _drifted(data: Any) -> str:
    return f"pinned to {text_in(data, 'pinnedDigest')}, the tag has {text_in(data, 'registryDigest')}"


def _removed(data: Any) -> str:
    return f"removed: {text_in(data, 'registryUrl')}"


def _tested(data: Any) -> str:
    return f"reported: {text_in(data, 'result')} on {text_in(data, 'target')}"


def _reasoned(data: Any) -> str:
    return ": ".join(part for part in (text_in(data, "reason"), text_in(data, "message")) if part)


def _verified(data: Any) -> str:
    return ": ".join(part for part in (text_in(data, "phase"), text_in(data, "message")) if part)


_SENTENCES: Final[Mapping[str, Callable[[Any], str]]] = {
    EventType.PUBLISH_REQUESTED.short: _asked_to_publish,
    EventType.PUBLISH_REJECTED.short: _reasoned,
    EventType.IMAGE_PUBLISHED.short: _published,
    EventType.VERIFICATION_REQUESTED.short: _asked_to_verify,
    EventType.IMAGE_AVAILABLE.short: _reasoned,
    EventType.IMAGE_UNAVAILABLE.short: _reasoned,
    EventType.IMAGE_FAILED.short: _reasoned,
    EventType.IMAGE_DRIFTED.short: _drifted,
    EventType.IMAGE_VERIFIED.short: _verified,
    EventType.IMAGE_REMOVED.short: _removed,
    EventType.IMAGE_RECALLED.short: _reasoned,
    EventType.IMAGE_RESTORED.short: _reasoned,
    EventType.TEST_REPORTED.short: _tested,
}
