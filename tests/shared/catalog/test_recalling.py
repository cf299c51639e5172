"""Whatever people do, in whatever order it is noticed: the marks are those that the rule asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from image_catalog.catalog.announcing import rebuild
from image_catalog.catalog.recall_events import recall_event, untold
from image_catalog.catalog.recalling import MAX_RECALLS, Known, brought, recalled, restored, reworded, told
from image_catalog.catalog.recalls import is_recalled, recall_of, recall_of_current
from image_catalog.events import EventType
from image_catalog.models import (
    CatalogImage,
    CatalogImageStatus,
    Change,
    ChangeEvent,
    PlatformVariant,
    Promotion,
    PromotionStage,
    Recall,
    RegistryMetadata,
    Restoration,
    Version,
)
from image_catalog.models.events import ImageRecalled, ImageRestored

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIGESTS = tuple(f"sha256:{number}" + "0" * 63 for number in range(3))
NAMESPACES = ("dev", "staging", "production")
NAMES = ("one", "two")
Key = tuple[str, str]


def image(namespace: str, name: str, uid: str, digest: str | None, **status: Any) -> CatalogImage:
    obj = {
        "metadata": {"namespace": namespace, "name": name, "uid": uid, "generation": 1},
        "spec": {"registryUrl": f"quay.io/acme/{name}:1"},
    }
    known = RegistryMetadata(resolved_digest=digest) if digest else None
    told_of = CatalogImageStatus(registry_metadata=known, observed_generation=1, **status)
    return CatalogImage.from_object(obj).model_copy(update={"status": told_of})


def a_recall(entry: CatalogImage, digest: str, number: int = 1, *, reason: str = "it overheats") -> Recall:
    meta = entry.metadata
    return Recall(
        id=f"recall-{number}",
        digest=digest,
        reason=reason,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        recalled_by="somebody",
        recalled_at=NOW,
    )


def with_status(entry: CatalogImage, status: CatalogImageStatus | None) -> CatalogImage:
    assert status is not None
    return entry.model_copy(update={"status": status})


@dataclass
class Rule:
    """What ought to hold, told by what happened, in plain words.

    Attributes
    ----------
    recalls
        Digest, namespace and uid of the entry, by id.
    versions
        What each entry has and had: the content, and the namespaces that it came through.
    marks
        Ids of the recalls that hold for an entry.
    lifted
        Where each entry has heard that a recall was taken back.
    """

    recalls: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    versions: dict[Key, list[tuple[str, tuple[str, ...]]]] = field(default_factory=dict)
    marks: dict[Key, set[str]] = field(default_factory=dict)
    lifted: dict[Key, set[tuple[str, str]]] = field(default_factory=dict)

    def settle(self) -> None:
        remembered = set().union(*self.marks.values()) if self.marks else set()
        heard = set().union(*self.lifted.values()) if self.lifted else set()
        for key in self.versions:
            for number in remembered:
                digest, origin, _ = self.recalls[number]
                through = {namespace for content, came in self.versions[key] if content == digest for namespace in came}
                over = next((n for n in (origin, key[0], *sorted(through)) if (number, n) in heard), None)
                has = any(content == digest for content, _ in self.versions[key])
                had = any(self.recalls[n][0] == digest for n in self.marks[key] | {n for n, _ in self.lifted[key]})
                if over is not None:
                    if number in self.marks[key]:
                        self.marks[key].discard(number)
                        self.lifted[key].add((number, over))
                elif (has or had) and (origin == key[0] or origin in through):
                    self.marks[key].add(number)


@settings(max_examples=60, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
class Marks(RuleBasedStateMachine):
    """People recall, restore, publish, promote and remove; the API settles in an order of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[Key, CatalogImage] = {}
        self.rule = Rule()
        self.came: dict[Key, set[str]] = {}
        self.number = 0

    def put(self, key: Key, digest: str, came: Promotion | None) -> None:
        """Give an entry a content, as a publication does."""
        known = self.entries.get(key)
        through = (came.namespace, *(stage.namespace for stage in came.earlier)) if came else ()
        self.came[key] = self.came.get(key, set()) | set(through)
        if known is None:
            self.number += 1
            self.entries[key] = image(*key, f"uid-{self.number}", digest, promoted_from=came)
            self.rule.versions[key], self.rule.marks[key], self.rule.lifted[key] = [(digest, through)], set(), set()
            return
        status = known.status
        current = status.registry_metadata
        assert current is not None
        if current.resolved_digest == digest:
            if came is not None:
                self.entries[key] = with_status(known, status.model_copy(update={"promoted_from": came}))
                self.rule.versions[key][0] = (digest, through)
            return
        past = Version(digest=current.resolved_digest, promoted_from=status.promoted_from, superseded_at=NOW)
        update = {
            "registry_metadata": RegistryMetadata(resolved_digest=digest),
            "promoted_from": came,
            "history": [past, *status.history][:10],
        }
        self.entries[key] = with_status(known, status.model_copy(update=update))
        self.rule.versions[key] = [(digest, through), *self.rule.versions[key]][:11]

    @rule(namespace=st.sampled_from(NAMESPACES), name=st.sampled_from(NAMES), digest=st.sampled_from(DIGESTS))
    def publish(self, namespace: str, name: str, digest: str) -> None:
        self.put((namespace, name), digest, None)
        self.settle()

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), name=st.sampled_from(NAMES), to=st.sampled_from(NAMESPACES))
    def promote(self, data: st.DataObject, name: str, to: str) -> None:
        source = self.entries[data.draw(st.sampled_from(sorted(self.entries)))]
        if source.metadata.namespace == to or recall_of_current(source) is not None:
            return
        registry, came = source.status.registry_metadata, source.status.promoted_from
        assert registry is not None
        stages = [] if came is None else [PromotionStage(name=came.name, namespace=came.namespace), *came.earlier]
        promotion = Promotion(
            name=source.metadata.name,
            namespace=source.metadata.namespace,
            digest=registry.resolved_digest,
            promoted_by="somebody",
            promoted_at=NOW,
            earlier=stages[:16],
        )
        self.put((to, name), registry.resolved_digest, promotion)
        self.settle()

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.entries)))
        for each in (self.entries, self.came, self.rule.versions, self.rule.marks, self.rule.lifted):
            del each[key]
        self.settle()

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), at_once=st.booleans())
    def recall(self, data: st.DataObject, *, at_once: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.entries)))
        entry = self.entries[key]
        digest = data.draw(st.sampled_from(sorted({digest for digest, _ in self.rule.versions[key]})))
        if any(mark.digest == digest for mark in entry.status.recalls):
            return
        self.number += 1
        mark = a_recall(entry, digest, self.number)
        self.entries[key] = with_status(entry, recalled(entry, mark, now=NOW))
        self.rule.recalls[mark.id] = (digest, key[0], entry.metadata.uid)
        self.rule.marks[key].add(mark.id)
        if at_once:
            self.settle()

    @precondition(lambda self: any(self.rule.marks.values()))
    @rule(data=st.data(), at_once=st.booleans())
    def restore(self, data: st.DataObject, *, at_once: bool) -> None:
        key = data.draw(st.sampled_from(sorted(key for key, marks in self.rule.marks.items() if marks)))
        entry, living = self.entries[key], {entry.metadata.uid for entry in self.entries.values()}
        ours = [m for m in entry.status.recalls if m.uid == entry.metadata.uid or m.uid not in living]
        if not ours:
            return
        taken_back = Restoration(
            recall=ours[0], reason="a cable", namespace=key[0], name=key[1], restored_by="somebody", restored_at=NOW
        )
        self.entries[key] = with_status(entry, restored(entry, [taken_back], now=NOW))
        self.rule.marks[key].discard(ours[0].id)
        self.rule.lifted[key].add((ours[0].id, key[0]))
        if at_once:
            self.settle()

    def settle(self) -> None:
        """Settle as the API does: what is known is gathered, then the entries are brought up to date one by one."""
        self.rule.settle()
        known = Known.of(self.entries.values())
        for key in sorted(self.entries, reverse=self.number % 2 == 0):
            status = brought(self.entries[key], known, now=NOW)
            if status is not None:
                self.entries[key] = with_status(self.entries[key], status)

    @invariant()
    def the_marks_are_those_of_the_rule(self) -> None:
        assert {key: {m.id for m in e.status.recalls} for key, e in self.entries.items()} == self.rule.marks

    @invariant()
    def the_condition_says_whether_the_current_content_is_recalled(self) -> None:
        self.settle()
        for entry in self.entries.values():
            # A publication alone tells the conditions, and so does every change of marks.
            found = recall_of_current(entry)
            digests = {mark.digest for mark in entry.status.recalls}
            registry = entry.status.registry_metadata
            assert (found is not None) == (registry is not None and registry.resolved_digest in digests)

    @invariant()
    def no_namespace_reaches_into_another_without_a_promotion(self) -> None:
        for key, entry in self.entries.items():
            assert {mark.namespace for mark in entry.status.recalls} <= {key[0], *self.came[key]}


