"""The record of a catalog event."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

import orjson

from image_catalog.audit import NewRecord
from image_catalog.catalog.chronicle.actors import CATALOG, OURS, UNKNOWN
from image_catalog.catalog.chronicle.sayings import outcome_of, say
from image_catalog.catalog.plain import text_in
from image_catalog.events import PREFIX, EventType, ReceivedEvent, told_as
from image_catalog.models.events import UNAUTHENTICATED, VerificationReason
from image_catalog.redaction import REDACTED, redact_text

__all__ = ["actor_of", "digest_in", "record_of_event"]

_REQUESTS: Final = frozenset({EventType.PUBLISH_REQUESTED, EventType.VERIFICATION_REQUESTED, EventType.TEST_REPORTED})
"""What comes in from outside: who its data says it is from is believed only of a caller that has proven itself."""

_FINDINGS: Final = frozenset(
    event_type.short
    for event_type in (
        EventType.IMAGE_AVAILABLE,
        EventType.IMAGE_UNAVAILABLE,
        EventType.IMAGE_FAILED,
        EventType.IMAGE_DRIFTED,
    )
)
"""What the catalog finds out by itself, where nobody is known to have asked."""

_SWEEP: Final = f"{OURS}reverify"
"""Who asks for builds that no event told of."""

_REFERENCES: Final = ("registryUrl", "reference")
_USER: Final = re.compile(r"^((?:[a-z+.-]+://)?)[^/@\s]+@", re.IGNORECASE)
"""Who pulls, and with which password, before a reference: it can hold neither."""

_LONGEST: Final = 256 * 1024
"""Bytes of an event that are kept: honest ones have a tenth of it, and what is kept is never changed."""

_LONGEST_TEXT: Final = 4096

_ALWAYS: Final = ("specversion", "id", "source", "type", "subject", "time")
"""What is kept of one that is longer."""

_DIGESTS: Final = ("digest", "resolvedDigest", "pinnedDigest")


def record_of_event(event: ReceivedEvent[Any], *, now: datetime) -> NewRecord | None:
    """Return what is kept of a catalog event; the entry has not confirmed it yet.

    Parameters
    ----------
    event
        The event, its data as JSON.
    now
        When it happened, where it does not say.

    Returns
    -------
    NewRecord or None
        `None` for what nobody did: that a check is due. What comes of the check
        is an event of its own.
    """
    told = _without_secrets(told_as(event))
    kind, data = event.type.removeprefix(PREFIX), told.get("data")
    if event.type == EventType.VERIFICATION_REQUESTED and text_in(data, "reason") == VerificationReason.DUE:
        return None
    namespace, name = text_in(data, "namespace"), text_in(data, "name")
    if not (namespace and name) and event.subject:
        namespace, _, name = event.subject.partition("/")
    said = event.actor if event.type in _REQUESTS else text_in(data, "actor") or event.actor
    return NewRecord(
        event_id=event.id,
        kind=kind,
        time=event.time or now,
        namespace=namespace or None,
        name=name or None,
        actor=actor_of(kind, data, said),
        outcome=outcome_of(kind, data),
        digest=digest_in(data),
        registry_url=text_in(data, "registryUrl")[:_LONGEST_TEXT] or None,
        message=say(kind, data),
        confirmed=False,
        data={"event": _bounded(told)},
    )


def _is_of_sweep(data: Any) -> bool:
    """Tell whether a build is asked for as the sweep does, which gives it no more than its own completion would."""
    build = text_in(data, "imageBuild", "namespace"), text_in(data, "imageBuild", "name")
    return isinstance(data, dict) and data.get("automatic") is True and all(build)


def digest_in(data: Any) -> str | None:
    """Return the content that an event's data is about.

    Parameters
    ----------
    data
        The event's data.
    """
    return next((digest for key in _DIGESTS if (digest := text_in(data, key))), None)


def _without_secrets(told: dict[str, Any]) -> dict[str, Any]:
    """Return an event without credentials that somebody typed where none belong: what is kept here is never changed."""
    clean: dict[str, Any] = orjson.loads(redact_text(orjson.dumps(told).decode()))
    data = clean.get("data")
    for key in _REFERENCES:
        if isinstance(data, dict) and isinstance(data.get(key), str):
            data[key] = _USER.sub(rf"\1{REDACTED}@", data[key])
    return clean


def _bounded(told: dict[str, Any]) -> dict[str, Any]:
    """Return an event as it is kept: of one that is too long what it is, and how long."""
    length = len(orjson.dumps(told))
    if length <= _LONGEST:
        return told
    kept: dict[str, Any] = {name: str(told[name])[:_LONGEST_TEXT] for name in _ALWAYS if name in told}
    return kept | {"omitted": f"{length} bytes"}


def actor_of(kind: str, data: Any, said: str) -> str:
    """Return who did what an event tells of.

    Parameters
    ----------
    kind
        The short event type.
    data
        The event's data.
    said
        Who the event says it was.
    """
    if kind == EventType.IMAGE_REMOVED.short:
        # The event comes of the deletion, whose author the cluster tells nobody.
        return text_in(data, "removedBy") or UNKNOWN
    if said == UNAUTHENTICATED and kind in _FINDINGS:
        return CATALOG
    if said == UNAUTHENTICATED and kind == EventType.PUBLISH_REQUESTED.short and _is_of_sweep(data):
        return _SWEEP
    build = text_in(data, "sourceImageBuild", "namespace"), text_in(data, "sourceImageBuild", "name")
    if said == UNAUTHENTICATED and kind == EventType.IMAGE_PUBLISHED.short and all(build):
        return f"ImageBuild {'/'.join(build)}"
    return said
