"""The broker: an ingress that accepts events, and a dispatcher per Trigger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from image_catalog.errors import InvalidEventError
from image_catalog.local.knative.cloudevent import CloudEvent, Headers, header_map, read_event
from image_catalog.local.knative.dispatcher import Dispatcher, Parcel, Replies
from image_catalog.local.knative.records import DeliveryRecord, Observer, Outcome
from image_catalog.local.knative.sending import passing_headers
from image_catalog.local.knative.settings import Clock, Settings

__all__ = ["EventBroker", "Ingress"]

_log = structlog.get_logger(__name__)

_TTL = "knativebrokerttl"
_TTL_START = 255

_ACCEPTED, _BAD_REQUEST, _NOT_FOUND, _NOT_ALLOWED, _TOO_LARGE, _CHANNEL_FAILED = 202, 400, 404, 405, 413, 500


class EventBroker:
    """Stamps events and hands them to every Trigger that wants them.

    Parameters
    ----------
    namespace
        The Broker's.
    name
        The Broker's.
    dispatchers
        Makes the dispatchers, given where their replies go.
    clock
        Gives the time of arrival.
    settings
        Says how long a sender is held back.
    observer
        Is told of each event that no Trigger wants.
    """

    def __init__(
        self,
        namespace: str,
        name: str,
        *,
        dispatchers: Callable[[Replies], Iterable[Dispatcher]],
        clock: Clock,
        settings: Settings,
        observer: Observer,
    ) -> None:
        self.namespace = namespace
        self.name = name
        self._clock = clock
        self._settings = settings
        self._dispatchers = tuple(dispatchers(self._receive_reply))
        self._observer = observer
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether no Trigger holds an event."""
        return all(dispatcher.idle for dispatcher in self._dispatchers)

    async def wait_idle(self) -> None:
        """Wait until no Trigger holds an event."""
        # A delivery may put a reply into another Trigger's queue, so one round is not enough.
        while not self.idle:
            for dispatcher in self._dispatchers:
                await dispatcher.wait_idle()

    async def receive(self, event: CloudEvent, headers: Headers) -> int:
        """Accept an event for every Trigger whose filter it passes, or for none.

        Returns
        -------
        int
            202; 400 when the event has passed the broker too often; 500 when a
            Trigger had no room for longer than a sender is held back.
        """
        ttl = _remaining_time_to_live(event)
        if ttl <= 0:
            _log.warning("event circles", broker=self.name, type=event.type, id=event.id)
            return _BAD_REQUEST
        stamped = event.extended({_TTL: None, "knativearrivaltime": _timestamp(self._clock.now())})
        parcel = Parcel(stamped, {**passing_headers(headers), "kn-namespace": self.namespace}, ttl)
        matching = [d for d in self._dispatchers if d.trigger.accepts(stamped.attributes)]
        if not await self._wait_for_room(matching) or self._closed:
            _log.warning("event refused", broker=self.name, type=event.type, id=event.id)
            return _CHANNEL_FAILED
        for dispatcher in matching:
            dispatcher.take(parcel)
        if not matching:
            self._observer(_unheard(stamped))
        return _ACCEPTED

    async def lose(self, trigger: str | None = None) -> int:
        """Lose what is not delivered yet, as an in-memory channel whose Pod dies, and go on.

        Parameters
        ----------
        trigger
            Only what this Trigger holds; `None` means all of them.

        Returns
        -------
        int
            How many deliveries that were; the observer is told of each.
        """
        mortal = [d for d in self._dispatchers if trigger in (None, d.trigger.name)]
        return sum(await asyncio.gather(*(dispatcher.lose() for dispatcher in mortal)))

    async def close(self) -> None:
        """Give up everything that is not delivered yet."""
        self._closed = True
        await asyncio.gather(*(dispatcher.close() for dispatcher in self._dispatchers))

    async def _receive_reply(self, event: CloudEvent, headers: Headers, ttl: int) -> int:
        return await self.receive(event.extended({_TTL: str(ttl)}), headers)

    async def _wait_for_room(self, dispatchers: Iterable[Dispatcher]) -> bool:
        try:
            async with asyncio.timeout(self._settings.patience.total_seconds()):
                while full := next((dispatcher for dispatcher in dispatchers if dispatcher.full), None):
                    await full.wait_for_room()
        except TimeoutError:
            return False
        return True


class Ingress:
    """The ASGI application at ``/<namespace>/<broker>``.

    Parameters
    ----------
    brokers
        By namespace and name.
    max_event_bytes
        Larger requests are answered 413.
    """

    def __init__(self, brokers: Mapping[tuple[str, str], EventBroker], *, max_event_bytes: int) -> None:
        self._brokers = brokers
        self._max_event_bytes = max_event_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        request = Request(scope, receive)
        try:
            status = await self._answer(request)
        except ClientDisconnect:
            return
        await Response(status_code=status, headers={"allow": "POST"})(scope, receive, send)

    async def _answer(self, request: Request) -> int:
        if request.method != "POST":
            return _NOT_ALLOWED
        body = await self._read(request)
        if body is None:
            return _TOO_LARGE
        headers = header_map(request.headers.raw)
        try:
            event = read_event(headers, body)
        except InvalidEventError as e:
            _log.warning("not a CloudEvent", path=request.url.path, reason=e.message)
            return e.status
        namespace, _, name = request.url.path.strip("/").partition("/")
        broker = self._brokers.get((namespace, name))
        return _NOT_FOUND if broker is None else await broker.receive(event, headers)

    async def _read(self, request: Request) -> bytes | None:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_event_bytes:
                return None
        return bytes(body)


def _unheard(event: CloudEvent) -> DeliveryRecord:
    return DeliveryRecord(
        event_type=event.type,
        event_id=event.id,
        source=event.attributes["source"],
        subject=event.subject,
        trigger="",
        function="",
        attempt=0,
        status=_ACCEPTED,
        elapsed=timedelta(),
        outcome=Outcome.UNHEARD,
        data=event.data,
    )


def _remaining_time_to_live(event: CloudEvent) -> int:
    """Count down what a reply inherited; anything else starts anew."""
    text = event.attributes.get(_TTL, "")
    if not text.removeprefix("-").isdecimal():
        return _TTL_START
    return int(text) - 1


def _timestamp(now: datetime) -> str:
    return now.isoformat().replace("+00:00", "Z")
