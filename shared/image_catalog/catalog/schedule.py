"""When an entry is to be checked next, and why then."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from image_catalog.models import CatalogImage, CatalogImageSpec, CatalogImageStatus, Phase, Reference
from image_catalog.models.durations import format_duration
from image_catalog.models.events import PhaseReason
from image_catalog.models.reasons import NextVerificationReason

if TYPE_CHECKING:
    from image_catalog.catalog.pace import Pace

    # Verdicts know the registry client, which functions that only ask for the time of a check never load.
    from image_catalog.catalog.verdict import Verdict

__all__ = ["CHECK_DEADLINE", "NextCheck", "Schedule", "own_moment"]

CHECK_DEADLINE = timedelta(minutes=3)
"""Longest that a check may be under way before another function may take it over.

A check ends within 110 s whatever the registry does (`CHECK_TIMEOUT`); the rest is for the writes.
"""

_MENDED_ELSEWHERE = frozenset(
    {
        # By the owner of a Secret.
        PhaseReason.AUTHENTICATION_FAILED,
        PhaseReason.ACCESS_DENIED,
        PhaseReason.SECRET_NOT_FOUND,
        PhaseReason.SECRET_FORBIDDEN,
        PhaseReason.SECRET_INVALID,
        # By an administrator, in a CatalogRegistry.
        PhaseReason.HOST_NOT_ALLOWED,
        PhaseReason.TLS_VERIFICATION_FAILED,
    }
)
"""Reasons that go away without an event that would tell us: nothing watches Secrets or CatalogRegistries."""

_SPREAD = 0.1
"""A wait is shortened by up to a tenth: what failed together drifts apart, and is never late."""
_RETRY_SPREAD = 0.2
_LONGEST_UNASKED = timedelta(minutes=10)
"""Longest wait of an entry whose registry is not asked: a check costs the registry nothing, and finds it well again."""
_MAX_DOUBLINGS = 30
"""Past this the wait is far beyond any interval; the bound keeps the number finite."""

_DAY = timedelta(days=1)
"""No entry is checked more rarely for its digest's sake: availability is told over 24 hours."""


@dataclass(frozen=True, slots=True)
class NextCheck:
    """When an entry is checked next.

    Attributes
    ----------
    at
        When.
    reason
        Why then.
    message
        The same for people.
    interval
        The interval in effect where it is not that of the spec.
    """

    at: datetime
    reason: NextVerificationReason
    message: str
    interval: timedelta | None = None

    def applied(self, status: CatalogImageStatus) -> CatalogImageStatus:
        """Return a status that says so."""
        return status.model_copy(
            update={
                "next_verification_time": self.at,
                "next_verification_reason": self.reason,
                "next_verification_message": self.message,
                "effective_verification_interval": None if self.interval is None else format_duration(self.interval),
            }
        )


@dataclass(frozen=True, slots=True)
class _Interval:
    """The interval in effect, and why."""

    length: timedelta
    differs: bool
    """Whether it is another than the spec's."""
    reason: NextVerificationReason
    message: str

    def next(self, at: datetime) -> NextCheck:
        return NextCheck(at, self.reason, self.message, self.length if self.differs else None)


