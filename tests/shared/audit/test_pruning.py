"""What is old goes, and what stays can be proven."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from image_catalog.audit import (
    CARRIED,
    PRUNED,
    AuditStore,
    LetterState,
    Link,
    NewDeadLetter,
    NewRecord,
    RecordQuery,
    StateChange,
)
from image_catalog.testing.clock import StillClock

pytestmark = pytest.mark.story

Make = Callable[..., NewRecord]
DAY = timedelta(days=1)


async def test_only_what_is_old_goes_and_the_newest_of_each_chain_stays(
    store: AuditStore, make: Make, clock: StillClock
) -> None:
    old = await store.append([make(f"a{i}") for i in range(3)] + [make(f"b{i}", "two") for i in range(2)])
    clock.advance(days=10)
    new = await store.append([make("a3"), make("a4")])
    links = [Link(record.chain, record.position, record.hash) for record in (*old, *new)]

    coming = await store.prunable(older_than=5 * DAY)
    done = await store.prune(older_than=5 * DAY, by="anna")

    assert (done.records, done.chains, done.before) == (4, 2, clock() - 5 * DAY)
    assert (coming.records, coming.chains, coming.before, coming.letters) == (4, 2, done.before, 0)
    told, *left = (await store.query(RecordQuery())).items
    assert [record.event_id for record in left] == ["a4", "a3", "b1"]
    assert (told.kind, told.actor, told.data["total"]) == (PRUNED, "anna", 4)
    assert told.message == f"records from before {clock() - 5 * DAY:%Y-%m-%dT%H:%M:%SZ} were removed for their age"
    verified = await store.verify(links)
    # The links of a2 and b0 are those that the anchors hold.
    assert (verified.breaks, verified.records, verified.links) == ([], 4, 5)


async def test_what_is_not_old_is_left_alone(store: AuditStore, make: Make, clock: StillClock) -> None:
    assert (await store.prune(older_than=DAY)).records == 0
    await store.append([make("a"), make("b")])
    clock.advance(hours=23)
    assert (await store.prune(older_than=DAY)).records == 0
    assert await store.newest() == 2


async def test_an_anchor_counts_on(store: AuditStore, make: Make, clock: StillClock) -> None:
    for day in range(6):
        await store.append([make(f"e{day}")])
        clock.advance(days=1)
        await store.prune(older_than=2 * DAY)
        assert (await store.verify()).breaks == []
    (told,) = (await store.query(RecordQuery(kinds=[PRUNED], limit=1))).items
    assert told.data["total"] >= 4
    assert (await store.append([make("next")]))[0].position == 7


async def test_the_catalog_is_known_as_it_was_when_a_change_is_older_than_all_records(
    store: AuditStore, make: Make, clock: StillClock
) -> None:
    await store.append([make("a", state=1), make("b", state=2), make("x", "two", state=3)])
    for day in range(8):
        clock.advance(days=1)
        await store.append([make(f"resolved{day}"), make(f"resolved{day}-two", "two")])
        await store.prune(older_than=3 * DAY)
        shown = [(state.name, state.resource_version) for state in await store.states_at(clock())]
        assert shown == [("one", "2"), ("two", "3")]
        edge = await store.states_at(clock() - 3 * DAY)
        assert edge == (await store.states_at(clock()) if day >= 2 else [])
        assert (await store.verify()).breaks == []
    # Every third day, when the record that vouched before is old itself.
    kinds = [record.kind for record in await store.after(0, limit=1000)]
    assert kinds.count(CARRIED) == 2
    assert CARRIED not in {record.kind for record in (await store.query(RecordQuery(limit=1000))).items}


async def test_states_that_nobody_can_ask_for_go_with_their_records(
    store: AuditStore, make: Make, clock: StillClock
) -> None:
    await store.append([make(f"e{i}", state=i) for i in range(5)])
    clock.advance(days=5)
    await store.append([make("new", state=9), make("last")])
    done = await store.prune(older_than=DAY)
    assert (done.records, done.states) == (5, 4)
    clock.advance(days=5)
    await store.append([make("newer", state=10), make("end")])
    assert (await store.prune(older_than=DAY)).states == 1
    assert (await store.verify()).breaks == []


async def test_a_removed_entry_stays_removed(store: AuditStore, make: Make, clock: StillClock) -> None:
    there = make("a", state=1)
    assert there.state is not None
    removed = StateChange(object=there.state.object, removed=True)
    gone = NewRecord(event_id="b", kind="image.removed", namespace="default", name="one", time=clock(), state=removed)
    await store.append([there, gone])
    clock.advance(days=9)
    await store.prune(older_than=DAY)
    assert await store.states_at(clock()) == []
    last = await store.last_state("default", "one")
    assert last is not None
    assert last.removed
    assert (await store.verify()).breaks == []


async def test_more_than_one_transaction_can_hold_goes_in_several(
    store: AuditStore, make: Make, clock: StillClock
) -> None:
    await store.append([make(f"e{i}", f"n{i % 10}", state=i) for i in range(2500)])
    clock.advance(days=9)
    done = await store.prune(older_than=DAY)
    assert (done.records, done.chains) == (2490, 10)
    assert len((await store.query(RecordQuery(kinds=[PRUNED]))).items) == 2
    assert (await store.verify()).breaks == []
    assert len(await store.states_at(clock())) == 10


async def test_a_letter_goes_when_it_is_settled_and_old(store: AuditStore, clock: StillClock) -> None:
    for number in range(3):
        letter = NewDeadLetter(
            event_id=str(number),
            destination="",
            type="t",
            subject="",
            attributes={},
            body=b"",
            why="",
            time=clock(),
        )
        await store.keep_dead_letter(letter)
    await store.settle_dead_letter(1, LetterState.DROPPED, by="anna")
    assert (await store.prune(older_than=DAY)).letters == 0
    clock.advance(days=9)
    await store.settle_dead_letter(2, LetterState.REPLAYED, by="anna")
    assert (await store.prunable(older_than=DAY)).letters == 2
    assert (await store.prune(older_than=DAY)).letters == 2
    assert [letter.id for letter in await store.dead_letters(states=tuple(LetterState))] == [3]
