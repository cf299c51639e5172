"""Hardware evidence: which tests of an entry's contents are kept, and what they say of its boards.

Reports come late, twice and in any order. So what is kept is the last of all
that ever came, by when the test ended and never by when it was told: the same
reports leave the same evidence in whatever order and however often they come.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from image_catalog.catalog.held import Held
from image_catalog.catalog.publishing import pin_of
from image_catalog.catalog.tested import age_of, current_contents, tells, tested_targets
from image_catalog.errors import PermanentError
from image_catalog.events import ReceivedEvent
from image_catalog.models import CatalogImage, CatalogImageStatus, Evidence, TestRun
from image_catalog.models.events import TestReport
from image_catalog.models.reasons import ReportRefusal
from image_catalog.redaction import redact_text

__all__ = ["KEPT_RUNS", "Report", "ReportRefusedError", "read_report", "record", "with_evidence"]

KEPT_RUNS = 32
"""Runs that are kept of one content on one board: a month of nightly tests."""

_MAX_ITEMS = 256
_MAX_BYTES = 256 * 1024
"""What all evidence may take: an object of 1.5 MiB is refused by etcd, an event of 1 MiB by many brokers."""
_RUN_BYTES = 160
"""What a run takes beside its texts."""

_SKEW = timedelta(minutes=5)
"""How far the clock of a laboratory may be ahead. A time beyond would stay the last one until it has come."""

_MAX_ID = 128
_LONG_IDS = uuid.UUID("9a1f5f0e-5f0a-5d0c-8a52-6a6d9e7d2c41")
"""Namespace of the short ids of events that have long ones; fixed for ever, or a redelivery would count again."""
_MAX_SOURCE = 256
_NAMED = 12
"""Digests or boards that a refusal names; its details name every one."""


class ReportRefusedError(PermanentError):
    """The report of a test is refused, and the same one will be refused again.

    Parameters
    ----------
    reason
        Why, from the closed set.
    message
        Why, as a sentence for people, with the remedy.
    known
        What would have been taken, where the entry says so.
    """

    def __init__(self, reason: ReportRefusal, message: str, *, known: Collection[str] = ()) -> None:
        super().__init__(message)
        self.reason: ReportRefusal = reason  # type: ignore[misc]  # the refusals differ in reason alone
        if known:
            self.details["known"] = list(known)


@dataclass(frozen=True, slots=True)
class Report:
    """How a content did on a board, this once."""

    digest: str
    target: str
    run: TestRun


def read_report(event: ReceivedEvent[object], data: TestReport, *, now: datetime, believe_everybody: bool) -> Report:
    """Return what an event reports.

    Parameters
    ----------
    event
        The event.
    data
        Its data.
    now
        The time: when the test ended, where the event has no word of it.
    believe_everybody
        Whether a reporter counts that nobody knows.

    Raises
    ------
    ReportRefusedError
        Raised for a test that ends later than the clocks of two machines differ.
    """
    at = data.at or min(event.time or now, now)
    if at > now + _SKEW:
        raise ReportRefusedError(
            ReportRefusal.TIME_IN_FUTURE,
            f"the test ended at {at:%Y-%m-%dT%H:%M:%SZ}, which has not come yet: see the clock of who reports it",
        )
    known = event.is_authenticated
    run = TestRun(
        id=event.id if len(event.id) <= _MAX_ID else str(uuid.uuid5(_LONG_IDS, event.id)),
        at=min(at, now),
        result=data.result,
        report_url=redact_text(data.report_url) if data.report_url else None,
        reported_by=event.actor,
        source=None if known else event.source[:_MAX_SOURCE],
        counts=known or believe_everybody,
    )
    return Report(data.digest, data.target, run)


def record(image: CatalogImage, report: Report) -> CatalogImageStatus | None:
    """Return the status of an entry with one more test.

    Parameters
    ----------
    image
        The entry as it is.
    report
        The test.

    Returns
    -------
    CatalogImageStatus or None
        `None` when it says nothing new: it is known, or older than all that is kept.

    Raises
    ------
    ReportRefusedError
        Raised for a content that the entry never had, or a board that it is not for.
    """
    status = image.status
    _refuse_unknown(image, report)
    items = {(item.digest, item.target): item for item in status.evidence}
    item = items.pop((report.digest, report.target), Evidence(digest=report.digest, target=report.target))
    item = item.model_copy(update={"runs": _last([*item.runs, report.run])})
    after = with_evidence(image, status.model_copy(update={"evidence": [*items.values(), item]}))
    unchanged = after.targets == status.targets and _by_content(after) == _by_content(status)
    return None if unchanged else after


def with_evidence(image: CatalogImage, status: CatalogImageStatus) -> CatalogImageStatus:
    """Return an entry's next status with what tests say of its boards.

    Evidence of contents that the entry has no version of any more is dropped.

    Parameters
    ----------
    image
        The entry.
    status
        Its status as it shall be, with the content that it stands for.
    """
    if status.evidence:
        status = status.model_copy(update={"evidence": _bounded(_retained(image, status), current_contents(status))})
    return status.model_copy(update={"targets": tested_targets(image, status)})


def _refuse_unknown(image: CatalogImage, report: Report) -> None:
    digests = dict.fromkeys([*current_contents(image.status), *_versions(image, image.status), *_tested(image.status)])
    if report.digest not in digests:
        known = _listed(digests) or "none yet: it has not been verified"
        raise ReportRefusedError(
            ReportRefusal.UNKNOWN_DIGEST,
            f"the entry {image.subject} never stood for {report.digest}; it knows {known}",
            known=digests,
        )
    claimed = image.spec.metadata.targets if image.spec.metadata else []
    boards = dict.fromkeys([*Held.of_image(image).targets, *(target.name for target in claimed)])
    if boards and report.target not in boards:
        raise ReportRefusedError(
            ReportRefusal.UNKNOWN_TARGET,
            f"the entry {image.subject} is not for {report.target} but for {_listed(boards)}; "
            "where it is for that board too, add it to spec.metadata.targets",
            known=boards,
        )


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def _versions(image: CatalogImage, status: CatalogImageStatus) -> tuple[str, ...]:
    """Return every content that an entry stands, stood or is about to stand for."""
    pin = pin_of(image)
    return (*current_contents(status)[:1], *(version.digest for version in status.history), *([pin] if pin else []))


def _tested(status: CatalogImageStatus) -> Iterator[str]:
    return (item.digest for item in status.evidence)


def _retained(image: CatalogImage, status: CatalogImageStatus) -> Iterator[Evidence]:
    """Yield the evidence of contents that the entry still has a version of."""
    current, versions = current_contents(status), frozenset(_versions(image, status))
    for item in status.evidence:
        if item.digest in current[1:]:
            # Once another version has come, only this says which index it was a platform of.
            yield item if item.index == current[0] else item.model_copy(update={"index": current[0]})
        elif item.digest in versions or item.index in versions:
            yield item


def _last(runs: Iterable[TestRun]) -> list[TestRun]:
    """Return the last runs, newest first, each once.

    The last result that counts is always among them, however many tests were
    skipped since. Reports of nobody known take nobody else's place.
    """
    distinct: dict[tuple[object, ...], TestRun] = {}
    for run in runs:
        distinct.setdefault((run.id, run.reported_by, run.source), run)
    ranked = sorted(distinct.values(), key=lambda run: (run.counts, age_of(run)), reverse=True)
    result = next(filter(tells, ranked), None)
    kept = ranked[:KEPT_RUNS]
    if result is not None and result not in kept:
        kept[-1] = result
    return sorted(kept, key=age_of, reverse=True)


def _bounded(items: Iterable[Evidence], current: tuple[str, ...]) -> list[Evidence]:
    """Return evidence within its limits: what says least of the current content goes first."""
    ordered = sorted(items, key=lambda item: (item.digest not in current, item.target, item.digest))
    if len(ordered) <= _MAX_ITEMS and sum(_size(run) for item in ordered for run in item.runs) <= _MAX_BYTES:
        return ordered
    left = _MAX_BYTES
    kept: dict[tuple[str, str], list[TestRun]] = {}
    for _, item, run in sorted(_ranked(ordered, current), key=lambda ranked: ranked[0], reverse=True):
        key = (item.digest, item.target)
        left -= _size(run)
        if left < 0:
            break
        if key in kept or len(kept) < _MAX_ITEMS:
            kept.setdefault(key, []).append(run)
    return [
        item.model_copy(update={"runs": sorted(kept[key], key=age_of, reverse=True)})
        for item in ordered
        if (key := (item.digest, item.target)) in kept
    ]


def _ranked(
    items: Iterable[Evidence], current: tuple[str, ...]
) -> Iterator[tuple[tuple[object, ...], Evidence, TestRun]]:
    for item in items:
        decisive = next(filter(tells, item.runs), None)
        for run in item.runs:
            yield (run.counts, item.digest in current, run is decisive, age_of(run), item.target), item, run


def _size(run: TestRun) -> int:
    texts = (run.id, run.report_url, run.reported_by, run.source)
    return _RUN_BYTES + sum(len(text.encode()) for text in texts if text)


def _by_content(status: CatalogImageStatus) -> dict[tuple[str, str], Evidence]:
    return {(item.digest, item.target): item for item in status.evidence}
