"""Calls the publish and verify functions directly, and waits for what becomes of it.

See https://www.rfc-editor.org/rfc/rfc7240#section-4.2: a function that is asked
with ``Prefer: return=representation`` answers the events that it emits. A call
may break after the function has done its work, so it is made again with the same
id, and the function tells the same outcome without doing the work twice.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx
import structlog
from prometheus_client import Histogram

from image_catalog.config import Settings
from image_catalog.events import CatalogEvent, to_binary
from image_catalog.tracing import Span, SpanKind, current_traceparent, span
from image_catalog_functions.api.writing.failures import answer_problem, broken_problem, may_pass, no_token_problem
from image_catalog_functions.api.writing.outcome import Outcome, UnreadableOutcomeError

__all__ = ["FunctionClient", "Patience", "open_client"]

_log = structlog.get_logger(__name__)

CONNECT_TIMEOUT: Final = timedelta(seconds=3)
ANSWER_TIMEOUT: Final = timedelta(seconds=130)
"""A deep check of a large image may take a function 110 seconds, after a cold start."""

MAX_CALLS: Final = 64
"""Calls under way at once. Each holds a registry's patience; more of them wait here."""

CALL_SECONDS = Histogram(
    "image_catalog_api_function_call_duration_seconds",
    "How long a direct call of a function took, repetitions included, by function and status code (0: no answer).",
    ["function", "code"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is made again.

    Attributes
    ----------
    budget
        How long after the first one another is begun.
    first_pause, longest_pause
        The wait before the second call, doubled by each one after it.
    """

    budget: timedelta = timedelta(seconds=15)
    first_pause: timedelta = timedelta(milliseconds=100)
    longest_pause: timedelta = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionClient:
    """Has the publish and verify functions do something.

    Parameters
    ----------
    client
        Carries the calls; closed by `aclose`.
    publish_url, verify_url
        Where the functions are.
    token_file
        The API's own token, by which the functions believe who the actor is.
        It is read for every call, because the kubelet renews it. `None` sends
        none: the functions then know nobody.
    patience
        How long a call is made again.
    rng
        Spreads pauses.
    """

    client: httpx.AsyncClient
    publish_url: str
    verify_url: str
    token_file: Path | None = None
    patience: Patience = Patience()
    rng: random.Random = field(default_factory=random.Random)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CALLS))

    async def publish(self, event: CatalogEvent) -> Outcome:
        """Have an image published.

        Parameters
        ----------
        event
            ``publish.requested``, with its actor. Whoever asks again for the
            same gives the same id.

        Returns
        -------
        Outcome
            What was published, or why not.

        Raises
        ------
        Problem
            400 or 422 for what the function does not take, 502 for an answer
            that makes no sense, 503 for trouble that passes, 504 for none.
        """
        return await self._call("publish", self.publish_url, event)

    async def verify(self, event: CatalogEvent) -> Outcome:
        """Have an entry checked, or a reference explained.

        Parameters
        ----------
        event
            ``verification.requested``, with its actor.

        Returns
        -------
        Outcome
            What was found; nothing for an entry that is not there.

        Raises
        ------
        Problem
            As `publish` says.
        """
        return await self._call("verify", self.verify_url, event)

    async def aclose(self) -> None:
        """Close every connection."""
        await self.client.aclose()

    async def _call(self, function: str, url: str, event: CatalogEvent) -> Outcome:
        started, code = time.perf_counter(), 0
        try:
            with _begin_span(function, url, event) as under_way:
                headers, body = to_binary(
                    replace(event, traceparent=under_way.traceparent) if under_way.traceparent else event
                )
                headers["prefer"] = "return=representation"
                async with self._slots:
                    response = await self._persist(function, url, body, headers)
                under_way.set({"http.response.status_code": response.status_code})
                if response.is_error:
                    under_way.fail(str(response.status_code))
            code = response.status_code
        finally:
            CALL_SECONDS.labels(function, str(code)).observe(time.perf_counter() - started)
        if not response.is_success:
            raise answer_problem(function, response)
        try:
            return Outcome.read(response.content)
        except UnreadableOutcomeError as e:
            _log.warning("function answered nonsense", function=function, status=code, message=str(e))
            raise answer_problem(function, response) from e

    async def _persist(self, function: str, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Call until an answer is worth telling, or the budget is spent."""
        started, pause = time.monotonic(), self.patience.first_pause
        while True:
            spent = timedelta(seconds=time.monotonic() - started)
            last = spent + pause > self.patience.budget
            try:
                response = await self.client.post(url, content=body, headers=headers | self._credential(function))
                if last or not may_pass(response):
                    return response
                why = f"answered {response.status_code}"
            except httpx.TransportError as e:
                why = type(e).__name__
                # One that has taken all its time would take it again, and its caller has left by then.
                if last or isinstance(e, httpx.ReadTimeout):
                    raise broken_problem(function, e) from e
            _log.info("function called again", function=function, why=why, id=headers["ce-id"])
            await asyncio.sleep(pause.total_seconds() * self.rng.uniform(0.5, 1.0))
            pause = min(pause * 2, self.patience.longest_pause)

    def _credential(self, function: str) -> dict[str, str]:
        if self.token_file is None:
            return {}
        try:
            token = self.token_file.read_text().strip()
        except OSError as e:
            raise no_token_problem(function, self.token_file) from e
        return {"authorization": f"Bearer {token}"}


def _begin_span(function: str, url: str, event: CatalogEvent) -> Span:
    """Begin the span of a call, repetitions included; the function's own spans are its children."""
    address = httpx.URL(url)
    attributes = {
        "http.request.method": "POST",
        "server.address": address.host,
        "server.port": address.port or (443 if address.scheme == "https" else 80),
        "peer.service": function,
        "cloudevents.event_id": event.id,
        "cloudevents.event_type": event.type.value,
    }
    parent = None if current_traceparent() else event.traceparent
    return span(f"POST {function}", SpanKind.CLIENT, attributes, parent=parent)


def open_client(settings: Settings) -> FunctionClient:
    """Open the client that the settings describe."""
    secure = any(url.startswith("https://") for url in (settings.publish_url, settings.verify_url))
    client = httpx.AsyncClient(
        timeout=httpx.Timeout(ANSWER_TIMEOUT.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds()),
        limits=httpx.Limits(max_connections=MAX_CALLS, max_keepalive_connections=8),
        # Reading every CA of the system takes 20 ms of a start, and in a cluster the calls are plain http.
        verify=ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        # An egress proxy is for registries; the functions are in the cluster.
        trust_env=False,
    )
    return FunctionClient(
        client=client,
        publish_url=settings.publish_url,
        verify_url=settings.verify_url,
        token_file=settings.token_file,
    )
