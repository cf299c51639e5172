"""One Trigger's deliveries: attempts, pauses, replies, dead letters."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count

import structlog

from image_catalog.events import read_refusal
from image_catalog.local.knative.cloudevent import CloudEvent, Headers
from image_catalog.local.knative.records import DeliveryRecord, Observer, Outcome
from image_catalog.local.knative.resources import Trigger
from image_catalog.local.knative.sending import Answer, Sender, Verdict, judge, passing_headers, read_reply
from image_catalog.local.knative.settings import Clock, Settings

__all__ = ["Dispatcher", "Parcel", "Replies", "Route"]

_log = structlog.get_logger(__name__)

_LOST = Answer(None, error="whoever held it has died")

_ERROR_DATA_LENGTH = 1024
"""Knative's limit for ``knativeerrordata``, in characters of base64."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """An event on its way.

    Attributes
    ----------
    event
        As subscribers see it.
    headers
        Those of the sender that survive a broker.
    ttl
        How often this event and its replies may still pass the broker.
    """

    event: CloudEvent
    headers: Headers
    ttl: int


@dataclass(frozen=True, slots=True)
class Route:
    """Where a Trigger's events go.

    Attributes
    ----------
    subscriber
        A URL.
    address
        How a cluster names the subscriber: dead letters say who refused them, and a port of this machine says nothing.
    ingress
        The URL of the broker's own ingress, named in dead letters for replies it did not take.
    dead_letter
        A URL, where there is a sink.
    """

    subscriber: str
    address: str
    ingress: str
    dead_letter: str | None


Replies = Callable[[CloudEvent, Headers, int], Awaitable[int]]
"""Takes a reply with its headers and remaining time to live; gives the ingress's status."""


