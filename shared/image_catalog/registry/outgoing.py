"""Requests to hosts that are no registries, under the policy and the guard that registries are asked under."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from image_catalog.registry.access import Access, Tally
from image_catalog.registry.answers import Answer
from image_catalog.registry.hosts import HostPolicy, Origin
from image_catalog.registry.questions import Question
from image_catalog.registry.transport import RegistryTransport

__all__ = ["OutgoingRequests"]


class OutgoingRequests:
    """Sends single requests to hosts that users have typed: the endpoints of object stores.

    They pass where requests to registries pass: the host policy, the address
    that is really connected to, egress proxies, limits of time and size, the
    circuit of the host. None is redirected, and none carries a credential but
    what the caller has put into its headers.

    Parameters
    ----------
    hosts
        What may be contacted, and how.
    transport
        Sends them.
    """

    def __init__(self, *, hosts: HostPolicy, transport: RegistryTransport) -> None:
        self._hosts = hosts
        self._transport = transport

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, limit: int
    ) -> Answer:
        """Send a request and read its answer to the end, whatever its status.

        Parameters
        ----------
        method
            The HTTP method.
        url
            Where to: absolute, http or https. A CatalogRegistry for its host
            says what the connection must be like.
        headers
            What to send beside the host.
        content
            The body.
        limit
            Most bytes of a good answer.

        Raises
        ------
        HostNotAllowedError
            Raised if policy, or the address that the host has, forbids it.
        RegistryUnreachableError
            Raised if there was no answer, or not in time.
        CatalogError
            Raised as `RegistryTransport.send` says.
        """
        origin = Origin.of_url(url)
        target, security = self._hosts.outside(origin)
        raw = [(name.encode(), value.encode()) for name, value in headers.items() if name.lower() != "host"]
        raw.append((b"Host", _host(url)))
        access = Access(target=target, repository="", credential=None, subject=str(origin), tally=Tally())
        question = Question(method, url, raw, str(origin), limit, security=security, content=content)
        return await self._transport.send(access, question)


def _host(url: str) -> bytes:
    """Return the host as the URL has it: a request's signature is made over the header, port included."""
    return httpx.URL(url).netloc
