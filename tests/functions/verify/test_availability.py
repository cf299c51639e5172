"""What entries say of the share of time that their image was there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from image_catalog.events import EventType
from image_catalog.models import Availability
from image_catalog.testing.cluster_faults import Effect
from image_catalog.testing.registry_faults import rate_limited, server_error
from image_catalog.testing.world import NAMESPACE, World

pytestmark = pytest.mark.story

HOUR = Fraction(3_600)
INTERVAL, HELD = 12, 24
"""Hours between two checks, and after which an entry that is checked so seldom knows no more."""

BEGIN = datetime(2026, 1, 1, 7, 41, 13, tzinfo=UTC)


async def ask(world: World) -> None:
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, {"namespace": NAMESPACE, "name": "autosd"})
    await world.pipeline.drain()


def availability(world: World) -> Availability:
    found = world.image().status.availability
    assert found is not None
    return found


async def begin(world: World) -> None:
    """Have an entry checked for the first time at an odd moment of a day."""
    world.clock.advance(BEGIN - world.clock.now())
    world.push()
    await world.add(verificationInterval=f"{INTERVAL}h")


class TestThirtyDays:
    """A month of a registry that is down, loses the image, sends everybody away, and is not looked at."""

    def schedule(self, world: World) -> dict[Fraction, Callable[[], Any]]:
        """Return what happens, by the hour; a check sees each at once."""
        return {
            Fraction(50): world.take_down,
            Fraction(57): world.bring_back,
            Fraction(120): lambda: world.registry.fail(server_error(503)),
            Fraction(241, 2): world.registry.recover,
            Fraction(200): lambda: world.registry.store.delete_tag("acme/autosd", "cs9"),
            Fraction(236): world.push,
            Fraction(300): lambda: world.registry.fail(rate_limited()),
            Fraction(303): world.registry.recover,
            Fraction(350): lambda: world.pipeline.restart("verify"),
            Fraction(400): lambda: None,
            Fraction(720): lambda: None,
        }

    MISSED = range(400, 520)
    UNREACHABLE = HOUR * (7 + Fraction(1, 2))
    MISSING = HOUR * 36
    UNKNOWN = HOUR * (3 + len(MISSED) - HELD)

    async def until(self, world: World, hour: Fraction) -> None:
        """Let the ticks come, but for those that everybody misses."""
        while (passed := Fraction(world.clock.now().timestamp() - BEGIN.timestamp()) / HOUR) < hour:
            then = min(hour, passed + Fraction(INTERVAL, 2))
            world.clock.advance(timedelta(seconds=int((then - passed) * HOUR)))
            if then != hour and then not in self.MISSED:
                world.pipeline.tick()
                await world.pipeline.drain()

    async def test_a_month_with_outages_gives_the_exact_ratio(self, world: World) -> None:
        await begin(world)
        for hour, happens in self.schedule(world).items():
            await self.until(world, hour)
            happens()
            await ask(world)
        found, length = availability(world), HOUR * 720
        known = length - self.UNKNOWN
        assert found.as_of == BEGIN + timedelta(days=30)
        assert found.last30d == float((known - self.UNREACHABLE - self.MISSING) / known)
        assert found.last24h == found.known24h == 1
        since_midnight = HOUR * 7 + 41 * 60 + 13
        assert found.known30d == pytest.approx(float(known / (length + since_midnight)), abs=1e-4)

    async def test_the_day_after_an_outage_gives_the_exact_ratio_of_its_window(self, world: World) -> None:
        await begin(world)
        for hour, happens in self.schedule(world).items():
            if hour > 60:
                break
            await self.until(world, hour)
            happens()
            await ask(world)
        await self.until(world, Fraction(60))
        await ask(world)
        window = 24 * HOUR + 41 * 60 + 13
        assert availability(world).last24h == float((window - 7 * HOUR) / window)


class TestCounting:
    async def test_nothing_is_known_before_the_second_check(self, world: World) -> None:
        await begin(world)
        first = availability(world)
        assert (first.last24h, first.state, first.since) == (None, "Available", BEGIN)
        await world.pass_time(hours=INTERVAL)
        assert availability(world).last24h == 1

    async def test_an_event_that_is_delivered_again_is_counted_once(self, world: World) -> None:
        await begin(world)
        await world.pass_time(hours=INTERVAL)
        before, events = availability(world), [d.event for d in world.pipeline.deliveries if d.function == "verify"]
        world.clock.advance(timedelta(hours=1))
        for event in events:
            await world.pipeline.deliver("verify", event)
        assert availability(world) == before

    async def test_two_checks_at_the_same_time_are_counted_once(self, world: World) -> None:
        await begin(world)
        world.clock.advance(timedelta(hours=INTERVAL))
        asked = [
            world.pipeline.event(EventType.VERIFICATION_REQUESTED, {"namespace": NAMESPACE, "name": "autosd"})
            for _ in range(3)
        ]
        await asyncio.gather(*(world.pipeline.deliver("verify", event) for event in asked))
        counted = availability(world)
        assert (counted.as_of, counted.last24h) == (BEGIN + timedelta(hours=INTERVAL), 1)

    async def test_a_write_that_meets_another_one_counts_from_what_that_wrote(self, world: World) -> None:
        await begin(world)
        world.take_down()
        world.clock.advance(timedelta(hours=INTERVAL))
        world.pipeline.tick()
        world.pipeline.cluster.fail(Effect.CONFLICT, verb="patch", resource="catalogimages", actor="verify")
        await world.pipeline.drain()
        counted = availability(world)
        assert (counted.state, counted.last24h, counted.as_of) == (
            "Unreachable",
            1,
            BEGIN + timedelta(hours=INTERVAL),
        )

    async def test_another_reference_is_not_known_by_what_was_found_of_the_one_before(self, world: World) -> None:
        await begin(world)
        world.take_down()
        world.clock.advance(timedelta(hours=2))
        world.edit(spec={"registryUrl": "quay.io/acme/autosd:elsewhere"})
        await world.pipeline.drain()
        assert availability(world).state == "Unreachable"
        await world.pass_time(hours=1)
        # Two hours of the one, one of the other.
        assert availability(world).last24h == pytest.approx(2 / 3)

    async def test_a_registry_that_nobody_asks_any_more_is_unreachable_until_it_is_back(self, world: World) -> None:
        world.add_registry()
        await begin(world)
        world.take_down()
        await ask(world)
        while world.clock.now() < BEGIN + timedelta(hours=26):
            await world.pass_time(minutes=30)
        assert world.says()["Verified"] == ("Unknown", "CircuitOpen")
        world.bring_back()
        await world.pass_time(minutes=1)
        counted = availability(world)
        assert (counted.state, counted.last24h, counted.last30d) == ("Available", 0, 0)
        assert counted.known24h == 1
        assert counted.days == "0:34933U 1:58727U"
