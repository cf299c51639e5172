"""From a push to a version: what registries tell, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import orjson
import pytest

from image_catalog.errors import SinkUnavailableError
from image_catalog.testing.looking import NotYetError, look
from image_catalog.testing.notifications import (
    distribution_event,
    docker_hub_notification,
    envelope,
    harbor_cloud_event,
    harbor_notification,
    listen,
    quay_notification,
)
from image_catalog.testing.world import NAMESPACE, World

Open = Callable[..., AbstractAsyncContextManager[Any]]
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_pushed_tag_is_a_new_version_without_anybody_waiting_for_the_next_check(
    world: World, open_listening: Open
) -> None:
    world.push("first")
    await world.add()
    token = listen(world, "quay")
    async with open_listening() as listening:
        second = world.push("second")
        answer = await listening.tell(quay_notification(), token, headers={"traceparent": TRACE})
        assert (answer.status_code, answer.json()) == (202, {"pushes": 1, "requested": 1, "postponed": 0})
        await world.pipeline.drain()
    found = world.image().status.registry_metadata
    assert found is not None
    assert found.resolved_digest == second.digest
    assert world.data("image.published")[-1]["change"] == "version"
    (event,) = listening.events
    assert orjson.loads(event.data) == {
        "name": "autosd",
        "namespace": NAMESPACE,
        "registryUrl": "quay.io/acme/autosd:cs9",
        "reason": "registryPush",
        "deep": False,
    }
    assert event.attributes["traceparent"] == TRACE


async def test_an_entry_whose_tag_was_deleted_is_unavailable_at_once(world: World, open_listening: Open) -> None:
    sample = world.push()
    await world.add()
    token = listen(world, "distribution")
    async with open_listening() as listening:
        world.registry.store.delete_manifest("acme/autosd", sample.digest)
        gone = distribution_event(action="delete", tag=None, digest=sample.digest)
        assert (await listening.tell(envelope(gone), token)).json()["requested"] == 1
        await world.pipeline.drain()
    assert world.image().status.phase == "Unavailable"


@pytest.mark.parametrize(
    ("sender", "body"),
    [
        pytest.param("distribution", envelope(distribution_event()), id="distribution"),
        pytest.param("quay", quay_notification(), id="quay"),
        pytest.param("quay", quay_notification(tags={"cs9": "b750fe79269d"}), id="quay, as it was"),
        pytest.param("harbor", harbor_notification(), id="harbor"),
        pytest.param("harbor", harbor_cloud_event(), id="harbor, as a CloudEvent"),
        pytest.param("dockerhub", docker_hub_notification(), id="dockerhub"),
        pytest.param("dockerhub", docker_hub_notification(tag=None), id="dockerhub, as it was"),
    ],
)
async def test_every_registry_is_understood_and_speaks_for_its_own_host(
    world: World, open_listening: Open, sender: str, body: dict[str, Any]
) -> None:
    host = "docker.io" if sender == "dockerhub" else "quay.io"
    for name, url in (("one", f"{host}/acme/autosd:cs9"), ("other", f"{host}/acme/else:cs9"), ("far", "h.io/acme/x:1")):
        world.pipeline.apply(world.entry_manifest(name, url))
    world.pipeline.discard()
    token = listen(world, sender, host=host)
    async with open_listening() as listening:
        answer = await listening.tell(body, token)
        assert (answer.status_code, answer.json()["requested"]) == (202, 1)
        assert listening.checked == ["one"]
    world.pipeline.discard()


async def test_what_nobody_keeps_an_entry_of_costs_nothing(world: World, listening: Any) -> None:
    token = listen(world, "distribution")
    pulled = distribution_event(action="pull")
    blob = distribution_event(tag=None, digest=f"sha256:{'b' * 64}")
    answer = await listening.tell(envelope(pulled, blob, distribution_event("acme/../x")), token)
    assert (answer.status_code, answer.json()) == (202, {"pushes": 2, "requested": 0, "postponed": 0})
    assert not listening.events


async def test_an_index_is_one_push_however_many_events_it_comes_as(world: World, open_listening: Open) -> None:
    world.pipeline.apply(world.entry_manifest("autosd", "quay.io/acme/autosd:cs9"))
    world.pipeline.discard()
    token = listen(world, "distribution")
    children = [distribution_event(tag=None, digest=f"sha256:{digit * 64}") for digit in "abc"]
    async with open_listening() as listening:
        answer = await listening.tell(envelope(*children, distribution_event(digest=f"sha256:{'d' * 64}")), token)
        assert answer.json() == {"pushes": 4, "requested": 1, "postponed": 0}
    world.pipeline.discard()


async def test_what_is_said_a_thousand_times_is_looked_up_once(world: World, open_listening: Open) -> None:
    for number in range(50):
        world.pipeline.apply(world.entry_manifest(f"entry-{number}", f"quay.io/acme/autosd:{number}"))
    world.pipeline.discard()
    token = listen(world, "distribution")
    gone = [distribution_event(action="delete", tag=None) for _ in range(1000)]
    async with open_listening(notification_interval=timedelta(hours=1), notification_rate=30) as listening:
        answer = await listening.tell(envelope(*gone), token)
        assert answer.json() == {"pushes": 1000, "requested": 30, "postponed": 20}
    assert len(set(listening.checked)) == 50
    world.pipeline.discard()


async def test_entries_of_every_namespace_are_found_and_none_is_named(world: World, open_listening: Open) -> None:
    manifest = world.entry_manifest("autosd", "quay.io/acme/autosd:cs9")
    for namespace in ("team-a", "team-b"):
        world.pipeline.apply({**manifest, "metadata": {"name": "autosd", "namespace": namespace}})
    world.pipeline.discard()
    token = listen(world, "quay")
    async with open_listening() as listening:
        answer = await listening.tell(quay_notification(), token)
        assert answer.json()["requested"] == 2
        assert "team" not in answer.text
    world.pipeline.discard()


async def test_a_storm_is_one_check_at_once_and_one_at_its_end(world: World, open_listening: Open) -> None:
    world.pipeline.apply(world.entry_manifest("autosd", "quay.io/acme/autosd:cs9"))
    world.pipeline.discard()
    token = listen(world, "quay")
    async with open_listening(notification_interval=timedelta(milliseconds=500)) as listening:
        told = [(await listening.tell(quay_notification(), token)).json() for _ in range(20)]
        assert [answer["requested"] for answer in told] == [1] + [0] * 19
        assert {answer["postponed"] for answer in told[1:]} == {1}
        async for attempt in look(every=timedelta(milliseconds=20), limit=timedelta(seconds=10)):
            with attempt:
                if len(listening.events) < 2:
                    raise NotYetError
    assert listening.checked == ["autosd", "autosd"]
    world.pipeline.discard()


async def test_what_waits_is_not_lost_when_the_process_is_told_to_stop(world: World, open_listening: Open) -> None:
    world.pipeline.apply(world.entry_manifest("autosd", "quay.io/acme/autosd:cs9"))
    world.pipeline.discard()
    token = listen(world, "quay")
    async with open_listening(notification_interval=timedelta(hours=1)) as listening:
        for _ in range(3):
            await listening.tell(quay_notification(), token)
        assert len(listening.events) == 1
    assert len(listening.events) == 2
    world.pipeline.discard()


async def test_a_broker_that_takes_nothing_is_told_and_the_push_kept(world: World, open_listening: Open) -> None:
    world.pipeline.apply(world.entry_manifest("autosd", "quay.io/acme/autosd:cs9"))
    world.pipeline.discard()
    token = listen(world, "quay")
    async with open_listening(notification_interval=timedelta(hours=1)) as listening:
        listening.refusing = True
        answer = await listening.tell(quay_notification(), token)
        assert (answer.status_code, answer.json()["reason"]) == (503, SinkUnavailableError.reason)
        assert answer.headers["retry-after"]
        listening.refusing = False
    assert listening.checked == ["autosd"], "it was sent when the process ended"
    world.pipeline.discard()


async def test_what_a_broker_took_without_a_word_is_sent_again_under_its_id(world: World, open_listening: Open) -> None:
    world.pipeline.apply(world.entry_manifest("autosd", "quay.io/acme/autosd:cs9"))
    world.pipeline.discard()
    token = listen(world, "quay")
    async with open_listening(notification_interval=timedelta(hours=1)) as listening:
        listening.silent = True
        assert (await listening.tell(quay_notification(), token)).status_code == 503
        listening.silent = False
    assert len(listening.events) > 1
    assert len({event.id for event in listening.events}) == 1
    world.pipeline.discard()


async def test_what_a_broker_took_is_not_sent_again_with_what_it_refused(world: World, open_listening: Open) -> None:
    names = ("one", "other", "third")
    for name in names:
        world.pipeline.apply(world.entry_manifest(name, "quay.io/acme/autosd:cs9"))
    world.pipeline.discard()
    token = listen(world, "quay")
    async with open_listening(notification_interval=timedelta(hours=1)) as listening:
        listening.refusing = f"{NAMESPACE}/other"
        assert (await listening.tell(quay_notification(), token)).status_code == 503
        assert sorted(listening.checked) == ["one", "third"]
        listening.refusing = False
    assert sorted(listening.checked) == sorted(names)
    world.pipeline.discard()


async def test_a_second_delivery_has_the_same_id_and_pushes_that_look_alike_have_not(
    world: World, open_listening: Open
) -> None:
    world.pipeline.apply(world.entry_manifest("autosd", "quay.io/acme/autosd:cs9"))
    world.pipeline.apply(world.entry_manifest("hub", "docker.io/acme/autosd:cs9"))
    world.pipeline.discard()
    token = listen(world, "distribution")
    hub = listen(world, "dockerhub", registry="hub", host="docker.io")
    event = distribution_event()
    async with open_listening(notification_interval=timedelta(microseconds=1)) as listening:
        for told in (event, event, distribution_event()):
            await listening.tell(envelope(told), token)
        for _ in range(2):
            await listening.tell(docker_hub_notification(), hub, registry="hub")
    first, again, another, *alike = [event.id for event in listening.events]
    assert first == again != another
    assert len(set(alike)) == 2
    world.pipeline.discard()


async def test_an_entry_that_goes_while_its_check_waits_is_not_asked_for(world: World, open_listening: Open) -> None:
    world.push()
    await world.add()
    token = listen(world, "quay")
    async with open_listening(notification_interval=timedelta(hours=1)) as listening:
        for _ in range(2):
            await listening.tell(quay_notification(), token)
        await world.remove()
        async for attempt in look(every=timedelta(milliseconds=10), limit=timedelta(seconds=10)):
            with attempt:
                if (await listening.tell(quay_notification(), token)).json()["postponed"]:
                    raise NotYetError
    assert len(listening.events) == 1
