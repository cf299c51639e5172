"""Blows: what befalls the stack, in an order that one seed decides."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from tests.chaos.registry_process import RegistryProcess

from image_catalog.local.knative import Clock
from image_catalog.local.serving import LoopbackServer
from image_catalog.local.stack import LocalStack

__all__ = ["Blow", "Blows", "Kind", "plan_blows"]

FUNCTIONS = ("publish", "verify", "reverify", "cleanup", "audit", "api")


class Kind(StrEnum):
    """What can befall a part."""

    KILL = "killed"
    KILL_WORKER = "worker killed"
    FREEZE = "frozen"
    CUT = "connections cut"
    REFUSE = "port refuses"
    LOSE = "undelivered lost"
    RESTART = "watch restarted"


_WEIGHTS: dict[tuple[str, Kind], int] = {
    **{(name, Kind.KILL): weight for name, weight in zip(FUNCTIONS, (4, 4, 1, 3, 2, 1), strict=True)},
    **{(name, Kind.KILL_WORKER): 1 for name in FUNCTIONS if name != "api"},
    **{(name, Kind.FREEZE): weight for name, weight in zip(FUNCTIONS, (3, 3, 1, 2, 1, 1), strict=True)},
    ("broker", Kind.LOSE): 5,
    ("broker", Kind.CUT): 3,
    ("broker", Kind.REFUSE): 3,
    ("broker", Kind.FREEZE): 2,
    ("sources", Kind.RESTART): 3,
    ("kubernetes", Kind.CUT): 5,
    ("kubernetes", Kind.REFUSE): 4,
    ("kubernetes", Kind.FREEZE): 3,
    ("registry", Kind.KILL): 3,
    ("registry", Kind.FREEZE): 3,
}
"""How often each blow falls, beside the others: most on those that write, and on what loses events."""

_GAP = (0.4, 3.0)
"""Seconds between two blows."""

_LASTS: dict[Kind, tuple[float, float]] = {Kind.FREEZE: (0.5, 8.0), Kind.REFUSE: (0.3, 4.0)}
"""Seconds that a blow lasts."""

_REGISTRY_AWAY = (0.2, 3.0)
"""Seconds until a registry that was killed is started again; when a function is, the stack itself decides."""

_LONG_FREEZE = 35.0
"""Some are frozen for longer than others wait before they take them for dead (claims: 30 s)."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One blow.

    Attributes
    ----------
    at
        When it falls, from the beginning.
    part
        Whom it hits: a function, or another part of the stack.
    kind
        What happens.
    lasts
        How long.
    choice
        From 0 to 1: decides what of the part, where there are several.
    """

    at: timedelta
    part: str
    kind: Kind
    lasts: timedelta
    choice: float


def plan_blows(seed: int, *, lasting: timedelta) -> list[Blow]:
    """Return the blows of a seed, in order.

    Parameters
    ----------
    seed
        The same gives the same blows.
    lasting
        How long they fall.
    """
    rng = random.Random(seed)  # noqa: S311 - the seed is what repeats a run
    kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    blows: list[Blow] = []
    at = rng.uniform(*_GAP)
    # Each kind falls once at least, in an order of the seed's, so that a short run has them all.
    first = rng.sample(kinds, len(kinds))
    while at < lasting.total_seconds():
        part, kind = first.pop() if first and rng.random() < 0.6 else rng.choices(kinds, weights)[0]
        lasts = rng.uniform(*_REGISTRY_AWAY if part == "registry" and kind is Kind.KILL else _LASTS.get(kind, (0, 0)))
        if kind is Kind.FREEZE and part in FUNCTIONS and rng.random() < 0.1:
            lasts = _LONG_FREEZE
        lasts = min(lasts, lasting.total_seconds() - at)
        blows.append(Blow(timedelta(seconds=at), part, kind, timedelta(seconds=lasts), rng.random()))
        at += rng.uniform(*_GAP)
    return blows


class Blows:
    """Deals blows to a stack.

    Parameters
    ----------
    stack
        The stack.
    registry
        Its registry.
    clock
        Times the blows.
    tell
        Takes a line for each blow.
    """

    def __init__(
        self, stack: LocalStack, registry: RegistryProcess, *, clock: Clock, tell: Callable[[str], None]
    ) -> None:
        self.struck: Counter[tuple[str, str]] = Counter()
        """How often each kind struck each part."""
        self._stack = stack
        self._registry = registry
        self._clock = clock
        self._tell = tell
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def deal(self, blows: list[Blow]) -> None:
        """Deal every blow at its time; return when all are over and everything may live again."""
        begun = self._clock.now()
        async with asyncio.TaskGroup() as falling:
            for blow in blows:
                await self._clock.sleep(max(begun + blow.at - self._clock.now(), timedelta()))
                falling.create_task(self._strike(blow))

    async def strike_once(self, blow: Blow) -> None:
        """Deal one blow now, outside the plan."""
        await self._strike(blow)

    async def _strike(self, blow: Blow) -> None:
        # Of two blows to one part the second waits: a server cannot stop while it stops.
        async with self._turns[blow.part]:
            line = f"{blow.at.total_seconds():6.1f} s  {blow.part:<11} {blow.kind}"
            if blow.lasts:
                self._tell(f"{line} for {blow.lasts.total_seconds():.1f} s")
            what = await self._parts[blow.part](blow)
        self.struck[blow.part, blow.kind.value] += 1
        if not blow.lasts:
            self._tell(f"{line}{what}")

    @property
    def _parts(self) -> dict[str, Callable[[Blow], Awaitable[str]]]:
        return {
            **dict.fromkeys(FUNCTIONS, self._strike_function),
            "broker": self._strike_broker,
            "sources": self._restart_source,
            "kubernetes": self._strike_kubernetes,
            "registry": self._strike_registry,
        }

    async def _strike_function(self, blow: Blow) -> str:
        leader = self._stack.functions[blow.part].pid
        if leader is None:
            return ", which was not there"
        if blow.kind is Kind.FREEZE:
            _signal_group(leader, signal.SIGSTOP)
            await self._clock.sleep(blow.lasts)
            _signal_group(leader, signal.SIGCONT)
            return ""
        if blow.kind is Kind.KILL_WORKER:
            for worker in _children(leader):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            return ""
        _signal_group(leader, signal.SIGKILL)
        return ""

    async def _strike_broker(self, blow: Blow) -> str:
        knative = self._stack.knative
        if blow.kind is Kind.LOSE:
            triggers = [None, *(trigger.name for trigger in knative.manifests.triggers)]
            trigger = triggers[int(blow.choice * len(triggers))]
            lost = await knative.lose_undelivered(trigger)
            return f": {lost} of {trigger or 'every Trigger'}"
        return await self._strike_server(knative.server, blow)

    async def _restart_source(self, blow: Blow) -> str:
        sources = self._stack.knative.sources
        name = sources[int(blow.choice * len(sources))]
        await self._stack.knative.restart_source(name)
        return f": {name}"

    async def _strike_kubernetes(self, blow: Blow) -> str:
        assert self._stack.kubernetes is not None
        return await self._strike_server(self._stack.kubernetes.server, blow)

    async def _strike_registry(self, blow: Blow) -> str:
        if blow.kind is Kind.FREEZE:
            self._registry.signal(signal.SIGSTOP)
            await self._clock.sleep(blow.lasts)
            self._registry.signal(signal.SIGCONT)
        else:
            await self._registry.kill()
            await self._clock.sleep(blow.lasts)
            await self._registry.start()
        return ""

    async def _strike_server(self, server: LoopbackServer, blow: Blow) -> str:
        if blow.kind is Kind.CUT:
            return f": {server.drop_connections()}"
        if blow.kind is Kind.FREEZE:
            server.freeze()
            await self._clock.sleep(blow.lasts)
            server.thaw()
            return ""
        await server.stop()
        await self._clock.sleep(blow.lasts)
        await server.start()
        return ""


def _signal_group(leader: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)


def _children(pid: int) -> Iterator[int]:
    """Yield what a process has started; nothing where the system does not tell."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    with contextlib.suppress(OSError):
        yield from map(int, listed.read_text().split())
