"""Events as they come, for as long as somebody wants them: through servers that stop and connections that break."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from image_catalog.cli.errors import ApiError, RequestTimedOutError, ServerUnreachableError
from image_catalog.cli.frames import Frame, read_frames
from image_catalog.cli.output import notice

if TYPE_CHECKING:
    from image_catalog.cli.client import CatalogClient
    from image_catalog.cli.waiting import Deadline

__all__ = ["EventWatch", "Show"]

Show = Callable[[Mapping[str, Any], bool], bool]
"""Prints an event, which the catalog itself confirms or not; returns whether there was anything to print."""

_SILENCE: Final = timedelta(seconds=60)
"""The server breaks its silence every 15 seconds: who says nothing for so long is gone."""
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(seconds=30)
_WORTH_TELLING: Final = 2
"""How many times in a row it did not work."""
_REMEMBERED: Final = 1000
"""Ids that are told from new ones where the place in the log is lost."""

_PASSING: Final = frozenset(
    {HTTPStatus.TOO_MANY_REQUESTS, *(s for s in HTTPStatus if s >= HTTPStatus.INTERNAL_SERVER_ERROR)}
)
_NEVER: Final = HTTPStatus.NOT_IMPLEMENTED


@dataclass(slots=True, kw_only=True)
class EventWatch:
    """Follows the stream of events.

    Parameters
    ----------
    catalog
        The API.
    parameters
        Its query parameters.
    show
        Prints an event.
    deadline
        Until when.
    count
        After how many events it ends; never when absent.
    """

    catalog: CatalogClient
    parameters: Mapping[str, str]
    show: Show
    deadline: Deadline
    count: int | None = None
    _shown: int = 0
    _place: str | None = None
    _last_time: str | None = None
    _known: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _pause: timedelta = _FIRST_PAUSE
    _reached: bool = False
    _lost: int = 0

    def run(self) -> None:
        """Print events until there are enough.

        Raises
        ------
        RequestTimedOutError
            Raised when the time is up.
        ApiError
            Raised for what waiting does not mend.
        ServerUnreachableError
            Raised if the server is not there from the start.
        """
        while not self._is_done():
            wanted = _FIRST_PAUSE
            try:
                for frame in self._frames():
                    wanted = frame.retry or wanted
                    self._take(frame)
                    if self._is_done():
                        return
                self._lose("the server ended the stream")
            except ApiError as e:
                if e.status == HTTPStatus.GONE and self._place is not None:
                    self._begin_anew()
                    continue
                if not self._reached or e.status not in _PASSING or e.status == _NEVER:
                    raise
                wanted = e.retry_after or wanted
                self._lose(e.message)
            except (ServerUnreachableError, RequestTimedOutError) as e:
                self._check_time()
                if not self._reached:
                    raise
                self._lose(e.message)
            self._wait(wanted)

    def _frames(self) -> Iterator[Frame]:
        lines = self.catalog.events(self.parameters, after=self._place, patience=self._patience)
        for frame in read_frames(lines):
            if self._lost >= _WORTH_TELLING:
                notice("the server answers again")
            self._reached, self._pause, self._lost = True, _FIRST_PAUSE, 0
            yield frame

    def _take(self, frame: Frame) -> None:
        if frame.name == "end":
            problem = frame.data if isinstance(frame.data, dict) else {}
            raise ApiError(
                str(problem.get("detail") or "the server ended the stream"),
                status=int(problem.get("status") or HTTPStatus.SERVICE_UNAVAILABLE),
                reason=str(problem.get("reason") or ""),
            )
        event = frame.data
        if isinstance(event, dict) and event.get("id") not in self._known:
            # Printed before the place moves on: what is cut off here is told again, and not lost.
            self._shown += self.show(event, frame.name != "unconfirmed")
            self._known.append(str(event.get("id")))
            self._last_time = str(event.get("time") or "") or self._last_time
        if frame.id is not None:
            self._place = frame.id

    def _begin_anew(self) -> None:
        notice("events since the last one are not kept any more, so some may be missing")
        self._place = None
        if self._last_time is not None:
            self.parameters = {**self.parameters, "since": self._last_time}

    def _lose(self, why: str) -> None:
        self._check_time()
        self._lost += 1
        # Servers and proxies end streams every few minutes, and no event is lost: only who stays away is told of.
        if self._lost == _WORTH_TELLING:
            notice(f"{why}; trying again until it answers or Ctrl-C")

    def _wait(self, wanted: timedelta) -> None:
        pause = max(self._pause, wanted)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        self.deadline.pause(pause)
        self._check_time()

    def _patience(self) -> float:
        self._check_time()
        return max(min(_SILENCE, self.deadline.remaining).total_seconds(), 0.001)

    def _is_done(self) -> bool:
        return self.count is not None and self._shown >= self.count

    def _check_time(self) -> None:
        if not self.deadline.remaining:
            of = f" of {self.count}" if self.count is not None else ""
            events = "1 event" if self._shown == 1 and not of else f"{self._shown}{of} events"
            limit = f"{self.deadline.limit.total_seconds():g}s"
            raise RequestTimedOutError(f"{events} came within --timeout {limit}")