class Dispatcher:
    """Delivers to one subscriber, in order of arrival, several at a time.

    An event that backs off leaves its place to the next: a subscriber that
    refuses one event still gets the others.

    Parameters
    ----------
    trigger
        The subscription.
    route
        Its destinations, resolved.
    sender
        Speaks HTTP.
    replies
        The broker's ingress.
    clock
        Times the pauses.
    settings
        Limits and the scale of the pauses.
    observer
        Is told of each attempt.
    """

    def __init__(
        self,
        trigger: Trigger,
        *,
        route: Route,
        sender: Sender,
        replies: Replies,
        clock: Clock,
        settings: Settings,
        observer: Observer,
    ) -> None:
        self.trigger = trigger
        self._route = route
        self._sender = sender
        self._replies = replies
        self._clock = clock
        self._settings = settings
        self._observer = observer
        self._timeout = trigger.delivery.timeout or settings.request_timeout
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._tasks: dict[asyncio.Task[None], Parcel] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting, in flight or backing off."""
        return not self._tasks

    @property
    def full(self) -> bool:
        """Whether the next event has to wait."""
        return len(self._tasks) >= self._settings.queue_limit

    async def wait_idle(self) -> None:
        """Wait until nothing is waiting, in flight or backing off."""
        await self._idle.wait()

    async def wait_for_room(self) -> None:
        """Wait until there may be a place; ask `full` again, others wait too."""
        await self._room.wait()

    def take(self, parcel: Parcel) -> None:
        """Accept an event; the delivery goes on in the background."""
        task = asyncio.create_task(self._deliver(parcel), name=f"deliver-{self.trigger.name}-{parcel.event.id}")
        self._tasks[task] = parcel
        self._idle.clear()
        if self.full:
            self._room.clear()
        task.add_done_callback(self._finished)

    async def close(self) -> None:
        """Give up everything that is not delivered yet."""
        await self._cancel()

    async def lose(self) -> int:
        """Lose everything that is not delivered yet, as an in-memory channel whose Pod dies, and go on.

        Returns
        -------
        int
            How many events that were; the observer is told of each.
        """
        lost = await self._cancel()
        for parcel in lost:
            self._observe(parcel, 0, _LOST, Outcome.DROPPED)
        return len(lost)

    async def _cancel(self) -> list[Parcel]:
        """Cancel what is under way; return what has not come to its end."""
        under_way = dict(self._tasks)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        return [parcel for task, parcel in under_way.items() if task.cancelled()]

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._room.set()
        if not self._tasks:
            self._idle.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("delivery crashed", trigger=self.trigger.name, exc_info=error)

    async def _deliver(self, parcel: Parcel) -> None:
        headers = {**parcel.headers, "prefer": "reply"}
        for attempt in count(1):
            async with self._slots:
                answer = await self._send(self._route.subscriber, parcel.event, headers)
            verdict = judge(answer)
            if verdict is Verdict.DELIVERED:
                outcome = await self._forward_reply(parcel, answer)
            elif verdict is Verdict.RETRY and attempt <= self.trigger.delivery.retry:
                self._observe(parcel, attempt, answer, Outcome.RETRY)
                await self._pause(attempt)
                continue
            else:
                outcome = await self._dead_letter(parcel, parcel.headers, self._route.address, answer)
            self._observe(parcel, attempt, answer, outcome)
            return

    async def _send(self, url: str, event: CloudEvent, headers: Headers) -> Answer:
        return await self._sender.send(url, event, headers=headers, timeout=self._timeout)

    async def _pause(self, attempt: int) -> None:
        await self._clock.sleep(self.trigger.delivery.pause(attempt - 1) * self._settings.backoff_scale)

    async def _forward_reply(self, parcel: Parcel, answer: Answer) -> Outcome:
        reply = read_reply(answer)
        if reply is None:
            return Outcome.DELIVERED
        headers = {**passing_headers(answer.headers), "kn-namespace": self.trigger.namespace}
        status = await self._replies(reply, headers, parcel.ttl)
        for attempt in range(1, self.trigger.delivery.retry + 1):
            if judge(Answer(status)) is not Verdict.RETRY:
                break
            await self._pause(attempt)
            status = await self._replies(reply, headers, parcel.ttl)
        if judge(Answer(status)) is Verdict.DELIVERED:
            return Outcome.DELIVERED
        # The subscriber did its work and is not asked again: its event is lost but for the dead letter.
        return await self._dead_letter(parcel, headers, self._route.ingress, Answer(status))

    async def _dead_letter(self, parcel: Parcel, headers: Headers, refuser: str, refusal: Answer) -> Outcome:
        url = self._route.dead_letter
        if url is None:
            return Outcome.DROPPED
        event = parcel.event.extended(_describe(refuser, refusal))
        for attempt in count(1):
            async with self._slots:
                answer = await self._send(url, event, headers)
            # Nobody looks for a reply in what a dead-letter sink answers, so any success will do.
            if answer.accepted:
                return Outcome.DEAD_LETTERED
            if judge(answer) is not Verdict.RETRY or attempt > self.trigger.delivery.retry:
                _log.warning("dead letter lost", trigger=self.trigger.name, id=event.id, status=answer.status)
                return Outcome.DROPPED
            await self._pause(attempt)
        raise AssertionError  # pragma: no cover - count() never ends

    def _observe(self, parcel: Parcel, attempt: int, answer: Answer, outcome: Outcome) -> None:
        subscriber = self.trigger.subscriber
        record = DeliveryRecord(
            event_type=parcel.event.type,
            event_id=parcel.event.id,
            source=parcel.event.attributes["source"],
            subject=parcel.event.subject,
            trigger=self.trigger.name,
            function=subscriber.name or subscriber.uri,
            attempt=attempt,
            status=answer.status,
            elapsed=answer.elapsed,
            outcome=outcome,
            error="" if outcome is Outcome.DELIVERED else _explain(answer),
            data=parcel.event.data,
        )
        try:
            self._observer(record)
        except Exception:  # noqa: BLE001 (whoever watches must not stop what is watched)
            _log.exception("observer failed", trigger=self.trigger.name)


def _explain(answer: Answer) -> str:
    if answer.error:
        return answer.error
    if answer.accepted:
        return "the answer's body is no CloudEvent"
    return read_refusal(answer.body)


def _describe(refuser: str, refusal: Answer) -> dict[str, str | None]:
    """Say in extensions who refused an event and how."""
    # An answer that was no CloudEvent has no code in Knative either: it never counted as an answer.
    if refusal.accepted:
        return {"knativeerrordest": refuser}
    body = refusal.body or refusal.error.encode()
    data = base64.b64encode(body).decode()[:_ERROR_DATA_LENGTH]
    return {
        "knativeerrordest": refuser,
        # Knative reports an exchange that failed as an internal error.
        "knativeerrorcode": str(refusal.status or 500),
        "knativeerrordata": data or None,
    }
