"""Where emitted events go: the sink that a SinkBinding names."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import orjson
import structlog

from image_catalog.errors import PermanentError, SinkUnavailableError
from image_catalog.events.event import CatalogEvent
from image_catalog.events.metrics import EVENTS_EMITTED
from image_catalog.events.spans import begin_sending
from image_catalog.events.wire import to_binary

if TYPE_CHECKING:
    import httpx

__all__ = ["EventSink", "Sink", "open_sink", "parse_overrides"]

_log = structlog.get_logger(__name__)

_TIMEOUT = 10
_CONNECT_TIMEOUT = 3
"""Seconds. A broker's ingress answers in milliseconds; past this the cause is better redelivered."""

_CONCURRENCY = 16
"""Requests at once. reverify emits hundreds of events in a tick, and a broker shares its ingress."""

_ATTEMPTS = 2
"""A kept connection that the broker has closed meanwhile deserves one more try; the rest is redelivery's job.

One that has taken all its time deserves none: it would take it again.
"""


class Sink(Protocol):
    """What takes the events that a function emits."""

    async def send(self, events: Sequence[CatalogEvent]) -> None:
        """Deliver every event, or raise `SinkUnavailableError`."""


class EventSink:
    """Sends events to a sink in binary mode.

    Parameters
    ----------
    client
        Client with its time limits set, or what makes it once there is an
        event to send; closed by `aclose`.
    url
        Address of the sink.
    overrides
        Extension attributes that a SinkBinding's ``ceOverrides`` puts on every
        event.
    """

    def __init__(
        self,
        *,
        client: httpx.AsyncClient | Callable[[], httpx.AsyncClient],
        url: str,
        overrides: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._client = client
        self._url = url
        self._overrides = {f"ce-{name}": value for name, value in overrides.items()}
        self._slots = asyncio.Semaphore(_CONCURRENCY)

    async def send(self, events: Sequence[CatalogEvent]) -> None:
        """Deliver every event; those of one subject in their order, the rest side by side.

        Parameters
        ----------
        events
            What to deliver.

        Raises
        ------
        SinkUnavailableError
            Raised if the sink did not take every event. Some may have been
            delivered, those that it names have; their ids are the same when
            they come again.
        """
        # Subjects keep the order in which they first appear: reverify has put the registries in turns.
        by_subject: dict[str, list[CatalogEvent]] = {}
        for event in events:
            by_subject.setdefault(event.subject, []).append(event)
        silent = asyncio.Event()
        delivered: set[str] = set()
        sending = [self._send_in_order(group, silent, delivered) for group in by_subject.values()]
        results = await asyncio.gather(*sending, return_exceptions=True)
        for result in results:
            if isinstance(result, SinkUnavailableError):
                raise SinkUnavailableError(result.message, delivered=delivered) from result
            if isinstance(result, BaseException):
                raise result

    async def aclose(self) -> None:
        """Close the connections, if there are any."""
        if not callable(self._client):
            await self._client.aclose()

    async def _send_in_order(self, events: Sequence[CatalogEvent], silent: asyncio.Event, delivered: set[str]) -> None:
        async with self._slots:
            for event in events:
                # Hundreds of events that wait in turn for a sink that does not answer would outlast their cause's
                # delivery. What is refused keeps nobody back, and whatever was not sent comes again with the cause.
                if not silent.is_set():
                    with begin_sending(event) as span:
                        # Whoever handles the event goes on from here.
                        traced = replace(event, traceparent=span.traceparent) if span.traceparent else event
                        await self._send_one(traced, silent)
                    delivered.add(event.id)

    async def _send_one(self, event: CatalogEvent, silent: asyncio.Event) -> None:
        headers, body = to_binary(event)
        headers |= self._overrides
        if callable(self._client):
            self._client = self._client()
        from httpx import HTTPError, TimeoutException  # noqa: PLC0415 - costs a cold start more than most events need

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response = await self._client.post(self._url, headers=headers, content=body)
            except HTTPError as e:
                if attempt == _ATTEMPTS or isinstance(e, TimeoutException):
                    silent.set()
                    raise SinkUnavailableError(f"the sink did not answer {event.type}: {type(e).__name__}") from e
                continue
            if response.is_success:
                EVENTS_EMITTED.labels(event.type).inc()
                return
            # A refusal is trouble of the sink's set-up, not of the event: the cause has to wait for it too.
            _log.warning(
                "sink refused event", emitted_type=event.type, emitted_id=event.id, status=response.status_code
            )
            raise SinkUnavailableError(f"the sink answered {response.status_code} to {event.type}")


def open_sink(url: str | None, *, overrides: str | None = None) -> EventSink:
    """Open the sink that a SinkBinding describes.

    Parameters
    ----------
    url
        Value of ``K_SINK``.
    overrides
        Value of ``K_CE_OVERRIDES``.

    Raises
    ------
    PermanentError
        Raised if there is no sink, or one of the two makes no sense. The
        message names the variable.
    """
    if not url:
        raise PermanentError("K_SINK is not set: bind the function to a broker with a SinkBinding, or set the variable")
    if not url.startswith(("http://", "https://")):
        raise PermanentError("K_SINK is no http or https URL")
    secure = url.startswith("https://")
    # The client is made with the first event that is emitted: most events that come in lead to none.
    return EventSink(client=lambda: _make_client(secure=secure), url=url, overrides=parse_overrides(overrides))


def _make_client(*, secure: bool) -> httpx.AsyncClient:
    import httpx  # noqa: PLC0415 - costs a cold start more than most events need

    # Reading every CA of the system takes longer than the rest of a start, and inside a cluster the sink is plain http.
    trust = ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.AsyncClient(
        timeout=httpx.Timeout(_TIMEOUT, connect=_CONNECT_TIMEOUT),
        verify=trust,
        limits=httpx.Limits(max_connections=_CONCURRENCY),
    )


def parse_overrides(text: str | None) -> dict[str, str]:
    """Read the value of ``K_CE_OVERRIDES``, ``{"extensions": {"name": "value"}}``.

    Raises
    ------
    PermanentError
        Raised if the text is not of that form.
    """
    if not text:
        return {}
    try:
        extensions = (orjson.loads(text) or {}).get("extensions") or {}
        return {str(name).lower(): str(value) for name, value in extensions.items()}
    except (orjson.JSONDecodeError, AttributeError) as e:
        raise PermanentError('K_CE_OVERRIDES is not of the form {"extensions": {"name": "value"}}') from e
