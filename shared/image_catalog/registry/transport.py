"""One request to a registry: bounded, counted, redirected only as far as is safe.

Every request passes `RegistryTransport.send`, within the registry's lane:
whatever is to be known or decided about a registry as a whole (how much is
under way, its circuit, its rate limit) has its place there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import httpx

from image_catalog.errors import (
    CatalogError,
    HostNotAllowedError,
    RateLimitedError,
    RegistryFaultError,
    RegistryUnreachableError,
)
from image_catalog.registry.access import Access, Tally
from image_catalog.registry.addresses import Reach, classify
from image_catalog.registry.answers import Answer, failure
from image_catalog.registry.circuit import Circuits
from image_catalog.registry.connections import ConnectionFactory
from image_catalog.registry.failures import CROWDED, LOST, NETWORK_FAILURES, TIMEOUTS, connection_failure, outcome_of
from image_catalog.registry.hosts import HostPolicy, Origin, Security, Target
from image_catalog.registry.limits import REDIRECTS, Timeouts
from image_catalog.registry.metrics import count_request
from image_catalog.registry.places import Places
from image_catalog.registry.proxies import ProxyTable
from image_catalog.registry.questions import Question, ping, read_body
from image_catalog.registry.redirects import check_same_host
from image_catalog.registry.redirects import follow as follow_redirect
from image_catalog.registry.spans import begin_span, note_answer
from image_catalog.registry.throttle import Throttle

__all__ = ["RegistryTransport"]

_TOO_MANY_REQUESTS = 429
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_URLS_KEPT = 8192


class _Hop(NamedTuple):
    """Where a question has got to, redirect by redirect."""

    url: httpx.URL
    origin: Origin
    security: Security
    authorization: bytes | None


class RegistryTransport:
    """Sends requests to registries.

    Parameters
    ----------
    hosts
        What may be contacted, and how.
    connect
        Makes the connections of one kind; called once for each kind.
    proxies
        The egress proxies.
    timeouts
        Limits of time of each request.
    circuits
        Knows which registries are not asked at present.
    now
        Tells the time.
    """

    def __init__(
        self,
        *,
        hosts: HostPolicy,
        connect: ConnectionFactory,
        proxies: ProxyTable,
        timeouts: Timeouts,
        circuits: Circuits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.circuits = circuits or Circuits(now=now)
        self.places = Places()
        self.throttle = Throttle(now=now)
        self._now = now
        self._hosts = hosts
        self._connect = connect
        self._proxies = proxies
        self._transports: dict[tuple[Security, str | None], httpx.AsyncBaseTransport] = {}
        # A lane is kept by those who are in it: hosts are typed by users.
        self._lanes: WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = WeakValueDictionary()
        self._urls: dict[str, httpx.URL] = {}
        self._seconds = timeouts.request.total_seconds()
        self._extensions: dict[str, Any] = {
            "timeout": {
                "connect": timeouts.connect.total_seconds(),
                "read": timeouts.read.total_seconds(),
                "write": timeouts.read.total_seconds(),
                # Less than the whole request may take, so that it can be told from a silent registry.
                "pool": timeouts.read.total_seconds(),
            }
        }

    async def send(
        self, access: Access, question: Question, *, authorization: bytes | None = None, probe: bool = False
    ) -> Answer:
        """Send a request and read its answer to the end.

        Parameters
        ----------
        access
            Who asks which registry.
        question
            The request.
        authorization
            What to show to the question's own origin, and to no other.
        probe
            Whether the request is made to find out whether the registry answers.

        Raises
        ------
        RegistryUnreachableError
            Raised if there was no answer, or not in time; as `CircuitOpenError`
            if there was none for a while, and the registry is not asked.
        RateLimitedError
            Raised if the registry asks us to slow down, or did and it is too early.
        RegistryFaultError
            Raised if the answer is encoded, or redirects for ever.
        TLSVerificationError
            Raised if the server's certificate is not trusted.
        HostNotAllowedError
            Raised if an address or a redirect leads where nobody may go.
        CatalogError
            Raised as the question says if the answer is too large.
        """
        target = access.target
        lane = self._lane(target)
        url = self._parse(question.url)
        origin, security = target.origin, question.security or target.security
        if question.security is not None:
            origin = Origin.of_url(question.url)
            check_same_host(url, origin)
        for _ in range(REDIRECTS + 1):
            async with lane:
                answer = await self._attempt(access, question, _Hop(url, origin, security, authorization), probe=probe)
            if answer.status not in _REDIRECTS or "location" not in answer.headers or question.security is not None:
                return answer
            url, following = follow_redirect(url, origin, answer.headers["location"], question.subject)
            if following != origin:
                # For good, not for one hop: a way back to the registry's own host
                # may have been chosen by another one.
                authorization = None
            origin, security = following, self._hosts.security(following, target)
        raise RegistryFaultError(f"{question.subject}: more than {REDIRECTS} redirects")

    async def aclose(self) -> None:
        """Close every connection."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    async def _attempt(self, access: Access, question: Question, hop: _Hop, *, probe: bool) -> Answer:
        """Send one request if it may be sent now; what comes of it decides about those that follow."""
        self.throttle.admit(access, question.method, question.subject)
        attempt = self.circuits.attempt(access, hop.origin, question.subject, probe=probe)
        try:
            with attempt:
                access.tally.requests += 1
                with begin_span(access.target, question, hop.url) as span:
                    answer = await self._exchange(access.target, question, hop)
                    note_answer(span, answer, authorized=hop.authorization is not None)
                wait = self.throttle.note(access, answer)
                if wait is None or answer.status == _TOO_MANY_REQUESTS:
                    attempt.answered(answer.status)
        finally:
            if attempt.is_suspicion:
                await self._find_out(access.target)
        if wait is None or probe:
            return answer
        error = failure(answer, question.subject, secrets=access.secrets, now=self._now())
        raise RateLimitedError(error.message, retry_after=wait)

    async def _find_out(self, target: Target) -> None:
        """Ask a registry's API itself, which decides about its circuit: what failed may be one repository."""
        access = Access(target=target, repository="", credential=None, subject=target.api, tally=Tally(failed=True))
        question = ping(target)
        hop = _Hop(self._parse(question.url), target.origin, target.security, None)
        with contextlib.suppress(CatalogError):
            await self._attempt(access, question, hop, probe=True)

    async def _exchange(self, target: Target, question: Question, hop: _Hop) -> Answer:
        """Send one request; whatever goes wrong becomes one of the catalog's errors."""
        outcome: int | str = "cancelled"
        origin, subject, headers = hop.origin, question.subject, question.headers
        if hop.authorization is not None:
            headers = [*headers, (b"Authorization", hop.authorization)]
        request = httpx.Request(
            question.method, hop.url, headers=headers, content=question.content, extensions=self._extensions
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            transport = self._transport(hop.security, origin)
            async with asyncio.timeout(self._seconds):
                response = await _begin(transport, request)
                try:
                    body = await read_body(response, question)
                finally:
                    await response.aclose()
            outcome = response.status_code
            self.places.answered(target, timedelta(seconds=loop.time() - began))
            return Answer(response.status_code, response.headers, body, origin, hop.authorization)
        except CROWDED as e:
            outcome = "crowded"
            raise RegistryFaultError(f"{subject}: no connection came free to ask {origin} with") from e
        except TIMEOUTS as e:
            outcome = "timeout"
            self.places.silent(target)
            raise RegistryUnreachableError(f"{subject}: {origin} did not answer in time") from e
        except CatalogError as e:
            outcome = outcome_of(e)
            raise
        except NETWORK_FAILURES as e:
            error = connection_failure(e, origin, subject)
            outcome = outcome_of(error)
            raise error from e
        finally:
            count_request(target.registry, question.method, outcome, took=timedelta(seconds=loop.time() - began))

    def _lane(self, target: Target) -> asyncio.Semaphore:
        key = target.registry, target.concurrency
        return self._lanes.setdefault(key, asyncio.Semaphore(target.concurrency))

    def _transport(self, security: Security, origin: Origin) -> httpx.AsyncBaseTransport:
        proxy = self._proxies.find(origin)
        if proxy is not None:
            _check_literal(origin, security)
        key = (security, proxy)
        transport = self._transports.get(key)
        if transport is None:
            transport = self._transports[key] = self._connect(security, proxy)
        return transport

    def _parse(self, url: str) -> httpx.URL:
        # Parsing is a tenth of the cost of a HEAD, and re-verification asks the same URLs for ever.
        parsed = self._urls.get(url)
        if parsed is None:
            if len(self._urls) >= _URLS_KEPT:
                self._urls.clear()
            parsed = self._urls[url] = httpx.URL(url)
        return parsed


async def _begin(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    """Send a request; once more if its connection turns out to be lost before the answer began.

    Without it each registry that closes idle connections would make an entry
    Unavailable now and then. Reading twice changes nothing at the registry.
    """
    try:
        return await transport.handle_async_request(request)
    except LOST:
        if request.method == "POST":
            raise
        return await transport.handle_async_request(request)


def _check_literal(origin: Origin, security: Security) -> None:
    """Refuse addresses that are written out; behind a proxy it is all that can be checked."""
    try:
        reach = classify(origin.host.strip("[]"))
    except ValueError:
        is_local = origin.host == "localhost" or origin.host.endswith(".localhost")
        reach = Reach.PRIVATE if is_local else Reach.PUBLIC
    if reach is Reach.FORBIDDEN:
        raise HostNotAllowedError(
            f"{origin.host} is an address that is never connected to (link-local, reserved or multicast)"
        )
    if reach is Reach.PRIVATE and not security.allow_private:
        raise HostNotAllowedError(
            f"{origin.host} is a private address, and nobody allowed that; an administrator does with "
            "a CatalogRegistry for it that says allowPrivateNetworks: true"
        )
