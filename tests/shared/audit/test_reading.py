"""Records and states are found again: by page, by filter, by time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from image_catalog.audit import AuditStore, Consumer, NewRecord, Outcome, RecordQuery, StateChange
from image_catalog.testing.clock import StillClock

Make = Callable[..., NewRecord]
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


QUERIES: list[tuple[dict[str, Any], str]] = [
    ({}, "edcba"),
    ({"namespace": "cars"}, "db"),
    ({"name": "one"}, "ca"),
    ({"namespace": "default", "name": "one"}, "ca"),
    ({"namespaces": ["cars", "none"]}, "db"),
    ({"namespaces": []}, ""),
    ({"kinds": ["image.removed", "image.failed"]}, "dc"),
    ({"actor": "anna"}, "ba"),
    ({"outcome": Outcome.FAILED}, "c"),
    ({"digest": "sha256:1"}, "b"),
    ({"since": T0 + timedelta(seconds=2)}, "edc"),
    ({"until": T0 + timedelta(seconds=2)}, "ba"),
    ({"since": T0 + timedelta(seconds=1), "until": T0 + timedelta(seconds=3)}, "cb"),
    ({"before": 3}, "ba"),
]


async def test_a_query_finds_what_it_asks_for(store: AuditStore, make: Make) -> None:
    fields: list[dict[str, Any]] = [
        {"actor": "anna"},
        {"actor": "anna", "namespace": "cars", "name": "two", "digest": "sha256:1"},
        {"kind": "image.failed", "outcome": Outcome.FAILED},
        {"kind": "image.removed", "namespace": "cars", "name": "two"},
        {"namespace": None, "name": None},
    ]
    await store.append([make("abcde"[i], time=T0 + timedelta(seconds=i), **given) for i, given in enumerate(fields)])
    for asked, found in QUERIES:
        page = await store.query(RecordQuery(**asked))
        assert ("".join(record.event_id for record in page.items), page.more) == (found, False), asked


async def test_pages_follow_each_other(store: AuditStore, make: Make) -> None:
    await store.append([make(f"e{i}") for i in range(5)])
    first = await store.query(RecordQuery(limit=3))
    await store.append([make("late")])
    second = await store.query(RecordQuery(limit=3, before=first.items[-1].seq))
    assert ([record.event_id for record in first.items], first.more) == (["e4", "e3", "e2"], True)
    assert ([record.event_id for record in second.items], second.more) == (["e1", "e0"], False)


async def test_a_reader_goes_on_where_it_was(store: AuditStore, make: Make, clock: StillClock) -> None:
    assert (await store.newest(), await store.oldest(), await store.after(0)) == (0, 0, [])
    await store.append([make(f"e{i}") for i in range(3)])
    assert [record.event_id for record in await store.after(1, limit=1)] == ["e1"]
    assert (await store.oldest(), await store.newest()) == (1, 3)
    clock.advance(hours=1)
    await store.append([make("e3")])
    assert (await store.newest_before(clock()), await store.newest_before(T0)) == (3, 0)


async def test_the_catalog_is_shown_as_it_was(store: AuditStore, make: Make, clock: StillClock) -> None:
    await store.append([make("a", "two", state=1), make("b", "one", state=2), make("c", "other", namespace="cars")])
    then = clock()
    clock.advance(hours=1)
    changed, gone = make("d", "one", state=3), make("e", "two", state=4)
    assert gone.state is not None
    await store.append([changed, make("f", "new", namespace="cars", state=5)])
    removed = StateChange(object=gone.state.object, removed=True)
    await store.append([_with(gone, removed)])

    def shown(states: Any) -> list[tuple[str, str]]:
        return [(f"{state.namespace}/{state.name}", state.resource_version) for state in states]

    assert await store.states_at(then - timedelta(microseconds=1)) == []
    assert shown(await store.states_at(then)) == [("default/one", "2"), ("default/two", "1")]
    assert shown(await store.states_at(clock())) == [("cars/new", "5"), ("default/one", "3")]
    assert shown(await store.states_at(clock(), namespace="cars")) == [("cars/new", "5")]
    assert shown(await store.states_at(clock(), namespace="car")) == []
    last = await store.last_state("default", "two")
    assert last is not None
    assert (last.removed, last.uid, last.recorded_at) == (True, "uid-two", clock())
    assert last.object == gone.state.object
    assert await store.last_state("cars", "other") is None


def _with(record: NewRecord, state: StateChange) -> NewRecord:
    return NewRecord(
        event_id="removed",
        kind="image.removed",
        namespace=record.namespace,
        name=record.name,
        time=record.time,
        state=state,
    )


async def test_who_was_given_an_image_is_counted(store: AuditStore, make: Make) -> None:
    def given(event_id: str, kind: str, actor: str, digest: str, seconds: int, **fields: Any) -> NewRecord:
        at = T0 + timedelta(seconds=seconds)
        return make(event_id, kind=f"image.{kind}", actor=actor, digest=digest, time=at, **fields)

    await store.append(
        [
            given("a", "resolved", "anna", "sha256:1", 0, data={"count": 4}),
            given("b", "resolved", "anna", "sha256:2", 5),
            given("c", "downloaded", "anna", "sha256:1", 2, data={"count": -1}),
            given("d", "resolved", "bert", "sha256:1", 3, namespace="cars", data={"count": True}),
            given("e", "published", "carl", "sha256:1", 4),
            given("f", "resolved", "dora", "sha256:3", 4),
        ]
    )

    def consumer(actor: str, kind: str, first: int, last: int, count: int) -> Consumer:
        times = (T0 + timedelta(seconds=first), T0 + timedelta(seconds=last))
        return Consumer(actor=actor, kind=f"image.{kind}", first=times[0], last=times[1], count=count)

    both = await store.consumers(["sha256:1", "sha256:2"])
    assert both == [
        consumer("anna", "resolved", 0, 5, 5),
        consumer("bert", "resolved", 3, 3, 1),
        consumer("anna", "downloaded", 2, 2, 1),
    ]
    assert await store.consumers(["sha256:1"], namespaces=["cars"]) == both[1:2]
    assert await store.consumers(["sha256:1"], namespaces=[]) == []
    assert await store.consumers([]) == []
