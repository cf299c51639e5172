"""What a person sees of the running stack: a line per event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from image_catalog.events import PREFIX, EventType, SourceType
from image_catalog.local.knative import DeliveryRecord, Outcome

__all__ = ["describe_event", "event_line", "plain_console"]

_CHANGES = {
    SourceType.RESOURCE_ADDED: "added",
    SourceType.RESOURCE_UPDATED: "updated",
    SourceType.RESOURCE_DELETED: "deleted",
}
_KINDS = {"imagebuilds": "ImageBuild", "catalogimages": "CatalogImage"}
_STYLES = {
    Outcome.DELIVERED: "green",
    Outcome.RETRY: "yellow",
    Outcome.DEAD_LETTERED: "red",
    Outcome.DROPPED: "red",
    Outcome.UNHEARD: "dim",
}
_NO_LIMIT = 1000
_TYPE_WIDTH = 24
_SUBJECT_WIDTH = 30
_FUNCTION_WIDTH = 9


def describe_event(event_type: str, subject: str | None, source: str = "") -> tuple[str, str]:
    """Return what happened and to what, in the words of people.

    Parameters
    ----------
    event_type
        Type of the event.
    subject
        Its subject: an API path for a source's event, ``namespace/name`` for ours.
    source
        Its source, which names a PingSource.

    Returns
    -------
    tuple of str
        ``("CatalogImage updated", "default/x")`` for example.
    """
    parts = (subject or "").strip("/").split("/")
    if event_type in _CHANGES and len(parts) > 1:
        kind = _KINDS.get(parts[-2], parts[-2])
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
        return f"{kind} {_CHANGES[SourceType(event_type)]}", f"{namespace}/{parts[-1]}"
    if event_type == SourceType.PING:
        return "cron tick", source.rsplit("/", 1)[-1]
    return event_type.removeprefix(PREFIX), subject or "-"


def event_line(record: DeliveryRecord) -> Text:
    """Return the readable line of one delivery."""
    what, about = describe_event(record.event_type, record.subject, record.source)
    answer = str(record.status) if record.status is not None else record.error
    again = f" (attempt {record.attempt})" if record.attempt > 1 else ""
    line = Text(datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3] + "  ", style="dim")
    line.append(f"{what:<{_TYPE_WIDTH}} ", style="bold")
    told = _told(record)
    line.append(f"{_named(about, told):<{_SUBJECT_WIDTH}} ")
    if record.outcome is Outcome.UNHEARD:
        if record.event_type not in set(EventType):
            return line.append("  nobody takes it: the catalog has no such type", style="yellow")
        if why := _why(told):
            line.append(f"  {why}", style="yellow")
        return line.append("  told to whoever subscribes", style=_STYLES[record.outcome])
    line.append(f"→ {record.function:<{_FUNCTION_WIDTH}} ", style="cyan")
    line.append(f"{record.outcome} {answer}{again}", style=_STYLES[record.outcome])
    if record.status is not None and record.error:
        line.append(f" {record.error}", style=_STYLES[record.outcome])
    return line.append(f"  {record.milliseconds:.0f} ms", style="dim")


def _told(record: DeliveryRecord) -> dict[str, Any]:
    """Return what one of our events says; nothing of others', whose data may be anything."""
    if record.event_type not in set(EventType):
        return {}
    try:
        data = orjson.loads(record.data)
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}


def _named(about: str, told: dict[str, Any]) -> str:
    """Return what an event is about; what was refused before it had a name goes by its reference or its build."""
    if not about.endswith("/"):
        return about
    build = told.get("sourceImageBuild") or {}
    return str(told.get("registryUrl") or (about + build["name"] if "name" in build else about))


def _why(told: dict[str, Any]) -> str:
    """Return why something was refused, or is no longer there."""
    return " ".join(f"{told['reason']}: {told['message']}".split()) if {"reason", "message"} <= told.keys() else ""


def plain_console(*, stderr: bool = False) -> Console:
    """Return a console that neither wraps nor cuts: a line that is too long is the terminal's to show."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=_NO_LIMIT)
