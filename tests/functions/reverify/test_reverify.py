"""What is due is asked for, oldest first; what fell through is found."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from image_catalog.catalog.asked import FRESH_FOR
from image_catalog.cluster import CATALOG_IMAGE, ImageRow
from image_catalog.config import Settings
from image_catalog.events import EventType
from image_catalog.models import CatalogRegistry, DueAt, Phase, format_time
from image_catalog.models.names import GROUP
from image_catalog.testing.cluster import Effect
from image_catalog.testing.world import World
from image_catalog_functions.reverify.batches import Batch
from image_catalog_functions.reverify.due import _Counter, _oldest_due, _spread
from image_catalog_functions.reverify.holding import Hold, find_hold

pytestmark = pytest.mark.story


async def tick(world: World) -> list[str]:
    """Let the tick come, and return the entries that were asked for, without letting anybody answer."""
    event = world.pipeline.tick()
    world.pipeline.discard()
    assert (await world.pipeline.deliver("reverify", event)).status_code == 204
    asked = world.pipeline.discard()
    assert {EventType(event.type) for event in asked} <= {EventType.VERIFICATION_REQUESTED}
    return [event.attributes["catalogname"] for event in asked]


def figure(name: str) -> float | None:
    """Return what this process shows."""
    return REGISTRY.get_sample_value(f"image_catalog_{name}")


async def sweep(world: World) -> list[tuple[str, str | None]]:
    """Let the sweep's tick come, and return what was asked for, without letting anybody answer."""
    event = world.pipeline.sweep()
    world.pipeline.discard()
    assert (await world.pipeline.deliver("reverify", event)).status_code == 204
    return [(EventType(event.type).short, event.subject) for event in world.pipeline.discard()]


def forget(world: World, *manifests: dict[str, Any]) -> None:
    """Let objects change while no source runs, and so much time go by that no event can be under way."""
    world.pipeline.sources_run = False
    for manifest in manifests:
        world.pipeline.apply(manifest)
    world.pipeline.sources_run = True
    world.clock.advance(FRESH_FOR)


class TestDue:
    async def test_nothing_is_asked_for_before_its_time(self, world: World) -> None:
        world.push()
        await world.add()
        assert await tick(world) == []

    async def test_what_is_due_is_asked_for_and_nothing_else(self, world: World) -> None:
        world.push()
        world.push("other", tag="other")
        await world.add("hourly")
        await world.add("daily", url="quay.io/acme/autosd:other", verificationInterval="24h")
        world.clock.advance(timedelta(hours=1))
        assert await tick(world) == ["hourly"]

    async def test_an_entry_that_was_never_checked_is_due(self, world: World) -> None:
        forget(world, world.entry_manifest("autosd", "quay.io/acme/autosd:cs9"))
        assert await tick(world) == ["autosd"]

    async def test_an_entry_that_is_never_checked_is_seen_to_wait(self, world: World) -> None:
        forget(world, world.entry_manifest("autosd", "quay.io/acme/autosd:cs9"))
        made = world.clock.now()
        for passed in (timedelta(minutes=31), timedelta(hours=3)):
            world.clock.advance(passed)
            assert await tick(world) == ["autosd"]
            waited = (world.clock.now() - made).total_seconds()
            assert figure("due_oldest_seconds") == pytest.approx(waited, rel=0.1)

    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param({"phase": Phase.AVAILABLE}, id="checked, and due at once"),
            pytest.param({"is_deleted": True}, id="to go"),
            pytest.param({"age": None}, id="of an age that nobody knows"),
        ],
    )
    async def test_an_entry_that_does_not_wait_for_its_first_check_counts_as_due_now(
        self, world: World, fields: dict[str, Any]
    ) -> None:
        counted, now = _Counter(), world.clock.now()
        row = replace(ImageRow("team-a", "os", "quay.io/acme/os:1", None, None, age=timedelta(hours=3)), **fields)
        hold = Hold(None, frozenset(), frozenset(), now=now)

        async def listed() -> AsyncIterator[ImageRow]:
            yield row

        assert await _oldest_due(listed(), now, Batch(3), counted, hold) == [row]
        assert (counted.due, counted.oldest) == (1, None)

    async def test_rows_are_listed_without_the_objects(self, world: World) -> None:
        world.push()
        await world.add()
        world.pipeline.cluster.calls.clear()
        await tick(world)
        assert [call.rule[1:] for call in world.pipeline.cluster.calls] == [
            ("catalogregistries", "list"),
            ("catalogimages", "list"),
        ]

    async def test_the_api_server_leaves_out_what_is_not_due(self, world: World) -> None:
        world.push()
        for number in range(5):
            world.push(tag=f"v{number}")
            await world.add(f"v{number}", url=f"quay.io/acme/autosd:v{number}")
        with capture_logs() as logs:
            await tick(world)
        assert [log["rows"] for log in logs if log["event"] == "due entries"] == [0]

    async def test_an_entry_of_another_version_which_names_no_time_is_due_by_its_time_alone(self, world: World) -> None:
        world.push()
        await world.add()
        world.pipeline.cluster.store_unchecked(CATALOG_IMAGE, "autosd", "team-a", {"status": {"due": None}})
        assert await tick(world) == []
        world.clock.advance(timedelta(hours=1))
        assert await tick(world) == ["autosd"]

    async def test_what_came_due_while_nobody_looked_is_found(self, world: World) -> None:
        world.push()
        await world.add()
        world.clock.advance(timedelta(days=400, hours=7))
        assert await tick(world) == ["autosd"]

    async def test_a_tick_that_comes_twice_asks_under_the_same_ids(self, world: World) -> None:
        world.push()
        await world.add()
        world.clock.advance(timedelta(hours=1))
        event = world.pipeline.tick()
        world.pipeline.discard()
        for _ in range(2):
            await world.pipeline.deliver("reverify", event)
        assert len({event.id for event in world.pipeline.discard()}) == 1

    async def test_a_cluster_that_does_not_answer_is_asked_again(self, world: World) -> None:
        world.pipeline.cluster.fail(Effect.UNAVAILABLE, actor="reverify", times=20)
        event = world.pipeline.tick()
        assert (await world.pipeline.deliver("reverify", event)).status_code == 503

    async def test_figures_say_when_a_tick_last_found_out_what_is_due(self, world: World) -> None:
        await tick(world)
        seen = world.clock.now().timestamp()
        assert figure("last_tick_timestamp_seconds") == seen
        world.clock.advance(timedelta(minutes=10))
        await sweep(world)
        assert figure("last_tick_timestamp_seconds") == seen, "a sweep is no such tick"
        world.pipeline.cluster.fail(Effect.UNAVAILABLE, actor="reverify", times=20)
        event = world.pipeline.tick()
        assert (await world.pipeline.deliver("reverify", event)).status_code == 503
        assert figure("last_tick_timestamp_seconds") == seen, "it found out nothing"


