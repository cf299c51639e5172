"""Whatever is appended, delivered again and pruned in whatever order: the store is what a simple model of it is."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_catalog.audit import (
    PRUNED,
    AuditStore,
    Link,
    NewRecord,
    RecordQuery,
    StateChange,
)
from image_catalog.testing.clock import StillClock

DAY = timedelta(days=1)

append = st.tuples(
    st.just("append"),
    st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(["one", "two", None]), st.booleans(), st.booleans()),
        min_size=1,
        max_size=4,
    ),
)
wait = st.tuples(st.just("wait"), st.integers(1, 3))
prune = st.tuples(st.just("prune"), st.integers(1, 4))
steps = st.lists(append | wait | prune, min_size=1, max_size=14)


@dataclass
class Model:
    """What should be kept, without chains, databases or confirmations of their own."""

    confirmed: dict[str, bool] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    states: dict[str, list[tuple[datetime, int]]] = field(default_factory=dict)

    def append(self, event_id: str, name: str | None, *, confirmed: bool, version: int | None, now: datetime) -> None:
        if event_id not in self.confirmed:
            self.order.append(event_id)
        self.confirmed[event_id] = self.confirmed.get(event_id, False) or confirmed
        if version is not None and name is not None:
            known = self.states.setdefault(name, [])
            if not known or version > known[-1][1]:
                known.append((now, version))

    def at(self, moment: datetime) -> dict[str, int]:
        then = {name: [v for time, v in known if time <= moment] for name, known in self.states.items()}
        return {name: versions[-1] for name, versions in then.items() if versions}


@contextmanager
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as path:
        yield f"sqlite:///{Path(path) / 'audit.db'}"


async def play(url: str, story: list[tuple[str, object]]) -> None:
    clock = StillClock(datetime(2026, 1, 1, tzinfo=UTC))
    store, model = AuditStore.open(url, clock=clock), Model()
    pruned_before = clock()
    logged: dict[str, Link] = {}
    for kind, what in story:
        if kind == "wait":
            clock.advance(days=what)  # type: ignore[arg-type]  # what hypothesis drew for this kind
        elif kind == "prune":
            await store.prune(older_than=what * DAY)  # type: ignore[operator]  # the same
            pruned_before = max(pruned_before, clock() - what * DAY)  # type: ignore[operator]  # the same
        else:
            records = []
            for number, name, confirmed, changed in what:  # type: ignore[attr-defined]  # the same
                # An event is always about the same entry, and about the same change of it.
                event_id = f"{name}-{number}"
                version = number if changed else None
                metadata = {"uid": str(name), "resourceVersion": str(version)}
                state = StateChange(object={"metadata": metadata}) if version is not None and name else None
                records.append(
                    NewRecord(
                        event_id=event_id,
                        kind="image.changed",
                        namespace="default",
                        name=name,
                        time=clock(),
                        confirmed=confirmed,
                        state=state,
                    )
                )
                model.append(event_id, name, confirmed=confirmed, version=version, now=clock())
            await store.append(records)
            logged |= {link.chain: link for link in await store.links()}
        verified = await store.verify(logged.values())
        assert verified.breaks == []
    await compare(store, model, clock, pruned_before)
    await store.aclose()


async def compare(store: AuditStore, model: Model, clock: StillClock, pruned_before: datetime) -> None:
    page = await store.query(RecordQuery(limit=1000))
    kept = [record for record in reversed(page.items) if record.kind != PRUNED]
    if len(kept) == len(page.items):
        assert [record.event_id for record in kept] == model.order
        assert {record.event_id: record.confirmed for record in kept} == model.confirmed
    # Retention forgets, and what it forgot may come anew.
    assert {record.event_id for record in kept} <= set(model.order)
    moment = pruned_before
    while moment <= clock():
        states = {state.name: int(state.resource_version) for state in await store.states_at(moment)}
        assert states == model.at(moment)
        moment += DAY


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_the_store_is_what_its_model_is(story: list[tuple[str, object]]) -> None:
    with folder() as url:
        asyncio.run(play(url, story))


@pytest.mark.parametrize(
    "story",
    [
        [("append", [(1, "one", False, True)]), ("wait", 2), ("prune", 1), ("append", [(1, "one", True, True)])],
        [("append", [(1, "one", True, True), (2, "one", True, False)]), ("wait", 3), ("prune", 1), ("prune", 1)],
        [("append", [(1, None, True, False)]), ("wait", 1), ("prune", 1), ("wait", 2), ("prune", 1)],
    ],
    ids=["confirmed after", "carried", "of nothing"],
)
async def test_a_story_is_the_same_on_every_database(database_url: str, story: list[tuple[str, object]]) -> None:
    await play(database_url, story)
