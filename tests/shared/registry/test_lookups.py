"""Whoever owns a domain decides how long its names take, and must hold up no other."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from image_catalog.registry.connections import GuardedBackend
from image_catalog.registry.lookups import NameLookups

ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))


class SlowServers:
    """A resolver that waits for the name servers of evil.test until they answer."""

    def __init__(self) -> None:
        self.answer = threading.Event()
        self.asked: Counter[str] = Counter()

    def look_up(self, host: str, _: int) -> Sequence[tuple[Any, ...]]:
        self.asked[host] += 1
        if host.endswith("evil.test"):
            assert self.answer.wait(30)
        if host.startswith("nowhere"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [ADDRESS, ADDRESS]


@pytest.fixture
def servers() -> Iterator[SlowServers]:
    servers = SlowServers()
    yield servers
    servers.answer.set()


async def test_names_that_never_answer_hold_up_no_other(servers: SlowServers) -> None:
    lookups = NameLookups(lookup=servers.look_up)
    slow = [asyncio.create_task(lookups.resolve(f"n{number}.evil.test", 443)) for number in range(300)]
    async with asyncio.timeout(10):
        assert await lookups.resolve("quay.test", 443) == ["192.0.2.1"]
    assert 0 < len(servers.asked) < 10
    servers.answer.set()
    assert await asyncio.gather(*slow) == [["192.0.2.1"]] * 300


async def test_name_is_looked_up_once_for_all_who_wait(servers: SlowServers) -> None:
    lookups = NameLookups(lookup=servers.look_up)
    waiting = [asyncio.create_task(lookups.resolve("evil.test", 443)) for _ in range(9)]
    await asyncio.wait(waiting, timeout=0.05)
    waiting[0].cancel()
    servers.answer.set()
    _, *found = await asyncio.gather(*waiting, return_exceptions=True)
    assert found == [["192.0.2.1"]] * 8
    assert servers.asked["evil.test"] == 1


async def test_who_gives_up_waiting_for_a_turn_takes_no_place(servers: SlowServers) -> None:
    lookups = NameLookups(lookup=servers.look_up)
    slow = [asyncio.create_task(lookups.resolve(f"n{number}.evil.test", 443)) for number in range(20)]
    await asyncio.wait(slow, timeout=0.05)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    servers.answer.set()
    async with asyncio.timeout(10):
        assert await lookups.resolve("last.evil.test", 443) == ["192.0.2.1"]
    assert len(servers.asked) < 10


async def test_name_without_an_address_is_an_error_each_time(servers: SlowServers) -> None:
    lookups = NameLookups(lookup=servers.look_up)
    for _ in range(2):
        with pytest.raises(OSError, match="no such name"):
            await lookups.resolve("nowhere.test", 443)
    assert servers.asked["nowhere.test"] == 2


async def test_address_is_its_own_name() -> None:
    assert await NameLookups().resolve("127.0.0.1", 443) == ["127.0.0.1"]


async def test_backend_waits_as_it_is_asked_to() -> None:
    await GuardedBackend(allow_private=False).sleep(0)