class TestABatch:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(reverify_batch=3, reverify_page=2)

    async def test_the_oldest_come_first_and_the_rest_at_the_next_tick(self, world: World) -> None:
        due = {}
        for number in range(5):
            world.push(tag=f"v{number}")
            image = await world.add(f"v{number}", url=f"quay.io/acme/autosd:v{number}")
            due[image.metadata.name] = image.status.next_verification_time or world.clock.now()
        oldest = sorted(due, key=due.__getitem__)
        world.clock.advance(timedelta(hours=1))
        assert sorted(await tick(world)) == sorted(oldest[:3])
        await world.pass_time()
        assert sorted(await tick(world)) == sorted(oldest[3:])

    async def test_of_builds_that_fell_through_the_newest_come_first_and_the_rest_with_the_next_sweep(
        self, world: World
    ) -> None:
        for number in range(5):
            forget(world, world.build(f"b{number}", url=f"quay.io/acme/autosd:b{number}"))
        asked = [{subject for _, subject in await sweep(world)} for _ in range(3)]
        assert asked == [{"team-a/b2", "team-a/b3", "team-a/b4"}, {"team-a/b0", "team-a/b1"}, set()]

    async def test_registries_share_it_alike_however_long_one_is_overdue(self, world: World) -> None:
        """Entries of a registry that is slow stay due: they must not keep the others from being asked for."""
        hosts = ["slow.test"] * 5 + ["quay.io"] * 2 + ["ghcr.io"]
        for number, host in enumerate(hosts):
            forget(world, world.entry_manifest(f"v{number}", f"{host}/acme/autosd:v{number}"))
        assert sorted(await tick(world)) == ["v0", "v5", "v7"]

    @pytest.mark.parametrize("order", [1, -1], ids=["oldest-first", "youngest-first"])
    async def test_share_of_each_is_what_waits_longest(self, order: int) -> None:
        """Whatever the order of the names, which is that of the list."""
        now = datetime(2026, 1, 1, 12, tzinfo=UTC)
        due = {"slow.test": 40, "quay.io": 12, "ghcr.io": 3}
        rows = [
            ImageRow("team-a", f"{host}-{age}", f"{host}/acme/os:{age}", None, now - timedelta(minutes=age))
            for host, count in due.items()
            for age in range(1, count + 1)
        ][::order]

        async def listed() -> AsyncIterator[ImageRow]:
            for row in rows:
                yield row

        chosen = await _oldest_due(
            listed(), now, Batch(20), _Counter(), find_hold([], now=now, believed_for=timedelta(1))
        )
        ages = {
            host: sorted(int(row.name.rsplit("-", 1)[1]) for row in chosen if row.name.startswith(host)) for host in due
        }
        assert len(chosen) == 20
        assert ages["ghcr.io"] == [1, 2, 3]
        for host in ("slow.test", "quay.io"):
            assert len(ages[host]) in {8, 9}
            assert ages[host] == list(range(due[host] - len(ages[host]) + 1, due[host] + 1))


