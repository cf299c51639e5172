"""Finds the entries that are due and asks for their verification."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Gauge

from image_catalog.cluster import CatalogImages, CatalogRegistries, ImageRow
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent
from image_catalog.models import LaterNames, Phase
from image_catalog.models.events import VerificationReason, VerificationRequest
from image_catalog_functions.reverify.batches import Batch, registry_of
from image_catalog_functions.reverify.budgets import find_lanes, show_budgets
from image_catalog_functions.reverify.holding import Hold, find_hold

__all__ = ["request_due", "verification_request"]

_log = structlog.get_logger(__name__)

DUE = Gauge("image_catalog_due_entries", "Entries that were due at the last tick.")
LEFT = Gauge("image_catalog_late_entries", "Entries that were due at the last tick and are left for the next.")
OLDEST = Gauge(
    "image_catalog_due_oldest_seconds",
    "How long the entry that is due longest had been due at the last tick, one never checked since it was made; or 0.",
)
HELD = Gauge("image_catalog_held_entries", "Entries that were due at the last tick, of registries that are not asked.")
LAST = Gauge(
    "image_catalog_last_tick_timestamp_seconds",
    "When a tick last found out what was due, in seconds since 1970; 0 where none has since the process began.",
)
REQUESTED = Counter("image_catalog_verifications_requested_total", "Verifications that ticks have asked for.")


async def request_due(
    event: ReceivedEvent[object],
    *,
    images: CatalogImages,
    registries: CatalogRegistries,
    believed_for: timedelta,
    batch: int,
    rng: random.Random,
    clock: Callable[[], datetime],
) -> list[CatalogEvent]:
    """Ask for the verification of what is due, the oldest of each registry first.

    Parameters
    ----------
    event
        The tick.
    images
        Lists entries as table rows, without those whose time has a name that lies ahead.
    registries
        Tells which registries are not asked at present, and what their limits allow.
    believed_for
        How long that is believed after it was written.
    batch
        Most verifications that one tick asks for.
    rng
        Spreads the order.
    clock
        Tells the time.

    Raises
    ------
    TransientError
        Raised when the API server is in trouble that passes.
    """
    now = clock()
    counted = _Counter()
    known = await registries.list_all()
    show_budgets(known, now=now)
    hold = find_hold(known, now=now, believed_for=believed_for)
    kept = Batch(batch, find_lanes(known, now=now))
    oldest = await _oldest_due(images.rows(without=LaterNames.after(now)), now, kept, counted, hold)
    left = counted.due - len(oldest)
    DUE.set(counted.due)
    LEFT.set(left)
    OLDEST.set((now - counted.oldest).total_seconds() if counted.oldest is not None else 0)
    HELD.set(hold.held)
    REQUESTED.inc(len(oldest))
    LAST.set(clock().timestamp())
    _log.info("due entries", rows=counted.all, due=counted.due, sent=len(oldest), left=left, held=hold.held)
    return [
        verification_request(row.namespace, row.name, row.registry_url, cause=event) for row in _spread(oldest, rng)
    ]


def verification_request(namespace: str, name: str, registry_url: str, *, cause: ReceivedEvent[object]) -> CatalogEvent:
    """Return the event that asks for one entry's verification."""
    request = VerificationRequest(
        name=name, namespace=namespace, registry_url=registry_url or None, reason=VerificationReason.DUE
    )
    return CatalogEvent.of_name(EventType.VERIFICATION_REQUESTED, namespace, name, request, cause=cause)


class _Counter:
    """Counts rows as they stream by, so that none but the due ones are kept."""

    def __init__(self) -> None:
        self.all = 0
        self.due = 0
        self.oldest: datetime | None = None

    def count(self, due_at: datetime | None) -> None:
        """Count one that is due, and remember the time that has passed longest ago."""
        self.due += 1
        if due_at is not None:
            self.oldest = due_at if self.oldest is None else min(due_at, self.oldest)


async def _oldest_due(
    rows: AsyncIterator[ImageRow], now: datetime, kept: Batch, counted: _Counter, hold: Hold
) -> list[ImageRow]:
    """Return the rows that are due longest, at most a batch of them, in bounded memory."""
    async for row in rows:
        counted.all += 1
        if (row.next_verification is not None and row.next_verification > now) or hold.keeps(row):
            continue
        counted.count(row.next_verification or _made_at(row, now))
        kept.add(row)
    return kept.rows()


def _made_at(row: ImageRow, now: datetime) -> datetime | None:
    """Return since when an entry that was never checked is due; `None` of one that was, or that is to go."""
    is_new = row.phase in {None, Phase.PENDING, Phase.VERIFYING} and not row.is_deleted
    return now - row.age if is_new and row.age is not None else None


def _spread(rows: Iterable[ImageRow], rng: random.Random) -> list[ImageRow]:
    """Shuffle within each registry and take from the registries in turn.

    One slow registry then never has a whole run of requests to itself.
    """
    by_registry: dict[str, list[ImageRow]] = defaultdict(list)
    for row in rows:
        by_registry[registry_of(row)].append(row)
    for waiting in by_registry.values():
        rng.shuffle(waiting)
    spread: list[ImageRow] = []
    queues = list(by_registry.values())
    while queues:
        spread.extend(queue.pop() for queue in queues)
        queues = [queue for queue in queues if queue]
    return spread
