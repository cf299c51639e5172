"""Names on their way to addresses: no tenant's slow names may hold up another's.

The system's resolver blocks a thread for as long as a name server is silent,
also when nobody waits for the answer any more. In the event loop's own few
threads, a handful of names whose server never answers would keep every other
name from being looked up, and every registry would seem to be down.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

__all__ = ["NameLookups"]

_THREADS = 128
"""Lookups under way at once. A thread is made when it is needed."""

_OF_ONE_DOMAIN = 4
"""Those of one domain: whoever owns it has as many names below it as he likes."""

Lookup = Callable[[str, int], Sequence[tuple[Any, ...]]]


def _ask_system(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class NameLookups:
    """Asks the system's resolver, in threads of its own: for each name once at a time, and for few of one domain.

    Parameters
    ----------
    lookup
        Blocks until it has the entries of ``getaddrinfo``.
    """

    def __init__(self, *, lookup: Lookup = _ask_system) -> None:
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_THREADS, "names")
        self._under_way: dict[str, asyncio.Future[Sequence[tuple[Any, ...]]]] = {}
        # A lane is kept by those who wait for it, and by the lookups in it: names are typed by users.
        self._lanes: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host, best first.

        Parameters
        ----------
        host
            A DNS name or an address.
        port
            The port that will be connected to.

        Raises
        ------
        OSError
            Raised if the name has no address.
        """
        if host not in self._under_way:
            await self._begin(host, port)
        # Whoever gives up takes the answer from nobody else.
        found = await asyncio.shield(self._under_way[host])
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _begin(self, host: str, port: int) -> None:
        domain = ".".join(host.rsplit(".", 2)[-2:])
        lane = self._lanes.setdefault(domain, asyncio.Semaphore(_OF_ONE_DOMAIN))
        await lane.acquire()
        if host in self._under_way:
            lane.release()
            return
        loop = asyncio.get_running_loop()
        lookup = loop.run_in_executor(self._threads, partial(self._lookup, host, port))
        self._under_way[host] = lookup
        # Not when the caller gives up: the thread is busy until the resolver does.
        lookup.add_done_callback(partial(self._finish, host, lane))

    def _finish(self, host: str, lane: asyncio.Semaphore, lookup: asyncio.Future[Any]) -> None:
        del self._under_way[host]
        lane.release()
        if not lookup.cancelled():
            # Read here too: when every caller has given up, nobody else does.
            lookup.exception()
