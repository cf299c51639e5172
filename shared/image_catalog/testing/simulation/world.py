"""A simulated world: every function, their broker and sources, a cluster and registries, on one virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from image_catalog.config import Settings
from image_catalog.local.manifests import load_manifests
from image_catalog.models import parse_time
from image_catalog.models.names import ANNOTATION_ALLOW_NAMESPACES, API_VERSION, GROUP, PING_REVERIFY, PING_SWEEP
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.pipeline_functions import PipelineFunction
from image_catalog.testing.simulation.actions import Deed
from image_catalog.testing.simulation.ambushes import Ambushes
from image_catalog.testing.simulation.broker import Broker, slots_of
from image_catalog.testing.simulation.chance import Chance
from image_catalog.testing.simulation.invariants import Invariant, Quiet
from image_catalog.testing.simulation.invariants.reading import checked_each
from image_catalog.testing.simulation.journal import Journal
from image_catalog.testing.simulation.people import People
from image_catalog.testing.simulation.plan import Plan
from image_catalog.testing.simulation.processes import Process, Reach
from image_catalog.testing.simulation.registries import Registries
from image_catalog.testing.simulation.scenery import IMAGES, NAMESPACES, PRIVATE_HOST
from image_catalog.testing.simulation.sources import Sources, Ticker
from image_catalog.testing.simulation.surroundings import Surroundings
from image_catalog.testing.simulation.troubles import (
    BrokerClosed,
    CredentialRotated,
    FunctionRestarted,
    RegistryTrouble,
    SourceStopped,
)
from image_catalog.testing.simulation.virtual_time import VirtualLoop

__all__ = ["SimulatedWorld"]

_GROUPS = {"leases": "coordination.k8s.io", "events": "", "secrets": ""}
_RBAC = frozenset({"ServiceAccount", "ClusterRole", "ClusterRoleBinding"})
_SECRET = "acme-pull"

_SCALED = frozenset({"publish", "verify", "cleanup"})
"""Functions of which Knative may run several processes."""

_SETTLE = 900.0
"""Seconds of quiet before the first look: the broker's longest back-off, a claim's patience, a fresh build's minute."""

_FIRST_LOOKS = 4
"""Looks with a sweep each, minutes apart: what fell through while things went wrong is found by these."""

_ROUNDS = 60
"""Looks at a world that should be at rest, after which it is judged as it is."""