def test_registries_take_turns() -> None:
    urls = [f"quay.io/acme/os:{number}" for number in range(3)] + [
        "QUAY.io/acme/os:3",
        "registry.example.com/acme/os:1",
    ]
    rows = [ImageRow("team-a", str(number), url, None, None) for number, url in enumerate(urls)]
    spread = [row.registry_url for row in _spread(rows, random.Random(0))]  # noqa: S311 - the same in every run
    assert sorted(spread) == sorted(urls)
    assert spread[1] == "registry.example.com/acme/os:1"


class TestHolding:
    NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def registry(self, host: str = "quay.io", **status: Any) -> CatalogRegistry:
        metadata = {"name": host.strip("*."), "uid": host, "generation": 1}
        fields = {"observedGeneration": 1, "circuitSince": "2026-01-01T11:59:00Z", **status}
        return CatalogRegistry.model_validate({"metadata": metadata, "spec": {"host": host}, "status": fields})

    def returned(self, at: str, host: str = "quay.io") -> CatalogRegistry:
        reachable = {
            "type": "Reachable",
            "status": "True",
            "reason": "Answered",
            "message": "it answers",
            "lastTransitionTime": at,
        }
        return self.registry(host, circuit="Closed", phase="Reachable", conditions=[reachable])

    def hold(self, *registries: CatalogRegistry) -> Hold:
        return find_hold(registries, now=self.NOW, believed_for=timedelta(minutes=5))

    @staticmethod
    def row(url: str = "quay.io/acme/os:1", phase: Phase | None = Phase.UNAVAILABLE) -> ImageRow:
        return ImageRow("team-a", "os", url, phase, None)

    def test_entries_of_a_registry_that_nobody_asks_are_kept_back(self) -> None:
        hold = self.hold(self.registry(circuit="Open"), self.registry("*.example.com", circuit="HalfOpen"))
        rows = [self.row(), self.row("a.example.com/acme/os:1"), self.row("ghcr.io/acme/os:1")]
        assert [hold.keeps(row) for row in rows] == [True, True, False]
        assert hold.held == 2

    def test_one_that_has_waited_for_long_is_checked_so_that_the_outage_counts(self) -> None:
        hold = self.hold(self.registry(circuit="Open"))
        late = [replace(self.row(), next_verification=self.NOW - timedelta(minutes=minutes)) for minutes in (49, 50)]
        assert [hold.keeps(row) for row in late] == [True, False]

    @pytest.mark.parametrize("phase", [Phase.AVAILABLE, Phase.FAILED, Phase.VERIFYING, None])
    def test_those_that_are_not_unavailable_have_to_be_told(self, phase: Phase | None) -> None:
        assert not self.hold(self.registry(circuit="Open")).keeps(self.row(phase=phase))

    @pytest.mark.parametrize("status", [{"circuit": "Closed"}, {}, {"circuit": "Open", "observedGeneration": 0}])
    def test_others_are_asked_for(self, status: dict[str, Any]) -> None:
        assert not self.hold(self.registry(**status)).keeps(self.row())

    def test_what_is_no_reference_is_asked_for(self) -> None:
        assert not self.hold(self.registry(circuit="Open")).keeps(self.row("no reference"))

    def test_a_registry_that_came_back_gets_its_entries_in_portions(self) -> None:
        hold = self.hold(self.returned("2026-01-01T11:59:30Z"))
        assert [hold.keeps(self.row()) for _ in range(250)] == [False] * 200 + [True] * 50
        assert not hold.keeps(self.row("ghcr.io/acme/os:1"))

    def test_half_an_hour_later_it_gets_them_as_they_come(self) -> None:
        hold = self.hold(self.returned("2026-01-01T11:29:00Z"))
        assert not any(hold.keeps(self.row()) for _ in range(250))


