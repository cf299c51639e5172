"""How fast a registry lets one credential ask: what it says when it is too fast, and before it is.

A 429 stops everything that is asked of the registry with the same credential,
not only the image that it came for: other requests would meet the same answer
and lengthen the wait. A credential of another tenant has a limit of its own.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import httpx

from image_catalog.errors import RateLimitedError
from image_catalog.models import format_time
from image_catalog.registry.access import Access
from image_catalog.registry.answers import Answer, retry_after
from image_catalog.registry.limits import RETRY_AFTER
from image_catalog.registry.metrics import count_refusal

__all__ = ["Quota", "Scarcity", "Throttle", "is_rate_limited", "read_quota"]

_FIRST_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(seconds=60)
"""Waits after a 429 that names none, doubled from the first to the longest (containers/image does the same)."""

_MAX_DOUBLINGS = 5

_RESERVE = 0.1
"""Share of a limit that is left for others; the rest is used as fast as it is needed."""
_RESERVE_UNKNOWN = 5
"""The same in requests, where the registry names no limit."""

_KEPT = 4096
"""Registries and credentials that are remembered; those that were heard of longest ago are forgotten."""

_COUNT = re.compile(r"(\d{1,9})\s*;\s*w=(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a registry still lets a credential ask.

    Attributes
    ----------
    remaining
        Requests that are left.
    window
        The time that they are for.
    limit
        Requests in such a time; `None` where it does not say.
    """

    remaining: int
    window: timedelta
    limit: int | None = None

    @property
    def pause(self) -> timedelta | None:
        """Time between requests that what is left allows; `None` while there is enough of it."""
        reserve = _RESERVE_UNKNOWN if self.limit is None else max(round(self.limit * _RESERVE), 1)
        if self.remaining > reserve:
            return None
        return min(self.window / (self.remaining + 1), RETRY_AFTER)


@dataclass(frozen=True, slots=True)
class Scarcity:
    """What a registry has said when little was left of its limit.

    Attributes
    ----------
    remaining
        Requests that were left.
    until
        When another look is worth one of them.
    """

    remaining: int
    until: datetime


def read_quota(headers: httpx.Headers) -> Quota | None:
    """Read ``ratelimit-remaining: 20;w=21600`` and the limit beside it, as Docker Hub sends them.

    Parameters
    ----------
    headers
        Headers of any answer.

    Returns
    -------
    Quota or None
        `None` where there is none, and where it is odd: another form, no window, or more left than there is.
    """
    remaining = _COUNT.fullmatch(headers.get("ratelimit-remaining", "").strip())
    if remaining is None or int(remaining[2]) == 0:
        return None
    limit = _COUNT.fullmatch(headers.get("ratelimit-limit", "").strip())
    count, most = int(remaining[1]), int(limit[1]) if limit else None
    if most is not None and count > most:
        return None
    return Quota(count, timedelta(seconds=int(remaining[2])), most)


def is_rate_limited(answer: Answer) -> bool:
    """Tell whether an answer asks us to slow down: 429, or 503 with ``Retry-After``."""
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS or (
        answer.status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after(answer.headers) is not None
    )


@dataclass(slots=True)
class _Standing:
    until: datetime | None = None
    """No request before."""
    stops: int = 0
    """How often it was stopped in a row."""
    pause: timedelta | None = None
    """Time between operations that read content; `None` for as fast as they come."""
    following: datetime | None = None
    """No such operation before."""


