"""What is appended is kept once, in order, and chained."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from image_catalog.audit import (
    CONFIRMATION,
    AuditStore,
    NewDeadLetter,
    NewRecord,
    Outcome,
    Record,
    RecordQuery,
    State,
    StateChange,
    read_links,
)
from image_catalog.audit.chain import GENESIS
from image_catalog.errors import PermanentError
from image_catalog.models.events import UNAUTHENTICATED
from image_catalog.testing.clock import StillClock

pytestmark = pytest.mark.story

Make = Callable[..., NewRecord]


async def test_a_record_comes_back_as_it_was_given(store: AuditStore, clock: StillClock) -> None:
    new = NewRecord(
        event_id="a",
        kind="publish.rejected",
        namespace="cars",
        name="autosd",
        time=datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
        actor="anna",
        outcome=Outcome.REFUSED,
        digest="sha256:" + "a" * 64,
        registry_url="quay.io/org/autosd:1",
        message="the image is not there",
        confirmed=False,
        data={"steps": [{"name": "registry"}], "ratio": 0.1, "count": 3},
    )
    (kept,) = await store.append([new])
    for field in ("event_id", "kind", "namespace", "name", "time", "actor", "outcome", "digest", "registry_url"):
        assert getattr(kept, field) == getattr(new, field)
    assert (kept.message, kept.confirmed, kept.data) == (new.message, False, new.data)
    assert (kept.seq, kept.position, kept.chain, kept.previous_hash) == (1, 1, "cars/autosd", GENESIS)
    assert kept.recorded_at == clock()
    assert await store.find("a") == kept
    assert await store.find("b") is None


async def test_each_record_carries_the_hash_of_the_one_before_of_its_entry(store: AuditStore, make: Make) -> None:
    records = await store.append([make("a"), make("b", "two"), make("c"), make("d", None), make("e", None)])
    first, other, second, *unnamed = records
    assert (second.position, second.previous_hash) == (2, first.hash)
    assert (other.position, other.previous_hash) == (1, GENESIS)
    assert [record.chain for record in unnamed] == ["default/", "default/"]
    assert unnamed[1].previous_hash == unnamed[0].hash
    assert [record.seq for record in records] == [1, 2, 3, 4, 5]


async def test_what_has_no_namespace_has_a_chain_of_its_own(store: AuditStore, make: Make) -> None:
    kept = await store.append([make("a", None, namespace=None), make("b", None, namespace=None)])
    assert [(record.chain, record.position) for record in kept] == [("/", 1), ("/", 2)]


async def test_a_redelivered_event_adds_nothing(store: AuditStore, make: Make) -> None:
    (first,) = await store.append([make("a", message="first")])
    again = await store.append([make("a", message="again"), make("b"), make("b", message="twice")])
    assert again[0] == first
    assert again[1] == again[2]
    assert await store.newest() == 2


async def test_an_append_of_nothing_asks_nobody(tmp_path: Any) -> None:
    store = AuditStore.open(f"sqlite:///{tmp_path / 'absent' / 'audit.db'}")
    assert await store.append([]) == []
    await store.aclose()


async def test_a_confirmation_is_a_record_of_its_own_that_lists_do_not_show(store: AuditStore, make: Make) -> None:
    (claimed,) = await store.append([make("a", confirmed=False)])
    (told,) = await store.append([make("a", confirmed=True, message="published")])
    assert told.confirmed
    assert (told.seq, told.hash, told.kind, told.message) == (claimed.seq, claimed.hash, claimed.kind, "published")
    assert await store.find("a") == told
    assert (await store.query(RecordQuery())).items == [told]

    raw = await store.after(0)
    assert [(record.kind, record.confirmed) for record in raw] == [("image.published", False), (CONFIRMATION, True)]
    assert (raw[1].event_id, raw[1].data["confirms"], raw[1].previous_hash) == ("a", "a", claimed.hash)
    await store.append([make("a", confirmed=True)])
    assert await store.newest() == 2


BUILD = "ImageBuild default/one"
EVENT = {"event": {"type": "t"}}


async def test_an_event_that_comes_after_its_object_tells_what_it_said(store: AuditStore, make: Make) -> None:
    await store.append([make("a", actor=UNAUTHENTICATED)])
    (told,) = await store.append([make("a", actor=BUILD, message="published", confirmed=False, data=EVENT)])
    assert (told.actor, told.message, told.data["event"], told.confirmed) == (BUILD, "published", {"type": "t"}, True)
    await store.append([make("a", actor=BUILD, confirmed=False, data={"event": {"type": "x"}})])
    assert await store.find("a") == told
    for actor, found in {BUILD: [told], UNAUTHENTICATED: []}.items():
        assert (await store.query(RecordQuery(actor=actor))).items == found


SHOWN = {"shown": {"digest": "sha256:1"}}


@pytest.mark.parametrize(
    ("database_url", "order"),
    # What is found under an id is judged by the same code on both databases.
    [*(("sqlite", order) for order in [(0, 1, 2), (1, 0, 2), (1, 2, 0), (2, 1, 0)]), ("postgresql", (1, 2, 0))],
    indirect=["database_url"],
    ids=lambda value: "".join(map(str, value)),
)
@pytest.mark.parametrize(
    "lie",
    [
        {"actor": "mallory"},
        {"digest": "sha256:2"},
        {"outcome": Outcome.FAILED},
        {"kind": "image.recalled"},
        {"name": "another"},
        {"namespace": "elsewhere"},
    ],
    ids=lambda lie: next(iter(lie)),
)
async def test_who_takes_an_events_id_changes_nothing_of_its_record(
    store: AuditStore, make: Make, order: tuple[int, ...], lie: dict[str, Any]
) -> None:
    truth: dict[str, Any] = {"actor": "anna", "digest": "sha256:1"}
    event = make("a", confirmed=False, data=EVENT, **truth)
    forged = make("a", confirmed=False, data={"event": {"type": "forged"}}, **(truth | lie))
    shown = make("a", state=7, data=SHOWN, **truth)
    for step in order:
        await store.append([(event, forged, shown)[step]])
        await store.append([(event, forged, shown)[step]])
    records = (await store.query(RecordQuery())).items
    (true,) = (record for record in records if record.confirmed)
    (false,) = (record for record in records if not record.confirmed)
    assert (true.actor, true.digest, true.chain, true.data["event"]) == (
        "anna",
        "sha256:1",
        "default/one",
        {"type": "t"},
    )
    assert (false.data["event"], false.actor) == ({"type": "forged"}, forged.actor)
    assert (await state_of(store)).resource_version == "7"
    assert (await store.verify()).breaks == []


async def test_a_report_of_somebody_else_under_the_same_id_is_another(store: AuditStore, make: Make) -> None:
    for actor in ("unauthenticated", "laboratory"):
        await store.append([make("a", kind="test.reported", actor=actor, data={"result": "passed"})])
    assert {record.actor for record in (await store.query(RecordQuery())).items} == {"unauthenticated", "laboratory"}


async def test_strangers_cannot_take_every_place_beside_an_events_record(store: AuditStore, make: Make) -> None:
    for number in range(9):
        (kept,) = await store.append([make("a", actor=f"mallory-{number}", confirmed=False, data=EVENT)])
        assert not kept.confirmed
    # Neither under the ids that are made for them here.
    for made in {record.event_id for record in await store.after(0)} - {"a"}:
        await store.append([make(made, actor="mallory", confirmed=False, data=EVENT)])
        await store.append([make(made.replace("1", "4"), actor="mallory", confirmed=False, data=EVENT)])
    (told,) = await store.append([make("a", actor="anna", data=SHOWN)])
    assert (told.actor, told.confirmed) == ("anna", True)
    (told,) = await store.append([make("a", actor="anna", confirmed=False, data=EVENT)])
    assert (told.actor, told.confirmed, told.data["event"]) == ("anna", True, {"type": "t"})


async def test_a_state_that_comes_later_is_kept_with_a_confirmation(store: AuditStore, make: Make) -> None:
    await store.append([make("a")])
    await store.append([make("a", state=7)])
    await store.append([make("a", state=7), make("a", state=8)])
    assert (await store.newest(), (await state_of(store)).resource_version) == (2, "7")


async def state_of(store: AuditStore, name: str = "one") -> State:
    state = await store.last_state("default", name)
    assert state is not None
    return state


def test_a_state_needs_no_metadata() -> None:
    from image_catalog.audit._states import NewState  # noqa: PLC0415 - the one test that looks inside

    assert NewState.of(StateChange(object={})).supersedes(None)


@pytest.mark.parametrize(
    ("versions", "last"),
    [((1, 2), "2"), ((2, 1), "2"), ((9, 10), "10"), ((3, 3), "3")],
    ids=["in order", "late", "as numbers", "again"],
)
async def test_a_state_that_is_late_is_not_the_last(
    store: AuditStore, make: Make, versions: tuple[int, ...], last: str
) -> None:
    for i, version in enumerate(versions):
        await store.append([make(f"e{i}", state=version)])
    assert (await state_of(store)).resource_version == last
    assert await store.newest() == 2


def entry(uid: str, version: str, *, created: str = "2026-01-01T00:00:00Z", removed: bool = False) -> StateChange:
    metadata = {"uid": uid, "resourceVersion": version, "creationTimestamp": created}
    return StateChange(object={"metadata": metadata}, removed=removed)


async def test_a_change_that_comes_after_the_removal_does_not_bring_an_entry_back(
    store: AuditStore, make: Make
) -> None:
    gone, late = make("a"), make("b")
    await store.append([replace_state(gone, entry("u", "5", removed=True)), replace_state(late, entry("u", "6"))])
    assert (await state_of(store)).removed


async def test_an_entry_that_is_made_anew_begins_again(store: AuditStore, make: Make) -> None:
    old = replace_state(make("a"), entry("old", "900"))
    new = replace_state(make("b"), entry("new", "3", created="2026-02-01T00:00:00Z"))
    late = replace_state(make("c"), entry("old", "901", removed=True))
    await store.append([old, new, late])
    assert (await state_of(store)).uid == "new"


async def test_a_version_that_is_no_number_is_newer_if_it_is_another(store: AuditStore, make: Make) -> None:
    await store.append([replace_state(make("a"), entry("u", "b")), replace_state(make("b"), entry("u", "a"))])
    assert (await state_of(store)).resource_version == "a"


def replace_state(record: NewRecord, state: StateChange) -> NewRecord:
    return NewRecord(
        event_id=record.event_id,
        kind=record.kind,
        namespace=record.namespace,
        name=record.name,
        time=record.time,
        state=state,
    )


async def test_the_past_does_not_change_when_a_clock_goes_back(
    store: AuditStore, make: Make, clock: StillClock
) -> None:
    first = await store.append([make("a")])
    clock.advance(hours=-1)
    second = await store.append([make("b")])
    assert second[0].recorded_at == first[0].recorded_at


@pytest.mark.parametrize(
    "text", ["nul \x00", "half \ud800", "long " * 2000, "ünï–✓ 🚗"], ids=["nul", "surrogate", "long", "unicode"]
)
async def test_whatever_others_wrote_can_be_kept(store: AuditStore, make: Make, text: str) -> None:
    (kept,) = await store.append([make(f"id {text}", text, actor=text, message=text, data={"said": "\x00ü"})])
    assert await store.find(f"id {text}") == kept
    assert (await store.query(RecordQuery(actor=text))).items == [kept]
    assert (await store.append([make(f"id {text}", text)]))[0] == kept
    assert kept.data == {"said": "\x00ü"}
    assert (await store.verify()).breaks == []


def incompressible(seed: int) -> str:
    """Return a text of the greatest size per character, which no index can shorten."""
    rng = random.Random(seed)  # noqa: S311 - the same in every run
    return "".join(chr(rng.randrange(0x10000, 0x110000)) for _ in range(1000))


async def test_no_text_is_too_long_for_an_index_and_keeps_others_records_away(store: AuditStore, make: Make) -> None:
    event_id, name, word = (incompressible(seed) for seed in range(3))
    long = make(event_id, name, namespace=word, kind=word, digest=name, actor="one", confirmed=False, data=EVENT)
    other = make(event_id, name, namespace=word, kind=word, digest=name, actor="other", confirmed=False, data=EVENT)
    kept, beside, _ = await store.append([long, other, make("others")])
    assert await store.find(event_id) == kept
    assert await store.find(beside.event_id) == beside
    for body in (b"", b"other"):
        letter = NewDeadLetter(
            event_id=event_id,
            destination=word,
            type=word,
            subject=name,
            attributes={},
            body=body,
            why="",
            time=kept.time,
        )
        assert (await store.keep_dead_letter(letter)).count == 1


@pytest.mark.parametrize("data", [{"a": object()}, {"a": 1 << 70}, {"a": "\ud800"}], ids=["object", "large", "half"])
async def test_what_is_no_json_is_refused_before_others_wait_for_it(
    store: AuditStore, make: Make, data: dict[str, Any]
) -> None:
    with pytest.raises(PermanentError, match="the record of a cannot be kept"):
        await store.append([make("a", data=data)])
    assert await store.newest() == 0


async def test_appends_that_wait_for_each_other_go_together(store: AuditStore, make: Make) -> None:
    kept: list[list[Record]] = await asyncio.gather(
        *(store.append([make(f"e{i}", f"n{i % 7}"), make(f"f{i}", None)]) for i in range(300))
    )
    assert sorted(record.seq for records in kept for record in records) == list(range(1, 601))
    assert all(records[1].seq == records[0].seq + 1 for records in kept)
    assert (await store.verify()).breaks == []


async def test_who_stops_waiting_leaves_nothing_half_done(store: AuditStore, make: Make) -> None:
    begun = asyncio.Event()

    async def append(i: int) -> None:
        if i == 49:  # The last of those that begin in turn.
            begun.set()
        await store.append([make(f"a{i}"), make(f"b{i}")])

    tasks = [asyncio.create_task(append(i)) for i in range(50)]
    await begun.wait()
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    ids = {record.event_id for record in await store.after(0, limit=1000)}
    assert {f"{letter}{i}" for i in range(1, 50, 2) for letter in "ab"} <= ids
    assert all((f"a{i}" in ids) == (f"b{i}" in ids) for i in range(50))
    assert (await store.verify()).breaks == []


async def test_the_newest_link_of_each_chain_that_grew_is_logged(store: AuditStore, make: Make) -> None:
    with capture_logs() as logs:
        kept = await store.append([make("a"), make("b"), make("c", "two")])
        await store.append([make("a")])
    (line,) = [entry for entry in logs if entry["event"] == "audit appended"]
    assert (line["records"], line["ids"]) == (3, ["a", "b", "c"])
    assert line["links"] == [
        {"chain": record.chain, "position": record.position, "hash": record.hash} for record in kept[1:]
    ]
    assert (await store.verify(read_links(['2026 pod-1 {"links": "none"}', "{", "x", '{"a": 1}']))).links == 0
