"""Watchers of the API's event stream without a socket, and the log that it is read from, in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from image_catalog.audit.records import CONFIRMATION, Outcome, Record
from image_catalog.errors import AuditUnavailableError
from image_catalog.events import PREFIX
from image_catalog.testing.catalog_api import BASE
from image_catalog.testing.cluster_asgi import ASGIApp, Message

__all__ = ["MIDNIGHT", "Frame", "MemoryLog", "StreamClient", "Watch", "catalog_event", "watcher_of"]

_PATIENCE = timedelta(seconds=10)

MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC)
"""When the records of a `MemoryLog` begin; each is a minute later than the one before."""


def catalog_event(number: int, short: str = "image.available", **attributes: str) -> dict[str, Any]:
    """Make a catalog event in structured mode, about an entry of the namespace default."""
    told = {"catalognamespace": "default", "catalogname": "autosd", "architecture": "arm64", **attributes}
    subject = f"{told['catalognamespace']}/{told.get('catalogname', '')}"
    return {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": f"/apis/automotive.sdv.cloud.redhat.com/v1alpha1/namespaces/{subject}",
        "type": f"{PREFIX}{short}",
        "subject": subject,
        "time": "2026-06-01T12:00:00Z",
        **{name: value for name, value in told.items() if value},
        "datacontenttype": "application/json",
        "data": {"name": told.get("catalogname"), "namespace": told["catalognamespace"]},
    }


class MemoryLog:
    """The audit's log, in memory.

    Attributes
    ----------
    records
        What is in it.
    asked
        How often it was asked what is new.
    broken
        Whether it answers nobody.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.asked = 0
        self.broken = False

    def write(
        self, event: dict[str, Any] | None, *, confirmed: bool = True, confirms: str | None = None, **fields: Any
    ) -> Record:
        """Write a record.

        Parameters
        ----------
        event
            The event that it is of; `None` for what an entry showed.
        confirmed
            Whether an entry shows it.
        confirms
            Id of the event that it adds to.
        fields
            What its other fields shall be.
        """
        seq = self.records[-1].seq + 1 if self.records else 1
        first = next((record for record in self.records if record.event_id == confirms), None)
        about = event or {}
        data = {**({"event": event} if event else {}), **({"confirms": confirms} if confirms else {})}
        known = {
            "event_id": confirms or about.get("id") or f"change-{seq}",
            "kind": CONFIRMATION if confirms else str(about.get("type", "image.changed")).removeprefix(PREFIX),
            "namespace": first.namespace if first else about.get("catalognamespace", "default"),
            "name": first.name if first else about.get("catalogname", "autosd"),
            "digest": None,
            "data": data,
            **fields,
        }
        record = Record(
            seq=seq,
            time=MIDNIGHT,
            recorded_at=MIDNIGHT + timedelta(minutes=seq),
            actor="",
            outcome=Outcome.SUCCEEDED,
            registry_url=None,
            message="",
            confirmed=confirmed,
            chain="default/autosd",
            position=seq,
            previous_hash="",
            hash="",
            **known,
        )
        self.records.append(record)
        return record

    async def after(self, seq: int, *, limit: int = 100) -> list[Record]:
        """Return what follows a place."""
        self._answer()
        self.asked += 1
        return [record for record in self.records if record.seq > seq][:limit]

    async def newest(self) -> int:
        """Return the last place."""
        self._answer()
        return self.records[-1].seq if self.records else 0

    async def oldest(self) -> int:
        """Return the first place."""
        self._answer()
        return self.records[0].seq if self.records else 0

    async def newest_before(self, moment: datetime) -> int:
        """Return the last place before a moment."""
        self._answer()
        return max((record.seq for record in self.records if record.recorded_at < moment), default=0)

    async def find(self, event_id: str) -> Record | None:
        """Return the record of an event."""
        self._answer()
        return next((r for r in self.records if r.event_id == event_id and r.kind != CONFIRMATION), None)

    async def aclose(self) -> None:
        """Do nothing."""

    def _answer(self) -> None:
        if self.broken:
            raise AuditUnavailableError("the database does not answer")


@dataclass(frozen=True, slots=True)
class Frame:
    """A server-sent event as a client reads it."""

    id: str | None
    name: str
    data: Any


@dataclass
class StreamClient:
    """A client of the stream.

    Attributes
    ----------
    status, headers
        Of the answer.
    last
        The id that it would resume by.
    served
        Done when the application has ended with it.
    reading
        Cleared while it does not read what is in its line.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    last: str | None = None
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    served: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    body: bytes = b""
    comments: int = 0
    _frames: asyncio.Queue[Frame | None] = field(default_factory=asyncio.Queue)
    _started: asyncio.Event = field(default_factory=asyncio.Event)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def unread(self) -> int:
        """How many events have come that nobody has asked for."""
        return self._frames.qsize()

    async def next(self) -> Frame | None:
        """Return the next event with data; `None` when the stream has ended."""
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            return await self._frames.get()

    async def ids(self, count: int) -> list[str]:
        """Return the ids of the next CloudEvents."""
        found = [await self.next() for _ in range(count)]
        return [frame.data["id"] for frame in found if frame is not None]

    async def take(self, message: Message) -> None:
        """Be the connection's end: wait until the client reads."""
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            await self.reading.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self._started.set()
            return
        self.body += message.get("body", b"")
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            while b"\n\n" in self.body:
                frame, self.body = self.body.split(b"\n\n", 1)
                self._read(frame.decode())
        if not message.get("more_body"):
            self.ended = True
            self._frames.put_nowait(None)
        self._came.set()

    async def started(self) -> None:
        """Wait for the head of the answer."""
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            await self._started.wait()

    async def until(self, seen: Callable[[], object]) -> None:
        """Wait until something is true, as it may become whenever something comes."""
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            while not seen():
                self._came.clear()
                await self._came.wait()

    async def end(self) -> Any:
        """Read to the end; return the last event's data."""
        last = None
        while (frame := await self.next()) is not None:
            last = frame
        return last.data if last else None

    def _read(self, text: str) -> None:
        lines = [line.partition(":") for line in text.split("\n")]
        fields = {name: value.removeprefix(" ") for name, _, value in lines if name}
        self.comments += sum(not name for name, _, _ in lines)
        self.last = fields.get("id", self.last)
        if "data" in fields:
            data = json.loads(fields["data"])
            self._frames.put_nowait(Frame(fields.get("id"), fields.get("event", "message"), data))


Watch = Callable[..., AbstractAsyncContextManager[StreamClient]]


def watcher_of(app: ASGIApp) -> Watch:
    """Return what opens streams of an application."""

    @asynccontextmanager
    async def watch(
        *, headers: dict[str, str] | None = None, method: str = "GET", **parameters: str
    ) -> AsyncIterator[StreamClient]:
        client, gone = StreamClient(), asyncio.Event()
        client.reading.set()
        asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Message:
            for message in asked:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": f"{BASE}/events",
            "raw_path": f"{BASE}/events".encode(),
            "root_path": "",
            "query_string": urlencode(parameters).encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "server": ("api.test", 80),
            "client": ("127.0.0.1", 1),
            "state": {},
        }
        client.served = serving = asyncio.ensure_future(app(scope, receive, client.take))
        try:
            await client.started()
            yield client
        finally:
            gone.set()
            client.reading.set()
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                await serving

    return watch