class TestLimits:
    """One process shows how far registries' limits go: whose ticks these are has the present figures."""

    @staticmethod
    async def shown(world: World, name: str = "ratio") -> float | None:
        # What a process knows of registries holds for seconds.
        world.clock.advance(timedelta(minutes=1))
        await sweep(world)
        await tick(world)
        return REGISTRY.get_sample_value(f"image_catalog_registry_budget_{name}", {"registry": world.registry.host})

    async def test_a_limit_is_shown_while_it_is_there_and_as_it_is(self, world: World) -> None:
        world.push()
        world.add_registry(limits={"requests": 10, "period": "24h"})
        await world.add()
        scarce = await self.shown(world)
        assert scarce is not None
        assert 0 < scarce < 1
        world.add_registry(limits={"requests": 100, "period": "1h"})
        enough, left = await self.shown(world), await self.shown(world, "requests_left")
        assert enough is not None
        assert enough > 1
        assert left is not None
        assert 80 <= left < 94
        world.add_registry()
        assert await self.shown(world) is None
        assert await self.shown(world, "requests_left") is None

    async def test_a_second_registry_of_a_host_is_not_shown(self, world: World) -> None:
        """Only the one that was there first applies."""
        world.push()
        world.add_registry(limits={"requests": 100, "period": "1h"})
        await world.add()
        before = await self.shown(world), await self.shown(world, "requests_left")
        for name in ("a-younger", "z-younger"):
            world.clock.advance(timedelta(seconds=1))
            world.add_registry(name, limits={"requests": 10, "period": "24h"})
        assert (await self.shown(world), await self.shown(world, "requests_left")) == before
        assert None not in before