def own_moment(key: str, interval: timedelta, *, since: datetime) -> datetime:
    """Return when something is due that has a moment of its own within every interval.

    The moment follows from the key and stays the same. So what was made
    together comes back spread out over the interval, whoever checks it, and
    however often a process starts anew. A wait is an interval at most and half
    of one at least; what has its moment before that gets there in two steps.

    Parameters
    ----------
    key
        What it is, ``namespace/name`` for example.
    interval
        How often it is due.
    since
        When it was last seen to.
    """
    # In whole seconds, as a status keeps times: who comes in the second of his moment is not too early for it.
    length, now = max(int(interval.total_seconds()), 1), int(since.timestamp())
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % length
    ahead = (place - now) % length or length
    if 2 * ahead < length:
        ahead = (ahead + length + 1) // 2
    return datetime.fromtimestamp(now + ahead, tz=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Decides when an entry is to be checked next.

    Parameters
    ----------
    min_interval
        Shortest interval in effect.
    digest_factor
        How many times more rarely an entry is checked that is asked for by
        digest alone.
    retry_initial
        Wait after the first failure; doubled by each further one.
    retry_credentials
        Longest wait after a credential, a certificate or a host was refused:
        what mends these is no part of the entry.
    rng
        Spreads the times of what failed.
    """

    min_interval: timedelta
    digest_factor: int = 1
    retry_initial: timedelta
    retry_credentials: timedelta
    rng: random.Random

    def wished(self, spec: CatalogImageSpec) -> timedelta:
        """Return how often an entry is checked where its registry allows it."""
        asked = max(spec.interval, self.min_interval)
        return max(asked, min(asked * self.digest_factor, _DAY)) if _by_digest_alone(spec) else asked

    def interval(self, spec: CatalogImageSpec, pace: Pace | None = None) -> timedelta:
        """Return the interval in effect, with what the registry's limit allows."""
        return self._interval(spec, pace).length

    def regular(self, image: CatalogImage, *, since: datetime, pace: Pace | None = None) -> NextCheck:
        """Return when an entry whose last check was good is due again.

        Parameters
        ----------
        image
            The entry.
        since
            When it was checked.
        pace
            What its registry's limit allows; `None` for as often as it asks.
        """
        interval = self._interval(image.spec, pace)
        return interval.next(own_moment(image.subject, interval.length, since=since))

    def after(
        self,
        image: CatalogImage,
        verdict: Verdict,
        *,
        failures: int,
        now: datetime,
        retry_after: timedelta | None = None,
        pace: Pace | None = None,
    ) -> NextCheck:
        """Return when an entry is due after a verdict.

        Parameters
        ----------
        image
            The entry.
        verdict
            What holds true of it now.
        failures
            Checks that failed one after another, this one included.
        now
            When it was checked.
        retry_after
            How long the registry asked us to wait.
        pace
            What its registry's limit allows; `None` for as often as it asks.
        """
        if not verdict.failed:
            found = self.regular(image, since=now, pace=pace)
        else:
            found = self._after_failure(self._interval(image.spec, pace), verdict, failures=failures, now=now)
        if retry_after is None:
            return found
        # What a registry has stopped together comes back spread out, and none of it too early.
        asked = now + retry_after * (1 + _SPREAD * self.rng.random())
        if asked <= found.at:
            return found
        message = f"the registry asked to be left alone for {format_duration(retry_after)}"
        return NextCheck(asked, NextVerificationReason.RATE_LIMITED, message, found.interval)

    def _after_failure(self, interval: _Interval, verdict: Verdict, *, failures: int, now: datetime) -> NextCheck:
        if verdict.phase is not Phase.UNAVAILABLE:
            shorter = 1 - _SPREAD * self.rng.random()
            if verdict.reason not in _MENDED_ELSEWHERE:
                return interval.next(now + interval.length * shorter)
            wait = min(self.retry_credentials, interval.length) * shorter
            message = "a Secret or a CatalogRegistry has to be mended, of which no event tells"
            return self._sooner(interval, now + wait, NextVerificationReason.MENDED_ELSEWHERE, message)
        doubled = self.retry_initial * 2 ** min(max(failures, 1) - 1, _MAX_DOUBLINGS)
        reason, message = NextVerificationReason.BACKOFF, f"{failures} checks in a row have failed"
        if failures == 1:
            message = "the last check has failed"
        if verdict.is_unasked:
            doubled = min(doubled, _LONGEST_UNASKED)
            reason, message = NextVerificationReason.CIRCUIT_OPEN, "the registry does not answer, and is not asked"
        wait = min(doubled, interval.length) * (1 + _RETRY_SPREAD * (2 * self.rng.random() - 1))
        return self._sooner(interval, now + wait, reason, message)

    @staticmethod
    def _sooner(interval: _Interval, at: datetime, reason: NextVerificationReason, message: str) -> NextCheck:
        return NextCheck(at, reason, message, interval.next(at).interval)

    def _interval(self, spec: CatalogImageSpec, pace: Pace | None) -> _Interval:
        asked, wished = max(spec.interval, self.min_interval), self.wished(spec)
        told, wanted = format_duration(wished), format_duration(asked)
        if pace is not None and pace.interval > wished:
            message = f"once in {format_duration(pace.interval)} instead of {told}: {pace.why}"
            return _Interval(
                pace.interval, differs=True, reason=NextVerificationReason.REGISTRY_BUDGET, message=message
            )
        if wished > asked:
            message = f"once in {told} instead of {wanted}: a digest's content cannot change, only be gone"
            return _Interval(wished, differs=True, reason=NextVerificationReason.DIGEST_PINNED, message=message)
        reason = NextVerificationReason.INTERVAL
        return _Interval(asked, differs=asked != spec.interval, reason=reason, message=f"once in {told}")


def _by_digest_alone(spec: CatalogImageSpec) -> bool:
    """Whether an entry is asked for by digest: where there is a tag, that it moves is to be noticed in time."""
    if "@" not in spec.registry_url:
        return False
    reference = Reference.try_parse(spec.registry_url)
    return reference is not None and reference.tag is None
