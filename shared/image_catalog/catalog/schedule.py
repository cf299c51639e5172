"""When an entry is to be checked next."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from image_catalog.models import CatalogImageSpec, Phase
from image_catalog.models.events import PhaseReason

if TYPE_CHECKING:
    # Verdicts know the registry client, which functions that only ask for the time of a check never load.
    from image_catalog.catalog.verdict import Verdict

__all__ = ["CHECK_DEADLINE", "Schedule"]

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
"""An interval is shortened by up to a tenth: what was published together drifts apart, and is never late."""
_RETRY_SPREAD = 0.2
_LONGEST_UNASKED = timedelta(minutes=10)
"""Longest wait of an entry whose registry is not asked: a check costs the registry nothing, and finds it well again."""
_MAX_DOUBLINGS = 30
"""Past this the wait is far beyond any interval; the bound keeps the number finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Decides when an entry is to be checked next.

    Parameters
    ----------
    min_interval
        Shortest interval in effect.
    retry_initial
        Wait after the first failure; doubled by each further one.
    retry_credentials
        Longest wait after a credential, a certificate or a host was refused:
        what mends these is no part of the entry.
    rng
        Spreads the times.
    """

    min_interval: timedelta
    retry_initial: timedelta
    retry_credentials: timedelta
    rng: random.Random

    def interval(self, spec: CatalogImageSpec) -> timedelta:
        """Return the verification interval in effect."""
        return max(spec.interval, self.min_interval)

    def regular(self, spec: CatalogImageSpec, *, since: datetime) -> datetime:
        """Return when an entry whose last check was good is due again."""
        return since + self.interval(spec) * (1 - _SPREAD * self.rng.random())

    def after(
        self,
        spec: CatalogImageSpec,
        verdict: Verdict,
        *,
        failures: int,
        now: datetime,
        retry_after: timedelta | None = None,
    ) -> datetime:
        """Return when an entry is due after a verdict.

        Parameters
        ----------
        spec
            The entry's spec.
        verdict
            What holds true of it now.
        failures
            Checks that failed one after another, this one included.
        now
            When it was checked.
        retry_after
            How long the registry asked us to wait.
        """
        interval = self.interval(spec)
        if not verdict.failed:
            wait = self.regular(spec, since=now) - now
        elif verdict.phase is Phase.UNAVAILABLE:
            doubled = self.retry_initial * 2 ** min(max(failures, 1) - 1, _MAX_DOUBLINGS)
            if verdict.is_unasked:
                doubled = min(doubled, _LONGEST_UNASKED)
            wait = min(doubled, interval) * (1 + _RETRY_SPREAD * (2 * self.rng.random() - 1))
        elif verdict.reason in _MENDED_ELSEWHERE:
            wait = min(self.retry_credentials, interval) * (1 - _SPREAD * self.rng.random())
        else:
            wait = interval * (1 - _SPREAD * self.rng.random())
        if retry_after is not None:
            # What a registry has stopped together comes back spread out, and none of it too early.
            wait = max(wait, retry_after * (1 + _SPREAD * self.rng.random()))
        return now + wait
