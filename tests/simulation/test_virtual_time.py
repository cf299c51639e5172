"""The loop whose clock jumps."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from image_catalog.testing.simulation.chance import Chance
from image_catalog.testing.simulation.virtual_time import EPOCH, StandstillError, VirtualLoop, run_virtually


async def _pass(loop: VirtualLoop, seconds: float) -> None:
    """Wait for a moment of the clock under test, which no other clock has to reach."""
    reached = loop.create_future()
    loop.call_later(seconds, reached.set_result, None)
    await reached


def test_a_day_passes_as_soon_as_nobody_else_has_anything_to_do() -> None:
    async def live(loop: VirtualLoop) -> None:
        await _pass(loop, timedelta(days=3).total_seconds())
        assert loop.now() == EPOCH + timedelta(days=3)

    run_virtually(live)


def test_everybody_wakes_in_the_order_of_the_clock() -> None:
    woken: list[float] = []

    async def wake(loop: VirtualLoop, after: float) -> None:
        await _pass(loop, after)
        woken.append(after)

    async def live(loop: VirtualLoop) -> None:
        await asyncio.gather(*(wake(loop, after) for after in (5.0, 0.1, 3600.0, 0.1000001, 2.0)))

    run_virtually(live)
    assert woken == sorted(woken)


def test_a_time_limit_ends_what_hangs() -> None:
    async def live(loop: VirtualLoop) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await _pass(loop, 1e6)
        assert loop.seconds == pytest.approx(30)

    run_virtually(live)


def test_a_world_in_which_everybody_waits_for_ever_is_given_up() -> None:
    async def live(_: VirtualLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(StandstillError):
        run_virtually(live)


def test_what_blocks_is_done_at_once() -> None:
    async def live(loop: VirtualLoop) -> None:
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        assert loop.seconds == 0

    run_virtually(live)


def test_a_name_always_draws_the_same_whatever_else_is_drawn() -> None:
    first, second = Chance(7), Chance(7)
    second.draw("something else")
    assert first.draw("way", 3) == second.draw("way", 3)
    assert first.draw("way", 3) != Chance(8).draw("way", 3)
    assert first.random("process").random() == second.random("process").random()


def test_draws_are_spread_evenly() -> None:
    chance = Chance(1)
    draws = [chance.draw(number) for number in range(2000)]
    assert all(0 <= draw < 1 for draw in draws)
    assert sum(draws) / len(draws) == pytest.approx(0.5, abs=0.03)
