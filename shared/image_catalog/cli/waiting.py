"""``--wait``: until a phase has settled, until an entry is gone, until a registry in trouble answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from image_catalog.cli.errors import ApiError, NotFoundError, RequestTimedOutError
from image_catalog.cli.summary import available_condition, is_in_trouble

if TYPE_CHECKING:
    from image_catalog.cli.client import Answer, CatalogClient

__all__ = ["Deadline", "is_passing", "retried", "wait_until_gone", "wait_until_settled"]

_SETTLED: Final = frozenset({"Available", "Unavailable", "Failed"})
_FIRST_PAUSE: Final = timedelta(milliseconds=100)
"""A verification on a near registry takes less than a second."""
_LONGEST_PAUSE: Final = timedelta(seconds=2)
"""Somebody who waits for minutes notices no more than this."""
_FIRST_RETRY: Final = timedelta(seconds=1)
"""For a server, or a registry, in trouble that does not say how long it lasts."""
_LONGEST_RETRY: Final = timedelta(seconds=5)
"""What such trouble is asked for at most: each time a registry is asked too."""
_PASSING: Final = frozenset({"RegistryUnreachable", "RegistryError", "RateLimited"})
"""Reasons of a phase that is over when the registry is well again; every other one needs a person."""


@dataclass(slots=True)
class Deadline:
    """How long a command may still take.

    Parameters
    ----------
    limit
        From now on.
    clock, sleep
        Time itself, in seconds; tests have their own.
    """

    limit: timedelta
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _ends: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self._ends = self.clock() + self.limit.total_seconds()

    @property
    def remaining(self) -> timedelta:
        """What is left; nothing at all when the time is up."""
        return timedelta(seconds=max(0.0, self._ends - self.clock()))

    def pause(self, span: timedelta) -> bool:
        """Sleep; return whether there was time for it."""
        remaining = self.remaining
        self.sleep(min(span, remaining).total_seconds())
        return span < remaining


def is_passing(reason: str | None) -> bool:
    """Return whether what a phase gives as its reason is over without anybody's doing."""
    return reason in _PASSING


def retried(call: Callable[[timedelta], Answer], deadline: Deadline, *, notice: Callable[[str], None]) -> Answer:
    """Make a request until the server, and the registry behind it, are no longer in trouble.

    Parameters
    ----------
    call
        Makes the request; is given what is left of the time.
    deadline
        Until when.
    notice
        Is told in one line that and why the request is made again.

    Raises
    ------
    ApiError
        Raised as soon as the request is refused for good, and as a time-out when the next one would be too late.
    """
    usual = _FIRST_RETRY
    while True:
        try:
            return call(deadline.remaining)
        except ApiError as e:
            if e.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            pause = usual if e.retry_after is None else e.retry_after
            if pause >= deadline.remaining:
                raise ApiError(
                    f"{e.message}; --timeout {_seconds(deadline)} leaves no time to ask again",
                    status=HTTPStatus.GATEWAY_TIMEOUT,
                    reason=e.reason,
                    hint="it may pass: wait longer with --timeout",
                    details=e.details,
                ) from e
            notice(f"{e.reason}: {e.message}; asked again in {pause.total_seconds():.0f} s")
            deadline.pause(pause)
            usual = min(usual * 2, _LONGEST_RETRY)


def wait_until_settled(catalog: CatalogClient, image: Mapping[str, Any], deadline: Deadline) -> Mapping[str, Any]:
    """Return an entry once its phase has settled.

    Parameters
    ----------
    catalog
        Reads entries.
    image
        The entry as it was written.
    deadline
        Until when.

    Raises
    ------
    RequestTimedOutError
        Raised when the time is up.
    NotFoundError
        Raised if somebody removes the entry meanwhile.
    """
    name, namespace = image["metadata"]["name"], image["metadata"]["namespace"]
    # Asked by its reference in a list: asking for details counts as an access, and a script that waits is no reader.
    query = {"namespace": namespace, "registryUrl": image["spec"]["registryUrl"], "limit": "500"}
    pause = _FIRST_PAUSE
    while not _is_settled(image):
        if not deadline.pause(pause):
            raise RequestTimedOutError(
                f'catalog image "{name}" is still {_phase(image)} after {_seconds(deadline)}',
                hint=f"it goes on by itself: caib catalog get {name} -n {namespace}; or wait longer with --timeout",
            )
        pause = min(pause * 2, _LONGEST_PAUSE)
        items = catalog.list_images(query).document["items"]
        entry = next((item for item in items if item["metadata"]["name"] == name), None)
        if entry is None:
            raise NotFoundError(f'catalog image "{name}" was removed from namespace "{namespace}" meanwhile')
        image = entry
    return image


def wait_until_gone(catalog: CatalogClient, name: str, deadline: Deadline) -> None:
    """Return once an entry is gone; what has taken its name in the meantime is another entry.

    Parameters
    ----------
    catalog
        Reads entries.
    name
        The entry, in the client's namespace.
    deadline
        Until when.

    Raises
    ------
    RequestTimedOutError
        Raised when the time is up.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            entry = catalog.get_image(name).document
        except ApiError as e:
            if e.status == HTTPStatus.NOT_FOUND:
                return
            raise
        if not entry["metadata"].get("deletionTimestamp"):
            return
        if not deadline.pause(pause):
            raise RequestTimedOutError(
                f'catalog image "{name}" is still being removed after {_seconds(deadline)}',
                hint="its removal goes on by itself",
            )
        pause = min(pause * 2, _LONGEST_PAUSE)


def _is_settled(image: Mapping[str, Any]) -> bool:
    """Whether the phase of an entry will stay until something happens."""
    status = image.get("status") or {}
    return status.get("phase") in _SETTLED and not is_passing(available_condition(status).get("reason"))


def _phase(image: Mapping[str, Any]) -> str:
    status = image.get("status") or {}
    phase, reason = status.get("phase") or "Pending", available_condition(status).get("reason")
    return f"{phase} ({reason})" if reason and is_in_trouble(phase) else str(phase)


def _seconds(deadline: Deadline) -> str:
    return f"{deadline.limit.total_seconds():g}s"
