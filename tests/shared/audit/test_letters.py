"""Dead letters are kept whole, once, until somebody settles them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from image_catalog.audit import AuditStore, LetterState, NewDeadLetter
from image_catalog.testing.clock import StillClock

Write = Callable[..., NewDeadLetter]


@pytest.fixture
def write(clock: StillClock) -> Write:
    """Write a letter."""

    def letter(event_id: str, **fields: Any) -> NewDeadLetter:
        given: dict[str, Any] = {
            "destination": "http://verify/",
            "type": "com.example.t",
            "subject": "default/one",
            "attributes": {"id": event_id, "color": "ü\x00"},
            "body": b"\x00\xff",
            "why": "answer 503",
            "time": clock(),
        }
        return NewDeadLetter(event_id=event_id, **(given | fields))

    return letter


async def test_a_letter_is_kept_whole(store: AuditStore, write: Write, clock: StillClock) -> None:
    kept = await store.keep_dead_letter(write("a"))
    assert (kept.id, kept.count, kept.state, kept.first, kept.time) == (1, 1, LetterState.OPEN, clock(), clock())
    assert (kept.attributes, kept.body, kept.why) == ({"id": "a", "color": "ü\x00"}, b"\x00\xff", "answer 503")
    assert await store.dead_letter(1) == kept
    assert await store.dead_letter(2) is None


async def test_an_arrival_is_counted_and_each_destination_has_its_own(
    store: AuditStore, write: Write, clock: StillClock
) -> None:
    first = await store.keep_dead_letter(write("a"))
    other = await store.keep_dead_letter(write("a", destination=""))
    clock.advance(minutes=1)
    again = await store.keep_dead_letter(write("a", why="answer 500"))
    assert (again.id, again.count, again.first, again.time) == (first.id, 2, first.first, clock())
    assert again.why == "answer 500"
    assert other.id != first.id


@pytest.mark.parametrize("other", [{"body": b"forged"}, {"type": "com.example.forged"}], ids=["body", "type"])
async def test_a_letter_under_anothers_id_does_not_take_its_place(
    store: AuditStore, write: Write, other: dict[str, Any]
) -> None:
    first = await store.keep_dead_letter(write("a"))
    for _ in range(2):
        forged = await store.keep_dead_letter(write("a", **other))
    again = await store.keep_dead_letter(write("a"))
    assert (again.id, again.body, again.type, again.count) == (first.id, first.body, first.type, 2)
    assert (forged.id != first.id, forged.count) == (True, 2)
    assert len(await store.dead_letters()) == 2


async def test_a_settled_letter_is_open_again_when_it_comes_again(
    store: AuditStore, write: Write, clock: StillClock
) -> None:
    letter = await store.keep_dead_letter(write("a"))
    settled = await store.settle_dead_letter(letter.id, LetterState.REPLAYED, by="anna")
    assert settled is not None
    assert (settled.state, settled.settled_by, settled.settled_at) == (LetterState.REPLAYED, "anna", clock())
    assert await store.dead_letters() == []
    assert await store.dead_letters(states=[LetterState.REPLAYED]) == [settled]
    assert (await store.keep_dead_letter(write("a"))).state is LetterState.OPEN
    assert await store.settle_dead_letter(9, LetterState.DROPPED, by="anna") is None


async def test_the_newest_letters_are_listed(store: AuditStore, write: Write) -> None:
    for number in range(5):
        await store.keep_dead_letter(write(str(number)))
    assert [letter.id for letter in await store.dead_letters(limit=3)] == [5, 4, 3]
