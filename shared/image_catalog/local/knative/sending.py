"""Sending an event over HTTP, and what an answer means to whom."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto

import httpx
import structlog

from image_catalog.errors import InvalidEventError
from image_catalog.local.knative.cloudevent import CloudEvent, Headers, header_map, is_event, read_event
from image_catalog.local.knative.settings import Clock, Settings

__all__ = ["Answer", "Sender", "SourceSender", "Verdict", "judge", "passing_headers", "read_reply"]

_log = structlog.get_logger(__name__)

_PASSING = frozenset({"traceparent", "x-request-id", "retry-after"})
_PASSING_PREFIXES = ("knative-", "x-b3-")

_RETRIED = frozenset({404, 408, 409, 429})
"""What a broker retries besides 5xx; any other 4xx stays as it is however often it is asked."""

_RETRIES = 5
_RETRY_DELAY = timedelta(milliseconds=50)
_RETRIED_BY_SOURCES = frozenset({404, 413, 425, 429, 502, 503, 504})
"""What a source's client retries: other answers than a broker does, and no 500."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, or why there was none.

    Attributes
    ----------
    status
        `None` when no whole answer came.
    error
        Why not; empty otherwise.
    """

    status: int | None
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    elapsed: timedelta = timedelta(0)
    error: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the status says success."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 (the range of success in HTTP)


class Verdict(Enum):
    """What a broker makes of a subscriber's answer."""

    DELIVERED = auto()
    RETRY = auto()
    FAILED = auto()


def judge(answer: Answer) -> Verdict:
    """Judge a subscriber's answer as Knative's broker does.

    A successful answer with a body that is no CloudEvent is a failure like a 502
    (https://github.com/knative/eventing/issues/7515).
    """
    if answer.status is None:
        return Verdict.RETRY
    if answer.accepted:
        return Verdict.DELIVERED if not answer.body or read_reply(answer) is not None else Verdict.RETRY
    if answer.status >= 500 or answer.status in _RETRIED:  # noqa: PLR2004 (server errors of HTTP)
        return Verdict.RETRY
    return Verdict.FAILED


def read_reply(answer: Answer) -> CloudEvent | None:
    """Read the event that a successful answer may carry."""
    if not answer.accepted or not is_event(answer.headers):
        return None
    try:
        return read_event(answer.headers, answer.body)
    except InvalidEventError:
        return None


def passing_headers(headers: Headers) -> dict[str, str]:
    """Select the headers that survive a broker, besides those of the event."""
    return {name: value for name, value in headers.items() if name in _PASSING or name.startswith(_PASSING_PREFIXES)}


class Sender:
    """POSTs events in binary mode; never raises for what the other side does.

    Parameters
    ----------
    client
        Follows no redirects; its owner closes it.
    max_answer_bytes
        A larger answer counts as none.
    """

    def __init__(self, *, client: httpx.AsyncClient, max_answer_bytes: int) -> None:
        self._client = client
        self._max_answer_bytes = max_answer_bytes

    async def send(self, url: str, event: CloudEvent, *, headers: Headers, timeout: timedelta) -> Answer:  # noqa: ASYNC109 (a limit on the exchange, part of the answer)
        """Send an event once.

        Parameters
        ----------
        url
            Where to.
        event
            What.
        headers
            Besides the event's own.
        timeout
            For the whole exchange, connecting included.
        """
        begin = time.perf_counter()
        fields = {name: value.encode(errors="surrogateescape") for name, value in headers.items()} | event.headers()
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                return await self._exchange(url, fields, event.data, begin)
        except TimeoutError:
            return Answer(None, elapsed=_since(begin), error=f"no answer within {timeout.total_seconds():g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            return Answer(None, elapsed=_since(begin), error=f"{type(e).__name__}: {e}")

    async def _exchange(self, url: str, fields: dict[str, bytes], data: bytes, begin: float) -> Answer:
        # httpx takes header values as bytes only when the names are bytes, too.
        raw = [(name.encode(), value) for name, value in fields.items()]
        async with self._client.stream("POST", url, headers=raw, content=data) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._max_answer_bytes:
                    message = f"the answer has more than {self._max_answer_bytes} bytes"
                    return Answer(None, elapsed=_since(begin), error=message)
            headers = header_map(response.headers.raw)
            return Answer(response.status_code, headers, bytes(body), _since(begin))


class SourceSender:
    """Sends as the client inside Knative's sources does.

    Parameters
    ----------
    sender
        Speaks HTTP.
    clock
        Times the pauses.
    settings
        Says how long one attempt may take.
    """

    def __init__(self, *, sender: Sender, clock: Clock, settings: Settings) -> None:
        self._sender = sender
        self._clock = clock
        self._timeout = settings.request_timeout

    async def send(self, url: str, event: CloudEvent) -> bool:
        """Send an event; `False` says that it was dropped.

        Five retries after 50 ms, doubling: about 1.6 s in all.
        """
        for attempt in range(_RETRIES + 1):
            answer = await self._sender.send(url, event, headers={}, timeout=self._timeout)
            if answer.accepted:
                return True
            if attempt == _RETRIES or (answer.status is not None and answer.status not in _RETRIED_BY_SOURCES):
                break
            await self._clock.sleep(_RETRY_DELAY * 2**attempt)
        _log.warning("source event dropped", type=event.type, subject=event.subject, status=answer.status)
        return False


def _since(begin: float) -> timedelta:
    return timedelta(seconds=time.perf_counter() - begin)
