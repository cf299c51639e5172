"""Connections that keep their word: the address is checked when it is known, not when it is named."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import httpcore
import httpx

from image_catalog.errors import HostNotAllowedError, TLSVerificationError
from image_catalog.registry.addresses import Reach, classify
from image_catalog.registry.hosts import Security
from image_catalog.registry.limits import POOL_CONNECTIONS
from image_catalog.registry.lookups import NameLookups
from image_catalog.registry.pools import PoolPerServer

__all__ = ["ConnectionFactory", "GuardedBackend", "PooledTransport", "Resolver", "connect"]

_ADDRESSES_TRIED = 6
"""Addresses of one name that are tried: enough for any real one, and no scan of a network."""

_KEEPALIVE_SECONDS = 30.0
"""How long an idle connection is kept: less than the 60 s after which common load balancers drop it."""

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Turn a host name and a port into addresses, best first."""

ConnectionFactory = Callable[[Security, str | None], httpx.AsyncBaseTransport]
"""Make the transport for connections of one kind, through an egress proxy where its URL is given."""


class _SupportsRequest(Protocol):
    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response: ...

    async def aclose(self) -> None: ...


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that may be connected to, and to no other.

    The name is resolved here, once, and the connection goes to the very
    address that was checked: a name that changes its answer in between (DNS
    rebinding) gains nothing.

    Parameters
    ----------
    allow_private
        Whether addresses of `Reach.PRIVATE` will do.
    resolver
        Where names are looked up; at the system's resolver without one.
    backend
        What opens the connection.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        resolver: Resolver | None = None,
        backend: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._resolver = resolver or NameLookups().resolve
        self._backend = backend or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, connect; the first address that answers wins.

        Parameters
        ----------
        host
            The host of the request's URL.
        port
            Its port.
        timeout
            Seconds for all of it.
        local_address
            Address to connect from.
        socket_options
            Options to set on the socket.

        Raises
        ------
        HostNotAllowedError
            Raised if no address of the host may be connected to.
        httpcore.ConnectError
            Raised if the name does not resolve, or no address answers.
        httpcore.ConnectTimeout
            Raised if it takes too long.
        """
        addresses = self._permitted(host, await self._lookup(host, port, timeout))
        share = None if timeout is None else timeout / len(addresses)
        failure: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for address in addresses:
            try:
                return await self._backend.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as e:
                failure = e
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore asks its backend to.

        Parameters
        ----------
        seconds
            How long.
        """
        await self._backend.sleep(seconds)

    async def _lookup(self, host: str, port: int, seconds: float | None) -> Sequence[str]:
        try:
            async with asyncio.timeout(seconds):
                return await self._resolver(host, port)
        except TimeoutError as e:
            raise httpcore.ConnectTimeout(f"looking up {host} took too long") from e
        except (OSError, UnicodeError) as e:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from e

    def _permitted(self, host: str, addresses: Sequence[str]) -> list[str]:
        if not addresses:
            raise httpcore.ConnectError(f"{host} has no address")
        reaches = {address: classify(address) for address in addresses}
        if self._allow_private:
            permitted = [address for address, reach in reaches.items() if reach is not Reach.FORBIDDEN]
        else:
            permitted = [address for address, reach in reaches.items() if reach is Reach.PUBLIC]
        if permitted:
            return permitted[:_ADDRESSES_TRIED]
        if Reach.PRIVATE in reaches.values():
            raise HostNotAllowedError(
                f"{host} has a private address, and nobody allowed that; an administrator does with "
                "a CatalogRegistry for it that says allowPrivateNetworks: true"
            )
        raise HostNotAllowedError(
            f"{host} has an address that is never connected to (link-local, reserved or multicast)"
        )


class PooledTransport(httpx.AsyncBaseTransport):
    """httpx's transport over a connection pool of our own making.

    httpx offers no way to hand a network backend to its pool, so this puts
    one of httpcore's pools behind httpx's interface. It knows no cookies, no
    redirects and no environment.

    Parameters
    ----------
    pool
        The connections.
    """

    def __init__(self, pool: _SupportsRequest) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the answer's head with its body still to be read.

        Parameters
        ----------
        request
            What to send.
        """
        url = request.url
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()


def connect(
    security: Security, proxy: str | None = None, *, resolver: Resolver | None = None
) -> httpx.AsyncBaseTransport:
    """Make the transport for connections of one kind.

    Parameters
    ----------
    security
        What the connections must be like.
    proxy
        URL of the egress proxy. Behind one the address check is the proxy's
        part: it resolves the names, we cannot know to what.
    resolver
        Where names are looked up; at the system's resolver without one.

    Raises
    ------
    TLSVerificationError
        Raised if the CA bundle holds no certificate that can be read.
    """
    context = _ssl_context(security)
    limits = httpx.Limits(max_connections=POOL_CONNECTIONS, keepalive_expiry=_KEEPALIVE_SECONDS)
    backend = GuardedBackend(allow_private=security.allow_private, resolver=resolver)

    def make() -> httpx.AsyncBaseTransport:
        if proxy is not None:
            return httpx.AsyncHTTPTransport(verify=context, proxy=httpx.Proxy(proxy), limits=limits, trust_env=False)
        return PooledTransport(
            httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=POOL_CONNECTIONS,
                max_keepalive_connections=POOL_CONNECTIONS,
                keepalive_expiry=_KEEPALIVE_SECONDS,
                http2=False,
                network_backend=backend,
            )
        )

    return PoolPerServer(make, idle_seconds=_KEEPALIVE_SECONDS)


def _ssl_context(security: Security) -> ssl.SSLContext:
    if security.insecure_skip_verify:
        return httpx.create_ssl_context(verify=False)
    context = httpx.create_ssl_context()
    if security.ca_bundle:
        try:
            context.load_verify_locations(cadata=security.ca_bundle)
        except (ssl.SSLError, ValueError) as e:
            raise TLSVerificationError(
                "the caBundle of the registry's CatalogRegistry cannot be read; it must be PEM certificates"
            ) from e
    return context