TestMarks = Marks.TestCase


def test_an_entry_that_was_never_recalled_says_nothing_of_recalls() -> None:
    entry = image("dev", "one", "uid", DIGESTS[0])
    assert brought(entry, Known.of([entry]), now=NOW) is None
    assert not is_recalled(entry.to_dict())
    assert recall_of(entry.to_dict(), DIGESTS[0]) is None


def test_of_each_content_the_recall_is_found_that_is_about_it() -> None:
    entry = image("dev", "one", "uid", DIGESTS[0])
    obj = with_status(entry, recalled(entry, a_recall(entry, DIGESTS[0]), now=NOW)).to_dict()
    assert is_recalled(obj)
    assert recall_of(obj, DIGESTS[0]) == {
        "reason": "it overheats",
        "namespace": "dev",
        "name": "one",
        "recalledBy": "somebody",
        "recalledAt": "2026-01-01T00:00:00Z",
    }
    assert recall_of(obj, DIGESTS[1]) is None
    assert recall_of(obj, None) is None


def test_what_was_told_is_owed_no_more() -> None:
    entry = image("dev", "one", "uid", DIGESTS[0])
    entry = with_status(entry, recalled(entry, a_recall(entry, DIGESTS[0]), now=NOW))
    taken_back = Restoration(
        recall=entry.status.recalls[0],
        reason="a cable",
        namespace="dev",
        name="one",
        restored_by="somebody else",
        restored_at=NOW + timedelta(seconds=1),
    )
    entry = with_status(entry, restored(entry, [taken_back], now=NOW))
    owed = untold(entry)
    assert [kind for kind, _ in owed] == [EventType.IMAGE_RECALLED, EventType.IMAGE_RESTORED]
    entry = with_status(entry, told(entry, owed[:1], now=NOW))
    assert untold(entry) == owed[1:]
    entry = with_status(entry, told(entry, owed, now=NOW))
    assert untold(entry) == []
    assert told(entry, owed, now=NOW) is None