class TestSweep:
    async def test_a_build_that_no_event_told_of_is_published(self, world: World) -> None:
        world.push()
        forget(world, world.build())
        world.pipeline.sweep()
        await world.pipeline.drain()
        assert world.image().status.phase == "Available"
        assert world.image().metadata.labels[f"{GROUP}/source-type"] == "imagebuild"

    async def test_a_second_sweep_finds_nothing(self, world: World) -> None:
        world.push()
        forget(world, world.build())
        world.pipeline.sweep()
        await world.pipeline.drain()
        assert await sweep(world) == []

    async def test_only_the_newest_build_of_an_image_is_asked_for(self, world: World) -> None:
        first = world.build("first")
        world.clock.advance(timedelta(hours=1))
        forget(world, first, world.build("second"), world.build("third", url="quay.io/acme/other:1"))
        assert sorted(await sweep(world)) == [
            ("publish.requested", "team-a/second"),
            ("publish.requested", "team-a/third"),
        ]

    async def test_a_build_that_is_newer_than_its_entry_is_asked_for(self, world: World) -> None:
        world.push()
        await world.complete("first")
        world.clock.advance(timedelta(hours=1))
        forget(world, world.build("second"))
        assert await sweep(world) == [("publish.requested", "team-a/second")]

    async def test_one_run_of_a_build_is_asked_for_under_one_id(self, world: World) -> None:
        forget(world, world.build())
        ids = []
        for _ in range(2):
            event = world.pipeline.sweep()
            world.pipeline.discard()
            await world.pipeline.deliver("reverify", event)
            ids += [event.id for event in world.pipeline.discard()]
            world.pipeline.restart("reverify")
        assert len(ids) == 2
        assert len(set(ids)) == 1

    @pytest.mark.parametrize(
        "fields",
        [
            {"status": {"phase": "Building"}},
            {"spec": {"export": {}}},
            {"url": "autosd:cs9"},
            {"status": {"completionTime": "2025-06-01T00:00:00Z"}},
        ],
        ids=["under way", "pushed nowhere", "broken reference", "long ago"],
    )
    async def test_a_build_that_cannot_be_missed_is_left_alone(self, world: World, fields: dict[str, Any]) -> None:
        forget(world, world.build(**fields))
        assert await sweep(world) == []

    async def test_an_image_that_a_person_removed_stays_away(self, world: World) -> None:
        world.push()
        await world.complete()
        world.clock.advance(timedelta(minutes=1))
        await world.remove()
        world.clock.advance(timedelta(minutes=1))
        world.pipeline.sweep()
        await world.pipeline.drain()
        assert world.entry() is None
        assert not world.data("publish.rejected")

    async def test_a_build_that_opted_out_stays_away(self, world: World) -> None:
        world.push()
        forget(world, world.build(metadata={"annotations": {f"{GROUP}/publish": "false"}}))
        world.pipeline.sweep()
        await world.pipeline.drain()
        assert world.entry() is None
        assert not world.data("publish.rejected")

    async def test_a_refused_build_is_refused_under_one_id_whatever_offers_it(self, world: World) -> None:
        assert await world.complete() is None
        world.clock.advance(FRESH_FOR)
        world.pipeline.sweep()
        await world.pipeline.drain()
        refused = [event.id for event in world.pipeline.emitted if event.type.endswith("rejected")]
        assert len(refused) == 2
        assert len(set(refused)) == 1
        (note,) = world.all("events")
        build = world.raw("imagebuilds", "autosd")
        assert build is not None
        assert note["involvedObject"]["uid"] == build["metadata"]["uid"]

    async def test_a_refused_build_is_offered_again_each_time_its_age_has_doubled(self, world: World) -> None:
        forget(world, world.build())
        offered: list[int] = []
        for minute in range(1, 65):
            world.pipeline.sweep()
            await world.pipeline.drain()
            if len(world.data("publish.rejected")) > len(offered):
                offered.append(minute)
            world.clock.advance(timedelta(minutes=1))
        assert offered == [1, 2, 4, 8, 16, 32, 64]

    @pytest.mark.parametrize("seconds", [59, -3600], ids=["a moment ago", "in an hour"])
    async def test_a_build_whose_event_is_under_way_is_left_to_it(self, world: World, seconds: int) -> None:
        completed = world.clock.now() + FRESH_FOR - timedelta(seconds=seconds)
        forget(world, world.build(status={"completionTime": format_time(completed)}))
        assert await sweep(world) == []

    async def test_an_entry_whose_status_is_behind_is_asked_for(self, world: World) -> None:
        world.push()
        await world.add()
        world.pipeline.sources_run = False
        world.edit(spec={"tags": ["new"]})
        world.pipeline.sources_run = True
        assert await sweep(world) == [("verification.requested", "team-a/autosd")]
        world.pipeline.sweep()
        await world.pipeline.drain()
        assert world.image().status.observed_generation == 2

    async def test_an_entry_that_ticks_pass_over_is_asked_for(self, world: World) -> None:
        """Its time was written by somebody who knew nothing of the names of it."""
        world.push()
        await world.add()
        later = DueAt.of(world.clock.now() + timedelta(days=5)).to_dict()
        world.pipeline.cluster.store_unchecked(CATALOG_IMAGE, "autosd", "team-a", {"status": {"due": later}})
        assert await sweep(world) == []
        world.clock.advance(timedelta(hours=1))
        assert await tick(world) == []
        assert await sweep(world) == [("verification.requested", "team-a/autosd")]
        world.pipeline.sweep()
        await world.pipeline.drain()
        due = world.image().status.next_verification_time
        assert due is not None
        assert world.image().status.due == DueAt.of(due)

    async def test_of_more_than_a_batch_each_entry_that_is_behind_gets_its_turn(self, world: World) -> None:
        names = {f"e{number}" for number in range(8)}
        forget(world, *(world.entry_manifest(name, f"quay.io/acme/os:{name}") for name in sorted(names)))
        world.pipeline.settings = Settings(reverify_batch=3)
        world.pipeline.restart("reverify")
        asked: set[str] = set()
        for _ in range(40):
            requests = await sweep(world)
            assert len(requests) == 3
            asked |= {subject for _, subject in requests if subject}
        assert asked == {f"team-a/{name}" for name in names}

    async def test_a_list_that_expires_starts_again_and_doubles_nothing(self, world: World) -> None:
        forget(world, *(world.entry_manifest(f"e{n}", f"quay.io/acme/os:{n}") for n in range(3)))
        event = world.pipeline.sweep()
        world.pipeline.discard()
        world.pipeline.settings = Settings(reverify_page=1)
        world.pipeline.restart("reverify")
        world.pipeline.cluster.fail(Effect.GONE, verb="list", resource="catalogimages", actor="reverify", nth=3)
        assert (await world.pipeline.deliver("reverify", event)).status_code == 204
        assert sorted(e.attributes["catalogname"] for e in world.pipeline.discard()) == ["e0", "e1", "e2"]

    async def test_entries_are_swept_without_a_build_operator(self, world: World) -> None:
        forget(world, world.entry_manifest("autosd", "quay.io/acme/autosd:cs9"))
        world.pipeline.cluster.fail(Effect.UNAVAILABLE, resource="imagebuilds", times=20)
        assert await sweep(world) == [("verification.requested", "team-a/autosd")]
