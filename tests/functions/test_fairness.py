"""One registry that hangs or is slow takes nothing from the images of others, and loses nothing of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from image_catalog.events import EventType, SourceType
from image_catalog.local.knative import CloudEvent
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.world import NAMESPACE, World

pytestmark = pytest.mark.story

HUNG = "hung.test"
AT_ONCE = 50
"""Events that the Services of publish and verify take at once, by the manifests."""


@pytest.fixture
def acting(functions: tuple[PipelineFunction, ...]) -> tuple[PipelineFunction, ...]:
    """Return all but audit, which asks no registry."""
    return tuple(function for function in functions if function.name != "audit")


class Deliveries:
    """Events on their way to a function, which takes so many at once as its Service says."""

    def __init__(self, world: World, function: str) -> None:
        self.world = world
        self.function = function
        self.statuses: list[int] = []
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._tasks: list[asyncio.Task[int]] = []

    def begin(self, events: Iterable[CloudEvent]) -> list[asyncio.Task[int]]:
        """Queue events, in their order."""
        tasks = [asyncio.create_task(self._deliver(event)) for event in events]
        self._tasks += tasks
        return tasks

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)

    async def _deliver(self, event: CloudEvent) -> int:
        async with self._turns:
            response = await self.world.pipeline.deliver(self.function, event)
        self.statuses.append(response.status_code)
        return response.status_code


class Hang:
    """A registry that takes every request and answers none, until it is let go."""

    def __init__(self, world: World) -> None:
        self.asked = 0
        self.go = asyncio.Event()
        world.network.serve(f"https://{HUNG}", self._answer)
        self._registry, self._host = httpx.ASGITransport(world.registry), world.registry.host

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        await self.go.wait()
        request.headers["host"] = self._host
        return await self._registry.handle_async_request(request)


def entries(world: World, host: str, count: int) -> list[str]:
    names = [f"{host.split('.', 1)[0]}-{number}" for number in range(count)]
    for name in names:
        world.push(name, tag=name)
        world.pipeline.apply(world.entry_manifest(name, f"{host}/acme/autosd:{name}"))
    return names


def phases(world: World, names: list[str]) -> set[str | None]:
    return {world.image(name).status.phase for name in names}


def last_checked(world: World, names: list[str]) -> datetime:
    return max(time for name in names if (time := world.image(name).status.last_verification_time) is not None)


def due(world: World, names: list[str]) -> list[CloudEvent]:
    found = [world.image(name) for name in names]
    return [
        world.pipeline.event(
            EventType.VERIFICATION_REQUESTED,
            {
                "name": image.metadata.name,
                "namespace": NAMESPACE,
                "registryUrl": image.spec.registry_url,
                "reason": "due",
            },
        )
        for image in found
    ]


class TestVerify:
    async def test_registry_that_hangs_from_the_start_leaves_the_places_to_others(self, world: World) -> None:
        hang = Hang(world)
        hung, well = entries(world, HUNG, 60), entries(world, "quay.io", 5)
        world.pipeline.discard()
        verify = Deliveries(world, "verify")
        verify.begin(due(world, hung))
        async with asyncio.timeout(10):
            assert await asyncio.gather(*verify.begin(due(world, well))) == [204] * 5
        assert phases(world, well) == {"Available"}
        assert 0 < hang.asked <= 4
        hang.go.set()
        await verify.end()
        assert set(verify.statuses) == {204}, (
            "what is due is asked for by the next tick, and need not be delivered again"
        )

    async def test_registry_that_was_well_and_hangs_is_waited_for_a_moment_only(self, world: World) -> None:
        hang = Hang(world)
        hang.go.set()
        hung, well = entries(world, HUNG, 60), entries(world, "quay.io", 5)
        await world.pipeline.drain()
        assert phases(world, hung) == {"Available"}
        hang.go.clear()
        world.clock.advance(timedelta(hours=1))
        verify = Deliveries(world, "verify")
        verify.begin(due(world, hung))
        async with asyncio.timeout(10):
            assert await asyncio.gather(*verify.begin(due(world, well))) == [204] * 5
        assert phases(world, well) == {"Available"}
        assert last_checked(world, well) > last_checked(world, hung), "they were not waited for"
        hang.go.set()
        await verify.end()

    async def test_what_was_left_is_asked_for_by_the_next_tick(self, world: World) -> None:
        hang = Hang(world)
        hung = entries(world, HUNG, 30)
        world.pipeline.discard()
        verify = Deliveries(world, "verify")
        tasks = verify.begin(due(world, hung))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert None in phases(world, hung)
        hang.go.set()
        await verify.end()
        await world.pass_time(minutes=1)
        assert phases(world, hung) == {"Available"}

    @pytest.mark.parametrize(("reason", "status"), [("manual", 503), ("registryPush", 204)])
    async def test_a_person_is_told_to_ask_again_and_a_push_waits_for_the_next_tick(
        self, world: World, reason: str, status: int
    ) -> None:
        hang = Hang(world)
        hung = entries(world, HUNG, 20)
        world.pipeline.discard()
        verify = Deliveries(world, "verify")
        await asyncio.wait(verify.begin(due(world, hung[:18])), return_when=asyncio.FIRST_COMPLETED)
        data: dict[str, Any] = {"name": hung[19], "namespace": NAMESPACE, "reason": reason}
        async with asyncio.timeout(10):
            answer = await world.pipeline.deliver(
                "verify", world.pipeline.event(EventType.VERIFICATION_REQUESTED, data)
            )
        assert answer.status_code == status
        assert world.image(hung[19]).status.phase is None, "nobody has looked, so nothing is said about it"
        if status == 503:
            assert answer.headers["retry-after"] == "5"
            assert b'"RegistryBusy"' in bytes(answer.body)
        hang.go.set()
        await verify.end()
        await world.pass_time(minutes=1)
        assert phases(world, hung) == {"Available"}

    async def test_reference_that_has_no_entry_is_not_explained_by_a_registry_that_is_busy(self, world: World) -> None:
        hang = Hang(world)
        hung = entries(world, HUNG, 18)
        world.pipeline.discard()
        verify = Deliveries(world, "verify")
        await asyncio.wait(verify.begin(due(world, hung)), return_when=asyncio.FIRST_COMPLETED)
        data = {"reference": f"{HUNG}/acme/autosd:cs9", "reason": "manual"}
        async with asyncio.timeout(10):
            answer = await world.pipeline.deliver(
                "verify", world.pipeline.event(EventType.VERIFICATION_REQUESTED, data)
            )
        assert answer.status_code == 503
        hang.go.set()
        await verify.end()


class TestPublish:
    async def test_builds_of_a_registry_that_hangs_wait_for_the_broker_and_others_are_published(
        self, world: World
    ) -> None:
        hang = Hang(world)
        names = {
            host: [f"{host.split('.', 1)[0]}-{number}" for number in range(count)]
            for host, count in ((HUNG, 60), ("quay.io", 5))
        }
        for host, builds in names.items():
            for name in builds:
                world.push(name, tag=name)
                world.pipeline.apply(world.build(name, url=f"{host}/acme/autosd:{name}"))
        queued = [e for e in world.pipeline.discard() if e.type == SourceType.RESOURCE_UPDATED]
        publish = Deliveries(world, "publish")
        first = publish.begin(queued[:60])
        async with asyncio.timeout(10):
            assert await asyncio.gather(*publish.begin(queued[60:])) == [204] * 5
        assert phases(world, names["quay.io"]) == {"Available"}
        assert hang.asked <= 4
        hang.go.set()
        await publish.end()
        refused = [event for event, task in zip(queued, first, strict=False) if task.result() == 503]
        assert 60 - 16 <= len(refused) < 60
        async with asyncio.timeout(30):
            while refused:
                # The broker comes again; on a busy machine so often that all of them find a place in time.
                answers = await asyncio.gather(*publish.begin(refused))
                assert set(answers) <= {204, 503}
                refused = [event for event, answer in zip(refused, answers, strict=True) if answer == 503]
        assert phases(world, names[HUNG]) == {"Available"}

    async def test_builds_whose_files_are_at_a_registry_that_hangs_leave_the_places_to_others(
        self, world: World
    ) -> None:
        hang = Hang(world)
        for number in range(14):
            name = f"build-{number}"
            world.push(name, tag=name)
            export = {"container": f"quay.io/acme/autosd:{name}", "disk": {"oci": f"{HUNG}/acme/files:{name}"}}
            world.pipeline.apply(world.build(name, spec={"export": export}))
        queued = [e for e in world.pipeline.discard() if e.type == SourceType.RESOURCE_UPDATED]
        publish = Deliveries(world, "publish")
        tasks = publish.begin(queued)
        async with asyncio.timeout(10):
            while sum(task.done() for task in tasks) < len(tasks) - 4:
                await asyncio.wait([t for t in tasks if not t.done()], return_when=asyncio.FIRST_COMPLETED)
        assert 0 < hang.asked <= 4
        hang.go.set()
        await publish.end()
        assert set(publish.statuses) == {204}
        assert phases(world, [f"build-{number}" for number in range(14)]) == {"Available"}