def test_nothing_is_told_of_a_recall_that_the_entry_does_not_know() -> None:
    entry = image("dev", "one", "uid", DIGESTS[0])
    for kind in (EventType.IMAGE_RECALLED, EventType.IMAGE_RESTORED):
        assert recall_event((kind, "nothing"), entry) is None


def test_an_event_that_was_lost_is_told_again_from_the_entry_alone() -> None:
    entry = image("dev", "one", "uid", DIGESTS[0])
    entry = with_status(entry, recalled(entry, a_recall(entry, DIGESTS[0]), now=NOW))
    change = entry.status.recent_changes[0]
    data = rebuild(EventType.IMAGE_RECALLED, entry, change, actor="")
    assert isinstance(data, ImageRecalled)
    assert (data.actor, data.reason, data.digest) == ("somebody", "it overheats", DIGESTS[0])
    taken_back = Restoration(
        recall=entry.status.recalls[0],
        reason="a cable",
        namespace="dev",
        name="one",
        restored_by="somebody else",
        restored_at=NOW,
    )
    entry = with_status(entry, restored(entry, [taken_back], now=NOW))
    data = rebuild(EventType.IMAGE_RESTORED, entry, entry.status.recent_changes[0], actor="")
    assert isinstance(data, ImageRestored)
    assert (data.actor, data.reason) == ("somebody else", "a cable")
    stranger = Change(cause="x", events=[ChangeEvent(type="image.recalled", id="x")], time=NOW)
    assert rebuild(EventType.IMAGE_RECALLED, entry, stranger, actor="") is None


def test_a_check_that_is_under_way_stays_marked_and_eight_changes_are_kept() -> None:
    changes = [Change(cause="check", time=NOW)]
    changes += [Change(cause=f"c{n}", events=[ChangeEvent(type="t", id=f"{n}")], time=NOW) for n in range(8)]
    entry = image("dev", "one", "uid", DIGESTS[0], recent_changes=changes)
    status = recalled(entry, a_recall(entry, DIGESTS[0]), now=NOW)
    assert status is not None
    assert [change.cause for change in status.recent_changes] == ["recall-1", "check", *(f"c{n}" for n in range(7))]


