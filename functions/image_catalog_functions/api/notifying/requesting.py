"""Has entries checked of which a registry has told that their place has other content now."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

import structlog
from prometheus_client import Counter, Gauge

from image_catalog.catalog.index import Entry, Index
from image_catalog.catalog.plain import text_in
from image_catalog.errors import CatalogError, SinkUnavailableError
from image_catalog.events import CatalogEvent, EventSink
from image_catalog.models import Reference
from image_catalog.models.events import VerificationReason, VerificationRequest
from image_catalog_functions.api.notifying.doors import Door
from image_catalog_functions.api.notifying.pacing import Pacer
from image_catalog_functions.api.notifying.senders.pushes import Push
from image_catalog_functions.api.writing.asking import Asker, request_event

__all__ = ["Asked", "PushPacer", "PushRequester"]

_log = structlog.get_logger(__name__)

REQUESTS = Counter(
    "image_catalog_api_push_requests_total",
    "Checks that pushes asked for, by whether each was sent, or had to wait for the pace of its entry or its registry.",
    ("outcome",),
)
_WAITING = Gauge("image_catalog_api_push_requests_waiting", "Checks that pushes asked for and that wait to be sent.")

_IDS: Final = uuid.UUID("6a0c7c1e-3f0b-5d5f-9c55-2f1d3a6f1c1b")
"""Namespace of the ids of requests; fixed, because a second delivery of a notification must give the same id."""

_BATCH: Final = 100
"""Requests that are sent together."""

_PAUSE: Final = 5.0
"""Seconds before the broker is tried again that did not take a request."""

_PARTING: Final = 5.0
"""Seconds that the end of the process waits for what was not sent yet."""

_Key: TypeAlias = tuple[str, str]
"""Namespace and name of an entry."""
_Place: TypeAlias = tuple[str, str | None, str | None]
"""Repository, and a tag, a digest, or neither."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """Why an entry is to be checked."""

    request_id: str
    """Chosen once: a request that a broker took without a word is sent again under the same id."""
    traceparent: str | None


PushPacer: TypeAlias = Pacer[_Key, _Wish]
"""Paces the checks of entries, by registry."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a notification.

    Attributes
    ----------
    requested
        Entries whose check was asked for.
    postponed
        Entries whose check will be, as soon as their pace or their registry's allows it.
    """

    requested: int
    postponed: int


class PushRequester:
    """Emits a request for each entry that a push is about, no faster than is good for its registry.

    What waits is kept in memory: it is sent when the process is told to stop.
    Where it dies instead, the entries are checked when they are due.

    Parameters
    ----------
    index
        Knows which entries a push is about.
    sink
        Takes the requests; `None` without a broker: then none can be made.
    pacer
        Says which may go.
    clock
        Tells the time.
    """

    def __init__(
        self, *, index: Index, sink: EventSink | None, pacer: PushPacer, clock: Callable[[], datetime]
    ) -> None:
        self._index = index
        self._sink = sink
        self._pacer = pacer
        self._clock = clock
        self._news = asyncio.Event()
        _WAITING.set_function(pacer.__len__)

    async def request(self, door: Door, pushes: Iterable[Push], *, traceparent: str | None) -> Asked:
        """Have checked what pushes are about.

        Parameters
        ----------
        door
            The registry that tells of them.
        pushes
            What it tells.
        traceparent
            W3C trace context of the notification.

        Raises
        ------
        SinkUnavailableError
            Raised when the broker took not all of the requests; they are sent when it does.
        """
        wishes = {
            (entry.namespace, entry.name): _Wish(_request_id(door, push, entry), traceparent)
            for place, push in _places(pushes).items()
            for entry in self._concerned(door, *place)
        }
        now = [(door.name, key, wish) for key, wish in wishes.items() if self._pacer.admit(door.name, key, wish)]
        postponed = len(wishes) - len(now)
        if postponed:
            self._news.set()
            REQUESTS.labels("postponed").inc(postponed)
        await self._send(now)
        return Asked(len(now), postponed)

    async def run(self) -> None:
        """Send what waits when its time has come, for as long as the API serves."""
        while True:
            wait = self._pacer.wait()
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), wait)
            try:
                await self._send(self._pacer.release(_BATCH))
            except CatalogError:
                await asyncio.sleep(_PAUSE)

    async def flush(self) -> None:
        """Send all that waits, for the process ends."""
        left = self._pacer.take_all()
        try:
            async with asyncio.timeout(_PARTING):
                await self._send(left)
        except (CatalogError, TimeoutError):
            _log.warning("pushes not passed on", entries=len(left))

    def _concerned(self, door: Door, repository: str, tag: str | None, digest: str | None) -> tuple[Entry, ...]:
        named = Reference.try_parse(f"{door.host}/{repository}")
        if named is None or named.tag or named.digest:
            return ()
        return self._index.of_push(named.name, tag=tag, digest=digest)

    async def _send(self, wishes: list[tuple[str, _Key, _Wish]]) -> None:
        requests = [(*wish, event) for wish in wishes if (event := self._event(*wish[1:])) is not None]
        delivered: Collection[str] = ()
        try:
            if requests:
                await self._require_sink().send([event for *_, event in requests])
            delivered = {event.id for *_, event in requests}
        except SinkUnavailableError as e:
            delivered = e.delivered
            _log.warning("pushes wait for the broker", entries=len(requests) - len(delivered), error=e.message)
            raise
        finally:
            left = [request for request in requests if request[-1].id not in delivered]
            for lane, key, wish, _ in left:  # Also where nobody waits for it any more.
                self._pacer.keep(lane, key, wish)
            if left:
                self._news.set()
            REQUESTS.labels("sent").inc(len(requests) - len(left))

    def _require_sink(self) -> EventSink:
        if self._sink is None:
            raise SinkUnavailableError("no broker is bound to the API: K_SINK is not set; bind it with a SinkBinding")
        return self._sink

    def _event(self, key: _Key, wish: _Wish) -> CatalogEvent | None:
        entry = self._index.get(*key)
        if entry is None:
            return None  # It went while it waited.
        url = text_in(entry.object, "spec", "registryUrl") or None
        request = VerificationRequest(
            name=entry.name, namespace=entry.namespace, registry_url=url, reason=VerificationReason.REGISTRY_PUSH
        )
        asker = Asker(traceparent=wish.traceparent)
        return request_event(request, clock=self._clock, asker=asker, event_id=wish.request_id)


def _places(pushes: Iterable[Push]) -> dict[_Place, Push]:
    """Return each place that pushes are about once, with the last of them: what is said often costs no more."""
    places: dict[_Place, Push] = {}
    for push in pushes:
        if push.tag:
            places[push.repository, push.tag, None] = push
        if push.digest or not push.tag:
            places[push.repository, None, push.digest] = push
    return places


def _request_id(door: Door, push: Push, entry: Entry) -> str:
    """Return the id of a request: of a push that the sender can tell from others the same at each delivery.

    Of two pushes that a sender writes alike each is one of its own: under the
    id of the first, the second would be taken for its second delivery, and not
    be looked at.
    """
    if push.mark is None:
        return str(uuid.uuid4())
    told = (door.name, push.mark, push.repository, push.tag or "", push.digest or "", entry.namespace, entry.name)
    return str(uuid.uuid5(_IDS, "\n".join(told)))