class SimulatedWorld:
    """Runs one plan.

    Parameters
    ----------
    plan
        What happens.
    functions
        What it happens to.
    invariants
        What must hold.
    root
        Folder for the registries' content.
    loop
        The clock.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        functions: Iterable[PipelineFunction],
        invariants: Iterable[Invariant],
        root: Path,
        loop: VirtualLoop,
    ) -> None:
        self.plan = plan
        self.journal = Journal(now=loop.now, invariants=invariants)
        ambushes = Ambushes(plan.actions, journal=self.journal)
        self._around = Surroundings(loop=loop, chance=Chance(plan.seed), journal=self.journal, ambushes=ambushes)
        self._loop = loop
        self._functions = {function.name: function for function in functions}
        self._settings = Settings()
        self._processes: dict[str, Process] = {}
        self._reaches: dict[str, Reach] = {}
        self.cluster = InProcessCluster(namespaces=NAMESPACES, clock=loop.now)
        self.registries = Registries(root, surroundings=self._around)
        self._furnish()
        self.broker = Broker(self._functions.values(), process_of=self._process, surroundings=self._around)
        self._sources = Sources(self.broker, surroundings=self._around)
        self.cluster.server.store.listen(self._sources.changed)
        self._ticker = Ticker(self.broker, period=plan.tick, surroundings=self._around)
        self._people = People(
            cluster=self.cluster, registries=self.registries, broker=self.broker, surroundings=self._around
        )
        self._ends: list[tuple[asyncio.TimerHandle, Callable[[], None]]] = []
        self._disturbed = loop.now()

    async def run(self) -> None:
        """Put the world through its plan, let it come to rest, and judge it."""
        ticking = self._loop.create_task(self._ticker.run())
        deeds = sorted((action for action in self.plan.actions if isinstance(action, Deed)), key=lambda deed: deed.at)
        doing: list[asyncio.Task[None]] = []
        for deed in deeds:
            if self.journal.over:
                break
            await asyncio.sleep(max(0.0, deed.at - self._loop.time()))
            doing.append(self._loop.create_task(self._do(deed)))
        if not self.journal.over:
            await asyncio.sleep(max(0.0, self.plan.lasts - self._loop.time()))
        for task in doing:
            await task
        ticking.cancel()
        if not self.journal.over:
            await self._rest()
        await self.cluster.__aexit__(None, None, None)

    def objects(self, plural: str) -> Sequence[Mapping[str, Any]]:
        """Return every object of a kind as it is stored."""
        bucket = self.cluster.server.store.bucket((_GROUPS.get(plural, GROUP), plural))
        return [stored.body for stored in bucket.select(None)]

    # What is there from the start

    def _furnish(self) -> None:
        self.cluster.furnish(_rights())
        self._store_secret()
        if self._needs_private():
            self.cluster.furnish((_private_registry(),))

    def _needs_private(self) -> bool:
        """Tell whether anything is about the private registry: describing it makes every tick probe it."""
        numbers = {str(number) for number, image in enumerate(IMAGES) if image.host == PRIVATE_HOST}
        named = {str(getattr(action, field, "")) for action in self.plan.actions for field in ("image", "value")}
        return bool(numbers & named)

    def _store_secret(self) -> None:
        self.cluster.server.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": _SECRET,
                    "namespace": NAMESPACES[0],
                    "annotations": {ANNOTATION_ALLOW_NAMESPACES: "*"},
                },
                "type": "kubernetes.io/dockerconfigjson",
                "data": dict(self.registries.pull_secret),
            }
        )

    # Processes

    def _process(self, name: str, key: str) -> Process:
        """Return the living process of a function that an event goes to; its next life begins with its next event."""
        pods = self.plan.pods if name in _SCALED else 1
        pod = f"{name} {int(self._around.chance.draw('pod', name, key) * pods)}" if pods > 1 else name
        process = self._processes.get(pod)
        if process is None or not process.alive:
            function = self._functions[name]
            if name not in self._reaches:
                transport = self.cluster.door(name, restricted=True)
                reach = Reach(cluster=transport, registries=self.registries, ingress=self.broker.offer)
                self._reaches[name] = reach
            process = self._processes[pod] = Process(
                function,
                surroundings=self._around,
                reach=self._reaches[name],
                settings=self._settings,
                slots=slots_of(name),
                life=self._around.count(f"lives of {pod}"),
            )
        return process

    # What is done

    async def _do(self, deed: Deed) -> None:
        journal = self.journal
        self._disturbed = self._loop.now()
        match deed:
            case RegistryTrouble():
                journal.note(f"{deed.host} {deed.kind} for {deed.lasts:.0f} s")
                self.registries.begin(deed)
                self._later(deed.lasts, partial(self.registries.end, deed))
            case SourceStopped():
                journal.note(f"the sources stop for {deed.lasts:.0f} s")
                self._sources.stopped = deed
                self._later(deed.lasts, partial(self._start_sources, deed))
            case BrokerClosed():
                journal.note(f"the broker closes for {deed.lasts:.0f} s")
                self.broker.closed = deed
                self._later(deed.lasts, partial(self._open_broker, deed))
            case FunctionRestarted(function=function):
                living = [process for process in self._processes.values() if process.name == function and process.alive]
                for process in living[:1]:
                    journal.struck(deed, f"{function} is killed, and starts anew with its next event")
                    process.kill()
            case CredentialRotated(mended_after=seconds):
                journal.note(f"the password of {PRIVATE_HOST} changes; its Secret will in {seconds:.0f} s")
                self.registries.change_password()
                self.registries.rotated = deed
                self._later(seconds, partial(self._mend_secret, deed))
            case _:
                await self._people.do(deed)

    def _later(self, seconds: float, end: Callable[[], None]) -> None:
        self._ends.append((self._loop.call_later(seconds, end), end))

    def _mend_secret(self, rotated: CredentialRotated) -> None:
        # Another rotation since then has mended its own, or will.
        if self.registries.rotated is rotated:
            self.registries.rotated = None
            self._store_secret()

    def _start_sources(self, stopped: SourceStopped) -> None:
        if self._sources.stopped is stopped:
            self._sources.stopped = None

    def _open_broker(self, closed: BrokerClosed) -> None:
        if self.broker.closed is closed:
            self.broker.closed = None

    # How it ends

    async def _rest(self) -> None:
        """End every fault, let time pass until nothing is left to do, and judge."""
        now = self._loop.now()
        if self.journal.entries:
            self.journal.note("everything that was wrong is mended, and nobody does anything any more")
        self._around.ambushes.armed = False
        self.registries.behave()
        for handle, end in self._ends:
            if handle.when() > self._loop.time():
                handle.cancel()
                end()
        self._sources.stopped = self.broker.closed = None
        if "reverify" in self._processes:
            # What it has asked for in vain it asks for ever more rarely; a process that comes anew asks at once.
            self._processes["reverify"].kill()
        quiet_since = now
        await self._look_on()
        if not self.journal.over:
            self.journal.judge(
                Quiet(now=self._loop.now(), quiet_since=quiet_since, objects=self.objects, truth=self.registries.truth)
            )

    async def _look_on(self) -> None:
        """Tick whenever something is due, until every entry has been checked since, and nothing is on its way."""
        start = self._loop.time()
        for number in range(_ROUNDS):
            self._ticker.tick(PING_REVERIFY)
            if number < _FIRST_LOOKS or number % 4 == 0:
                self._ticker.tick(PING_SWEEP)
            await self._drain()
            if self.journal.over:
                return
            waited = self._loop.time() - start
            wanted = max((_interval(entry) for entry in self.objects("catalogimages")), default=0.0)
            if waited >= _SETTLE + 1.25 * wanted:
                return
            await asyncio.sleep(min(self._next_due(), 180.0 if number < _FIRST_LOOKS else 1200.0))

    async def _drain(self) -> None:
        """Let everything that is on its way arrive."""
        while not self.broker.idle and not self.journal.over:
            await self.broker.wait(5.0)

    def _next_due(self) -> float:
        """Return the seconds until an entry is due, a minute at least, as ticks are."""
        now = self._loop.now()
        due = [_due(entry) for entry in self.objects("catalogimages")]
        soonest = min((moment for moment in due if moment is not None), default=now)
        return max(60.0, (soonest - now).total_seconds())


@cache
def _rights() -> tuple[dict[str, Any], ...]:
    """Return what the functions may do, from the manifests that a cluster gets, and whose Secrets they may read."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "image-catalog-secret-reader"}
    readers = [{"kind": "ServiceAccount", "name": name, "namespace": "image-catalog"} for name in ("publish", "verify")]
    bindings = (
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "image-catalog-secret-reader", "namespace": namespace},
            "roleRef": role,
            "subjects": readers,
        }
        for namespace in NAMESPACES
    )
    return (*(manifest for manifest in load_manifests() if manifest["kind"] in _RBAC), *bindings)


@cache
def _private_registry() -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "CatalogRegistry",
        "metadata": {"name": "acme"},
        "spec": {
            "host": PRIVATE_HOST,
            "auth": {"type": "secretRef", "secretRef": {"name": _SECRET, "namespace": NAMESPACES[0]}},
        },
    }


def _interval(entry: Mapping[str, Any]) -> float:
    return checked_each(entry).total_seconds()


def _due(entry: Mapping[str, Any]) -> datetime | None:
    text = entry.get("status", {}).get("nextVerificationTime")
    return parse_time(text).astimezone(UTC) if text else None