class Throttle:
    """Knows who has to wait before asking a registry again.

    Parameters
    ----------
    now
        Tells the time.
    """

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._standings: OrderedDict[tuple[str, str], _Standing] = OrderedDict()
        # By CatalogRegistry, which administrators make: there are as many as there are.
        self._spent: Counter[str] = Counter()
        self._scarce: dict[str, Scarcity] = {}

    def spent(self, budget: str) -> int:
        """Return how many requests this process has made that count for a CatalogRegistry, by its host."""
        return self._spent[budget]

    def scarcity(self, budget: str) -> Scarcity | None:
        """Return what a registry has said while little is left, by the host of its CatalogRegistry."""
        found = self._scarce.get(budget)
        return found if found is not None and self._now() < found.until else None

    def admit(self, access: Access, method: str, subject: str) -> None:
        """Let a request through.

        While little is left of a limit, operations that read content are
        spaced out. ``HEAD`` is not held up: where limits are told before they
        are reached, it does not count.

        Parameters
        ----------
        access
            Who asks.
        method
            The HTTP method.
        subject
            What it is about.

        Raises
        ------
        RateLimitedError
            Raised if it is too early.
        """
        standing = self._standings.get((access.target.registry, access.identity))
        if standing is not None:
            self._hold_up(standing, access, method, subject)
        if access.target.budget is not None:
            self._spent[access.target.budget] += 1

    def _hold_up(self, standing: _Standing, access: Access, method: str, subject: str) -> None:
        """Refuse a request that comes too early."""
        now = self._now()
        if standing.until is not None and now < standing.until:
            raise self._refusal(access, f"{subject}: the registry asked us to slow down", standing.until - now)
        if method != "GET" or standing.pause is None or access.tally.paced:
            return
        if standing.following is not None and now < standing.following:
            raise self._refusal(access, f"{subject}: the registry's limit is nearly used up", standing.following - now)
        standing.following = now + standing.pause
        access.tally.paced = True

    def note(self, access: Access, answer: Answer) -> timedelta | None:
        """Learn from an answer.

        Parameters
        ----------
        access
            Who asked.
        answer
            Any answer.

        Returns
        -------
        timedelta or None
            How long everything has to wait that the same credential asks of the registry, where it does.
        """
        key = (access.target.registry, access.identity)
        if is_rate_limited(answer):
            return self._stop(key, answer)
        standing, quota = self._standings.get(key), read_quota(answer.headers)
        pause = quota.pause if quota else None
        if quota is not None and access.target.budget is not None:
            self._learn(access.target.budget, quota)
        if standing is None and pause is None:
            return None
        standing = self._keep(key)
        if answer.status < HTTPStatus.BAD_REQUEST and (standing.until is None or self._now() >= standing.until):
            standing.stops, standing.until = 0, None
        if quota is not None:
            standing.pause = pause
            standing.following = standing.following if pause else None
        if standing.until is None and standing.pause is None:
            del self._standings[key]
        return None

    def _learn(self, budget: str, quota: Quota) -> None:
        """Keep in mind that little is left, or forget it."""
        if quota.pause is None:
            self._scarce.pop(budget, None)
        else:
            self._scarce[budget] = Scarcity(quota.remaining, self._now() + quota.pause)

    def _stop(self, key: tuple[str, str], answer: Answer) -> timedelta:
        standing, now = self._keep(key), self._now()
        if standing.until is None or now >= standing.until:
            # Answers to requests that were under way together are one refusal.
            standing.stops += 1
        doubled = _FIRST_WAIT * 2 ** min(standing.stops - 1, _MAX_DOUBLINGS)
        asked = retry_after(answer.headers, now=now)
        until = now + (asked or min(doubled, _LONGEST_WAIT))
        standing.until = max(until, standing.until or until)
        return standing.until - now

    def _keep(self, key: tuple[str, str]) -> _Standing:
        standing = self._standings.setdefault(key, _Standing())
        self._standings.move_to_end(key)
        while len(self._standings) > _KEPT:
            self._standings.popitem(last=False)
        return standing

    def _refusal(self, access: Access, message: str, wait: timedelta) -> RateLimitedError:
        count_refusal(access.target.registry, "rate_limited")
        moment = format_time(self._now() + wait)
        return RateLimitedError(f"{message}; it is not asked before {moment}", retry_after=wait)
