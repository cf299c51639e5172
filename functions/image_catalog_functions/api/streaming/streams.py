"""One watcher's stream: from where it begins, what it is told, and how it ends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import Gauge
from sse_starlette import ServerSentEvent

from image_catalog.errors import CatalogError
from image_catalog_functions.api.http.problems import Problem, ProblemReason, problem_of, respond
from image_catalog_functions.api.streaming.tail import Log, Tail
from image_catalog_functions.api.streaming.told import Told

if TYPE_CHECKING:
    from image_catalog.events.cesql import Expression

__all__ = ["END", "StreamLimits", "Streams", "Watcher"]

logger = structlog.get_logger(__name__)

END: Final = "end"
"""Name of the server-sent event that says why a stream ends; its data is a problem document."""

_RETRY: Final = timedelta(seconds=2)
"""How long a client waits before it comes back."""

_AT_ONCE: Final = 50
"""Events that are sent between two looks at clock and signals."""

_PIECE: Final = 64 * 1024
"""Bytes after which a piece is sent, so that an event of the largest size does not wait for fifty of them."""

_LOOK: Final = timedelta(milliseconds=500)
"""Time between two looks whether the process is to stop."""

WATCHERS: Final = Gauge("image_catalog_api_streams", "Clients that are told events as they come.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """How long, how often and how many.

    Attributes
    ----------
    poll
        Time between two looks into the log.
    heartbeat
        Longest silence: proxies cut a connection that says nothing for a minute.
    recheck
        Time between two looks at a watcher's token and rights.
    send
        How long a client may take to read what is in its line.
    behind
        How long a client that was up to date may take to be so again.
    clients, clients_each
        Streams of one process, and of one user.
    kept, kept_bytes
        Events that are kept for all of them, and how much they may take; who needs others reads the log.
    """

    poll: timedelta = timedelta(milliseconds=500)
    heartbeat: timedelta = timedelta(seconds=15)
    recheck: timedelta = timedelta(seconds=30)
    send: timedelta = timedelta(seconds=30)
    behind: timedelta = timedelta(minutes=1)
    clients: int = 500
    clients_each: int = 50
    kept: int = 1000
    kept_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """What one client is told, and why it may be.

    Attributes
    ----------
    namespace
        Of the entries; `None` for all.
    filter
        What events have to match; `None` for all.
    permit
        Raises the problem that ends the stream once the client may watch no more.
    path
        What it asked for.
    """

    namespace: str | None
    filter: Expression | None
    permit: Callable[[], Awaitable[object]]
    path: str

    def wants(self, event: Told) -> bool:
        """Return whether it is told of an event."""
        if self.namespace is not None and event.namespace != self.namespace:
            return False
        return self.filter is None or self.filter.matches(event.attributes)


class Streams:
    """The streams of one process.

    Parameters
    ----------
    log
        The audit.
    limits
        How long, how often and how many.
    stopping
        Set when the process is told to stop.
    """

    def __init__(self, log: Log, *, limits: StreamLimits, stopping: asyncio.Event) -> None:
        self.tail = Tail(log, poll=limits.poll, kept=limits.kept, kept_bytes=limits.kept_bytes)
        self._limits = limits
        self._stopping = stopping
        self._users: Counter[str] = Counter()

    @contextmanager
    def admitted(self, user: str) -> Iterator[None]:
        """Hold one of the places.

        Raises
        ------
        Problem
            503 when there is none.
        """
        most, mine = self._users.total() >= self._limits.clients, self._users[user] >= self._limits.clients_each
        if most or mine:
            said = f"{user} watches" if mine else "others watch"
            detail = f"{said} as many event streams as this process has room for; come back later"
            raise Problem(503, ProblemReason.TOO_MANY_STREAMS, detail, headers={"Retry-After": "10"})
        self._users[user] += 1
        WATCHERS.inc()
        try:
            yield
        finally:
            self._users -= Counter((user,))
            WATCHERS.dec()

    async def follow(self, watcher: Watcher, seq: int) -> AsyncIterator[bytes]:
        """Yield server-sent events from a place of the log on, until something ends that.

        Parameters
        ----------
        watcher
            Who is told what.
        seq
            Where it begins.
        """
        yield f"retry: {_RETRY // timedelta(milliseconds=1)}\n{_place(seq)}".encode()
        try:
            async with aclosing(self._frames(watcher, seq)) as found:
                async for frames in found:
                    for piece in _pieces(frames):
                        yield piece
        except (Problem, CatalogError) as e:
            problem = problem_of(e)
            logger.info("stream ended", reason=problem.reason, detail=problem.detail)
            yield _ended(problem, watcher.path)

    async def _frames(self, watcher: Watcher, seq: int) -> AsyncGenerator[Sequence[bytes], None]:
        limits, tail = self._limits, self.tail
        said = permitted = time.monotonic()
        behind_since, restored = inf, tail.restored
        while True:
            if self._stopping.is_set():
                raise Problem(503, ProblemReason.STOPPING, "this process of the catalog stops; another one goes on")
            if restored != tail.restored:
                detail = "the history was restored to an earlier state, so that ids of events mean others; begin anew"
                raise Problem(410, ProblemReason.EVENT_ID_GONE, detail)
            if time.monotonic() - permitted >= limits.recheck.total_seconds():
                await watcher.permit()
                permitted = time.monotonic()
            if seq >= tail.floor:
                behind_since = 0.0
                events, seq = tail.since(seq, limit=_AT_ONCE)
            else:
                # It may have come from long ago; but who was up to date and cannot stay so reads too slowly.
                behind_since = behind_since or time.monotonic()
                if time.monotonic() - behind_since > limits.behind.total_seconds():
                    detail = "the client reads more slowly than events come; it can go on from the last id that it has"
                    raise Problem(503, ProblemReason.TOO_SLOW, detail)
                events, seq = await tail.page(seq)
            frames = [event.frame for event in events if watcher.wants(event)]
            if not frames and time.monotonic() - said >= limits.heartbeat.total_seconds():
                # A place without data: who filters most away does not begin before all of it when it comes back.
                frames = [f": still here\n{_place(seq)}".encode()]
            if frames:
                yield frames
                said = time.monotonic()
            elif not events:
                due = min(said + limits.heartbeat.total_seconds(), permitted + limits.recheck.total_seconds())
                await tail.changes(seq, within=min(_LOOK, timedelta(seconds=max(0.0, due - time.monotonic()))))
            else:
                await asyncio.sleep(0)  # Nobody else waits while a filter lets nothing through.


def _pieces(frames: Sequence[bytes]) -> Iterator[bytes]:
    """Yield frames together: to hand a piece to the server costs more than what is in it."""
    piece, size = list[bytes](), 0
    for frame in frames:
        piece.append(frame)
        size += len(frame)
        if size >= _PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


def _place(seq: int) -> str:
    return f"id: {seq}\n\n"


def _ended(problem: Problem, path: str) -> bytes:
    body = bytes(respond(problem, path).body).decode()
    return ServerSentEvent(body, event=END, sep="\n").encode()