def test_recalls_of_what_an_entry_has_left_behind_make_room() -> None:
    entry = image("dev", "one", "uid", DIGESTS[0])
    behind = [a_recall(entry, f"sha256:{n:064x}", n) for n in range(MAX_RECALLS)]
    entry = with_status(entry, entry.status.model_copy(update={"recalls": behind}))
    status = recalled(entry, a_recall(entry, DIGESTS[0], 99), now=NOW)
    assert status is not None
    assert [mark.id for mark in status.recalls] == ["recall-99", *(mark.id for mark in behind[:-1])]


def test_a_mark_for_which_there_is_no_room_is_not_tried_for_ever() -> None:
    full = image("dev", "one", "uid", DIGESTS[0])
    platforms = [PlatformVariant(digest=f"sha256:{n + 9:064x}") for n in range(MAX_RECALLS)]
    index = RegistryMetadata(resolved_digest=DIGESTS[0], platform_variants=platforms)
    marks = [a_recall(full, platform.digest, n) for n, platform in enumerate(platforms)]
    full = with_status(full, full.status.model_copy(update={"recalls": marks, "registry_metadata": index}))
    other = image("dev", "two", "uid-2", DIGESTS[0])
    other = with_status(other, recalled(other, a_recall(other, DIGESTS[0], 99), now=NOW))
    assert brought(full, Known.of([full, other]), now=NOW) is None


def test_another_reason_for_nothing_is_none() -> None:
    entry = image("dev", "one", "uid", DIGESTS[0])
    assert reworded(entry, DIGESTS[0], "it overheats", by="anna", now=NOW) is None
    assert reworded(entry, DIGESTS[1], "it overheats", by="anna", now=NOW) is None


def test_another_reason_says_everywhere_whose_it_is() -> None:
    entry, other = (image("dev", name, f"uid-{name}", DIGESTS[0]) for name in NAMES)
    entry = with_status(entry, recalled(entry, a_recall(entry, DIGESTS[0]), now=NOW))
    other = with_status(other, brought(other, Known.of([entry, other]), now=NOW))
    later = NOW + timedelta(hours=1)
    entry = with_status(entry, reworded(entry, DIGESTS[0], "it burns", by="anna", now=later))
    assert reworded(entry, DIGESTS[0], "it burns", by="bob", now=later) is None
    other = with_status(other, brought(other, Known.of([entry, other]), now=later))
    for each in (entry, other):
        (mark,) = each.status.recalls
        assert (mark.reason, mark.reworded_by, mark.reworded_at) == ("it burns", "anna", later)
        assert (mark.recalled_by, mark.recalled_at) == ("somebody", NOW)
    assert brought(other, Known.of([entry, other]), now=later) is None


@pytest.mark.parametrize("last", [0, 1], ids=["new reason last", "old reason last"])
def test_the_last_reason_stays_when_the_entry_that_gave_it_is_gone(last: int) -> None:
    gone, first, second = (image("dev", name, f"uid-{name}", DIGESTS[0]) for name in ("gone", *NAMES))
    gone = with_status(gone, recalled(gone, a_recall(gone, DIGESTS[0]), now=NOW))
    first, second = (with_status(each, brought(each, Known.of([gone, each]), now=NOW)) for each in (first, second))
    gone = with_status(gone, reworded(gone, DIGESTS[0], "it burns", by="anna", now=NOW + timedelta(hours=1)))
    first = with_status(first, brought(first, Known.of([gone, first]), now=NOW))
    known = Known.of([first, second][:: 1 if last else -1])
    assert brought(first, known, now=NOW) is None
    assert with_status(second, brought(second, known, now=NOW)).status.recalls[0].reworded_by == "anna"


@pytest.mark.parametrize("known", ["Ready", "nothing"])
def test_an_entry_that_nobody_has_looked_at_can_be_recalled_by_its_pin(known: str) -> None:
    entry = image("dev", "one", "uid", None)
    entry = entry.model_copy(update={"spec": entry.spec.model_copy(update={"digest": DIGESTS[0]})})
    if known == "nothing":
        entry = with_status(entry, CatalogImageStatus())
    entry = with_status(entry, recalled(entry, a_recall(entry, DIGESTS[0]), now=NOW))
    condition = entry.status.condition("Recalled")
    assert condition is not None
    assert (condition.status, condition.message.partition(" (")[0]) == ("True", "the pinned content")
