"""The versions of an entry: those that it shows itself, and those that the audit knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from image_catalog.audit import AuditStore, Record, RecordQuery
from image_catalog.catalog.index import Entry
from image_catalog.catalog.plain import content_of
from image_catalog.events import EventType
from image_catalog.models import format_time, parse_time

__all__ = ["Version", "recorded_versions", "shown_versions"]

_NOW: Final = "now"
"""What stands in a token for the moment at which the current version is superseded; times sort before this word."""

_NEW: Final = frozenset({"created", "version"})
"""What a publication does that makes a version."""

_PUBLISHED: Final = EventType.IMAGE_PUBLISHED.short
_REMOVED: Final = EventType.IMAGE_REMOVED.short

_PAGE: Final = 500
_MOST: Final = 10_000
"""Publications and removals that are looked through: a version every hour for a year."""

_SAME: Final = timedelta(seconds=2)
"""By how much the time of a publication differs between entry, in whole seconds, and record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an entry.

    Attributes
    ----------
    digest, published_at, published_by, build
        Its content, and how it came; `None` where that is unknown.
    superseded_at
        When the next one took its place; `None` for the current one.
    current
        Whether the entry points to it now.
    """

    digest: str | None
    published_at: datetime | None
    superseded_at: datetime | None
    current: bool = False
    published_by: str | None = None
    build: Mapping[str, Any] | None = None

    @property
    def place(self) -> str:
        """Its place in the list, as a text that sorts."""
        return _NOW if self.superseded_at is None else format_time(self.superseded_at)

    def document(self) -> dict[str, Any]:
        """Return it as it is answered."""
        values = {
            "digest": self.digest,
            "current": self.current,
            "publishedAt": self.published_at and format_time(self.published_at),
            "publishedBy": self.published_by,
            "sourceImageBuild": self.build,
            "supersededAt": self.superseded_at and format_time(self.superseded_at),
        }
        return {key: value for key, value in values.items() if value is not None}


def shown_versions(entry: Entry) -> list[Version]:
    """Return the versions that an entry shows, newest first."""
    status = entry.object.get("status") or {}
    current = Version(
        digest=content_of(entry.object),
        published_at=_time(status.get("publishedAt")),
        superseded_at=None,
        current=True,
        build=status.get("sourceImageBuild"),
    )
    earlier = [
        Version(
            digest=version.get("digest"),
            published_at=_time(version.get("publishedAt")),
            superseded_at=_time(version.get("supersededAt")),
            build=version.get("sourceImageBuild"),
        )
        for version in status.get("history") or ()
    ]
    return [current, *earlier]


async def recorded_versions(audit: AuditStore, namespace: str, name: str, shown: Sequence[Version]) -> list[Version]:
    """Add to the versions that an entry shows who published them, and the ones before.

    Parameters
    ----------
    audit
        The audit.
    namespace, name
        The entry.
    shown
        What the entry shows; nothing when it is gone.

    Raises
    ------
    AuditUnavailableError
        Raised when the database does not answer.
    """
    versions, oldest = list(shown), _oldest(shown)
    superseded = oldest
    async for record in _publications(audit, namespace, name):
        if record.kind == _REMOVED:
            if oldest is None or record.time < oldest:
                superseded = record.time
            continue
        said = _said(record)
        if said.get("change") not in _NEW:
            continue
        known = next((at for at, version in enumerate(versions) if _is_same(version, record)), None)
        if known is not None:
            versions[known] = replace(versions[known], published_by=record.actor)
        elif not shown or (superseded is not None and record.time < superseded - _SAME):
            build = said.get("sourceImageBuild")
            versions.append(
                Version(
                    digest=record.digest,
                    published_at=record.time,
                    superseded_at=superseded,
                    published_by=record.actor,
                    build=build if isinstance(build, dict) else None,
                )
            )
            superseded = record.time
    return versions


async def _publications(audit: AuditStore, namespace: str, name: str) -> AsyncIterator[Record]:
    before, seen = None, 0
    while seen < _MOST:
        page = await audit.query(
            RecordQuery(namespace=namespace, name=name, kinds=(_PUBLISHED, _REMOVED), limit=_PAGE, before=before)
        )
        for record in page.items:
            # What only an event says may be anybody's word.
            if record.confirmed:
                yield record
        if not page.more:
            return
        seen, before = seen + len(page.items), page.items[-1].seq


def _oldest(shown: Sequence[Version]) -> datetime | None:
    return min((version.published_at for version in shown if version.published_at is not None), default=None)


def _said(record: Record) -> Mapping[str, Any]:
    event = record.data.get("event")
    said = event.get("data") if isinstance(event, dict) else record.data.get("shown")
    return said if isinstance(said, dict) else {}


def _is_same(version: Version, record: Record) -> bool:
    """Whether a record tells of a version: its event may be emitted a while after the write that it tells of."""
    at, end = version.published_at, version.superseded_at
    if version.digest != record.digest or at is None or version.published_by is not None:
        return False
    return at - _SAME <= record.time and (end is None or record.time <= end + _SAME)


def _time(value: Any) -> datetime | None:
    moment = parse_time(value) if isinstance(value, str) else None
    return moment.astimezone(UTC) if isinstance(moment, datetime) else None
