"""What is kept of events and changes that come late, twice, out of order, from tools, or not at all."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog

from image_catalog.audit import AuditStore, LetterState
from image_catalog.catalog.chronicle import records_of_change
from image_catalog.catalog.chronicle.actors import author_of
from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.config import Settings
from image_catalog.events import PREFIX, EventType, SourceType, removal_id
from image_catalog.local.knative import CloudEvent
from image_catalog.models.names import GROUP
from image_catalog.testing.registry_faults import server_error
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

SUBJECT = "team-a/autosd"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One kind of database is enough here."""
    return f"sqlite:///{tmp_path / 'audit.db'}"


def changed(obj: dict[str, Any], kind: SourceType = SourceType.RESOURCE_UPDATED) -> CloudEvent:
    """Make the event of a change, as an ApiServerSource does."""
    meta = obj["metadata"]
    attributes = {
        "specversion": "1.0",
        "id": f"{meta['uid']}-{meta['resourceVersion']}-{random.random()}",  # noqa: S311 - a new one for every send
        "type": str(kind),
        "source": "https://kubernetes.default.svc",
        "kind": "CatalogImage",
        "name": meta["name"],
        "namespace": meta["namespace"],
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes, orjson.dumps(obj))


def versions_of(world: World, name: str = "autosd") -> list[CloudEvent]:
    """Return the events of every change of an entry that were given to the audit function."""
    given = [delivery.event for delivery in world.pipeline.deliveries if delivery.function == "audit"]
    return [event for event in given if event.attributes.get("name") == name]


def forget(folder: Path) -> None:
    """Empty the database, as if the history began now."""
    database = sqlite3.connect(folder / "audit.db", isolation_level=None)
    for table in ("states", "records", "chains"):
        database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
    database.close()


async def deliver(world: World, *events: CloudEvent) -> None:
    """Give events to the audit function."""
    for event in events:
        assert (await world.pipeline.deliver("audit", event)).status_code == 204


async def published(world: World) -> dict[str, Any]:
    """Publish an image, and return its entry."""
    world.push()
    await world.complete()
    found = world.raw("catalogimages", "autosd")
    assert found is not None
    return found


@pytest.mark.parametrize("kinds", [[PREFIX], ["dev.knative.apiserver"]], ids=["events alone", "objects alone"])
async def test_what_one_way_loses_comes_the_other_way(
    world: World, told: Any, kinds: list[str], tmp_path: Path
) -> None:
    await published(world)
    events = [d.event for d in world.pipeline.deliveries if d.function == "audit"]
    forget(tmp_path)
    await deliver(world, *(event for event in events if event.type.startswith(tuple(kinds))))
    is_confirmed = kinds != [PREFIX]
    assert await told.lines() == [
        ("image.published", "ImageBuild team-a/autosd", "succeeded", is_confirmed),
        ("image.available", "image-catalog", "succeeded", is_confirmed),
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_twice_and_out_of_order_makes_the_same_history(
    world: World, told: Any, seed: int, tmp_path: Path, store: AuditStore
) -> None:
    await published(world)
    world.take_down()
    await world.pass_time(hours=2)
    events = [d.event for d in world.pipeline.deliveries if d.function == "audit"]
    expected = {(r.event_id, r.kind, r.actor, r.outcome, r.confirmed) for r in await told.records()}
    last = await store.last_state("team-a", "autosd")
    rng = random.Random(seed)  # noqa: S311 - the same in every run
    shuffled = [*events, *events]
    rng.shuffle(shuffled)
    await deliver(world, *shuffled)
    assert {(r.event_id, r.kind, r.actor, r.outcome, r.confirmed) for r in await told.records()} == expected
    assert await store.last_state("team-a", "autosd") == last
    forget(tmp_path)
    await deliver(world, *shuffled)
    assert {(r.event_id, r.kind, r.actor, r.outcome, r.confirmed) for r in await told.records()} == expected


async def test_what_moves_with_each_check_is_no_change(world: World, told: Any, store: AuditStore) -> None:
    await published(world)
    before, state = await told.lines(), await store.last_state("team-a", "autosd")
    await world.pass_time(hours=2)
    await world.pass_time(hours=2)
    assert await told.lines() == before
    assert await store.last_state("team-a", "autosd") == state


def written_by(obj: dict[str, Any], manager: str, *path: str, version: int = 1, **more: Any) -> dict[str, Any]:
    """Return an object that a tool has written one field of."""
    owned: dict[str, Any] = {}
    for key in reversed(path):
        owned = {f"f:{key}": owned}
    metadata = obj["metadata"]
    known = metadata.get("managedFields", [])
    entry = {"manager": manager, "operation": "Update", "time": "2026-03-01T12:00:00Z", "fieldsV1": owned}
    number = str(int(metadata["resourceVersion"]) + version)
    return {
        **obj,
        **more,
        "metadata": {
            **metadata,
            **more.get("metadata", {}),
            "resourceVersion": number,
            "managedFields": [*known, entry],
        },
    }


async def write(world: World, obj: dict[str, Any]) -> None:
    """Store an object as a tool has left it, and let everybody do their part."""
    metadata = {key: obj["metadata"][key] for key in ("annotations", "managedFields") if key in obj["metadata"]}
    fields = {"metadata": metadata, "spec": obj["spec"], "status": obj["status"]}
    world.pipeline.cluster.store_unchecked(CATALOG_IMAGE, "autosd", "team-a", fields)
    await world.pipeline.drain()


@pytest.mark.parametrize(
    ("manager", "actor"),
    [
        ("kubectl-edit", "unknown (kubectl-edit)"),
        ("argocd-controller", "unknown (argocd-controller)"),
        ("image-catalog-verify", "image-catalog-verify"),
    ],
)
async def test_an_edit_names_the_tool_that_made_it(world: World, told: Any, manager: str, actor: str) -> None:
    entry = await published(world)
    entry = written_by(entry, "kubectl-create", "spec", "registryUrl", version=0)
    spec = {**entry["spec"], "tags": ["by hand"], "verificationInterval": "2h"}
    await write(world, written_by(entry, manager, "spec", "tags", spec=spec))
    (edit,) = await told.records(kinds=("image.changed",))
    assert edit.actor == actor
    assert edit.message == "spec.tags, spec.verificationInterval changed"
    assert edit.data["changes"][1] == {"path": "spec.verificationInterval", "from": "1h", "to": "2h"}


async def test_a_signature_that_a_tool_has_forged_is_not_believed(world: World, told: Any) -> None:
    entry = await published(world)
    forged = {"annotations": {f"{GROUP}/changed-by": "2026-03-01T12:00:00.000Z somebody-else"}}
    spec = {**entry["spec"], "tags": ["by hand"]}
    await write(world, written_by(entry, "kubectl-edit", "spec", "tags", spec=spec, metadata=forged))
    (edit,) = await told.records(kinds=("image.changed",))
    assert edit.actor == "unknown (kubectl-edit)"


def test_who_removed_a_field_is_told_from_the_functions_that_wrote_in_the_same_second() -> None:
    time = "2026-03-01T12:00:00Z"
    signed: dict[str, Any] = {f"f:{GROUP}/changed-by": {}}
    fields = [
        {"manager": "image-catalog-verify", "time": time, "fieldsV1": {"f:metadata": {"f:labels": {}}}},
        {"manager": "image-catalog-api", "time": time, "fieldsV1": {"f:metadata": {"f:annotations": signed}}},
        {"manager": "zealous-tool", "time": "2026-03-01T12:00:01Z", "subresource": "status", "fieldsV1": {}},
    ]
    after = {"metadata": {"managedFields": fields, "annotations": {f"{GROUP}/changed-by": f"{time} anna"}}}
    assert author_of({}, after, [("spec", "digest")]) == "anna"
    assert author_of(after, after, [("spec", "digest")]) == "image-catalog-verify"


async def test_an_entry_made_by_hand_is_added_and_an_older_one_is_seen(world: World, told: Any) -> None:
    world.push()
    await world.add()
    assert (await told.lines())[0] == ("image.added", "unknown", "succeeded", True)
    other = world.entry_manifest("other", "quay.io/acme/other:1")
    other["metadata"] |= {"uid": "other", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    await deliver(world, changed(other))
    (seen,) = await told.records(name="other")
    assert seen.message == "seen for the first time; it is there since 2026-01-01T00:00:00Z"


async def test_a_new_entry_of_the_same_name_begins_anew(world: World, told: Any, store: AuditStore) -> None:
    await published(world)
    deleted = versions_of(world)[-1]
    await world.remove()
    await deliver(world, deleted)
    removed = await store.last_state("team-a", "autosd")
    assert removed is not None
    assert removed.removed
    await world.add()
    assert [kind for kind, *_ in await told.lines()][-3:] == ["image.removed", "image.added", "image.available"]
    assert len(await store.states_at(world.clock.now())) == 1


async def test_a_change_that_a_stranger_posts_is_not_believed(world: World, told: Any, store: AuditStore) -> None:
    entry = await published(world)
    before, state = await told.lines(), await store.last_state("team-a", "autosd")
    lie = written_by(entry, "kubectl-edit", "spec", "tags", version=10**6, spec={**entry["spec"], "tags": ["fake"]})
    await deliver(world, changed(lie))
    assert await told.lines() == before
    assert await store.last_state("team-a", "autosd") == state
    gone = await world.pipeline.deliver("audit", changed(entry, SourceType.RESOURCE_DELETED))
    assert gone.status_code == 422
    invented = {**entry, "metadata": {**entry["metadata"], "name": "invented", "uid": "made-up"}}
    await deliver(world, changed(invented), changed(invented, SourceType.RESOURCE_DELETED))
    assert {confirmed for *_, confirmed in await told.lines(name="invented")} == {False}
    assert await store.last_state("team-a", "invented") is None


async def test_that_a_check_is_due_is_nobodys_deed(world: World, told: Any) -> None:
    for reason in ("due", "manual"):
        world.pipeline.request(
            EventType.VERIFICATION_REQUESTED, {"name": "autosd", "namespace": "team-a", "reason": reason}
        )
    await world.pipeline.drain()
    assert [record.message for record in await told.records()] == ["asked to verify (manual)"]


async def test_what_a_check_found_is_told_also_while_the_next_one_is_under_way(world: World) -> None:
    await published(world)
    asked = {"name": "autosd", "namespace": "team-a", "reason": "manual"}
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, asked)
    await world.pipeline.drain()
    entry = world.raw("catalogimages", "autosd")
    assert entry is not None
    entry["status"]["phase"] = "Verifying"

    def verified() -> tuple[str, str, bool]:
        records = records_of_change(SourceType.RESOURCE_UPDATED, entry, None, now=world.clock.now())
        (record,) = (record for record in records if record.kind == "image.verified")
        return record.outcome, record.message, bool(record.data)

    assert verified() == ("succeeded", "Available: the image is accessible in its registry", True)
    # After an edit nothing of it is left in the entry; the event itself will tell.
    (available,) = (condition for condition in entry["status"]["conditions"] if condition["type"] == "Available")
    available["status"] = "Unknown"
    assert verified()[1:] == ("", False)


async def test_a_tag_that_comes_within_the_second_of_the_publication_creates_nothing(world: World) -> None:
    await published(world)
    await world.request(registryUrl=f"{world.registry.host}/acme/autosd:cs9", tags=["tested"])
    entry = world.raw("catalogimages", "autosd")
    assert entry is not None
    assert entry["spec"]["tags"] == ["tested"]
    records = records_of_change(SourceType.RESOURCE_UPDATED, entry, None, now=world.clock.now())
    said = [record.message.partition(":")[0] for record in records if record.data]
    assert said == ["metadata"]


async def test_what_was_typed_where_no_secret_belongs_is_not_kept(world: World, told: Any) -> None:
    password = f"{random.getrandbits(64):x}"
    await world.request(registryUrl=f"robot:{password}@quay.io/acme/autosd:cs9")
    records = await told.records()
    assert records
    assert password not in repr(records)


async def test_an_event_that_is_anything_is_kept_as_what_it_is(world: World, told: Any) -> None:
    data = {"name": 7, "namespace": ["x"], "registryUrl": {}, "actor": None, "steps": "no"}
    for event_type in EventType:
        await deliver(world, world.pipeline.event(event_type, data, subject=SUBJECT))
        nothing: Any = [1]
        await deliver(world, world.pipeline.event(event_type, nothing, subject=SUBJECT))
    await deliver(world, world.pipeline.event(f"{PREFIX}image.something", {}))
    records = await told.records()
    assert {record.confirmed for record in records} == {False}
    assert len(records) == 2 * len(EventType) + 1
    assert {(record.namespace, record.name) for record in records} == {("team-a", "autosd"), (None, None)}
    asked = {record.message for record in records if record.kind == EventType.PUBLISH_REQUESTED.short}
    assert asked == {"asked to publish, without saying what"}


# What strangers post at the broker


@pytest.mark.parametrize("forged", ["before", "after"])
async def test_a_stranger_who_knows_an_events_id_changes_nothing_of_the_history(
    world: World, told: Any, forged: str, store: AuditStore, tmp_path: Path
) -> None:
    entry = await published(world)
    true = [d.event for d in world.pipeline.deliveries if d.function == "audit"]
    expected = {(r.event_id, r.kind, r.actor, r.digest, r.chain) for r in await told.records()}
    digest = entry["status"]["registryMetadata"]["resolvedDigest"]
    expected.add((removal_id(entry["metadata"]["uid"]), "image.removed", "unknown", digest, SUBJECT))
    forget(tmp_path)
    ids = {number for number, *_ in expected} | {removal_id(entry["metadata"]["uid"])}
    lies = [
        world.pipeline.event(
            event_type,
            {"name": name, "namespace": "team-a", "actor": "mallory", "removedBy": "mallory", "digest": "sha256:0"},
            subject=f"team-a/{name}",
            id=number,
        )
        for number in ids
        for event_type in (EventType.IMAGE_REMOVED, EventType.IMAGE_PUBLISHED, EventType.IMAGE_AVAILABLE)
        for name in ("autosd", "another")
    ]
    for event in (*lies, *true) if forged == "before" else (*true, *lies):
        assert (await world.pipeline.deliver("audit", event)).status_code == 204
    await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", "team-a")
    await world.pipeline.drain()
    records = await told.records()
    kept = {(r.kind, r.actor, r.digest, r.chain) for r in records if r.confirmed}
    assert kept == {tuple(facts) for _, *facts in expected}
    assert {r.actor for r in records if not r.confirmed} == {"mallory"}
    state = await store.last_state("team-a", "autosd")
    assert state is not None
    assert state.removed
    assert await store.last_state("team-a", "another") is None


async def test_nobody_was_given_an_image_because_an_event_says_so(world: World, told: Any, store: AuditStore) -> None:
    entry = await published(world)
    digest = entry["status"]["registryMetadata"]["resolvedDigest"]
    data = {"name": "autosd", "namespace": "team-a", "actor": "anna", "digest": digest}
    for kind in ("image.resolved", "image.downloaded"):
        await deliver(world, world.pipeline.event(f"{PREFIX}{kind}", data, subject=SUBJECT))
    assert len(await told.records(kinds=("image.resolved", "image.downloaded"))) > 0
    assert await store.consumers([digest]) == []


async def test_that_the_world_was_told_of_a_recall_is_no_change(world: World, told: Any) -> None:
    entry = await published(world)
    place = {"namespace": "team-a", "name": "autosd", "uid": entry["metadata"]["uid"]}
    said = {"reason": "burns", "recalledBy": "alice", "recalledAt": "2026-03-01T12:00:00Z"}
    recall = {"id": "recall-1", "digest": f"sha256:{'1' * 64}", **place, **said}
    change = {
        "cause": "request-1",
        "actor": "alice",
        "time": "2026-03-01T12:00:00Z",
        "events": [{"type": "image.recalled", "id": "recall-1"}],
    }
    status = {**entry["status"], "recentChanges": [change, *entry["status"]["recentChanges"]]}
    marked = written_by(entry, "image-catalog-api", "status", "recalls", status={**status, "recalls": [recall]})
    restored = {**status, "recalls": [recall | {"toldAt": "2026-03-01T12:00:01Z"}]}
    after = written_by(marked, "image-catalog-api", "status", "recalls", status=restored)
    before = len(await told.records())
    await write(world, marked)
    await write(world, after)
    assert [(record.kind, record.actor) for record in (await told.records())[before:]] == [("image.recalled", "alice")]


async def test_who_gave_a_recall_another_reason_is_told_once_for_each_entry(world: World, told: Any) -> None:
    entry = await published(world)
    uid, digest = entry["metadata"]["uid"], f"sha256:{'1' * 64}"
    first = {"reason": "burns", "recalledBy": "alice", "recalledAt": "2026-03-01T12:00:00Z"}
    recall = {"id": "recall-1", "digest": digest, "namespace": "team-a", "name": "autosd", "uid": uid, **first}
    elsewhere = {**recall, "id": "recall-2", "name": "other", "uid": "another", "rewordedBy": "carl"}
    again = {"reason": "burns boards", "rewordedBy": "bob", "rewordedAt": "2026-03-01T13:00:00Z"}
    recalls = [recall], [recall | again, elsewhere | {"rewordedAt": "2026-03-01T11:00:00Z"}], [recall | again]
    before, versions = len(await told.records()), [entry]
    for known in recalls:
        status = {**entry["status"], "recalls": known}
        versions.append(written_by(versions[-1], "image-catalog-api", "status", "recalls", status=status))
        await write(world, versions[-1])
    reworded = [r for r in (await told.records())[before:] if r.actor == "bob"]
    assert [(r.kind, r.digest, r.time.hour) for r in reworded] == [("image.changed", digest, 13)]
    assert reworded[0].message == f"the recall of {digest} has another reason: burns boards"
    assert reworded[0].data["changes"] == [{"path": "status.recalls.reason", "from": "burns", "to": "burns boards"}]
    assert all(r.actor != "carl" for r in await told.records())


async def test_an_event_that_is_too_long_fills_no_history(world: World, told: Any) -> None:
    data = {"name": "autosd", "namespace": "team-a", "message": "x" * 1_500_000, "registryUrl": "y" * 300_000}
    await deliver(world, world.pipeline.event(EventType.IMAGE_AVAILABLE, data, id="long"))
    (record,) = await told.records()
    assert (record.event_id, record.namespace, record.name) == ("long", "team-a", "autosd")
    assert record.data["event"]["omitted"].endswith(" bytes")
    assert len(repr(record)) < 20_000


# Dead letters


async def test_a_dead_letter_is_kept_whole(world: World, store: AuditStore) -> None:
    world.push()
    world.registry.fail(server_error())
    await world.complete()
    (letter,) = await store.dead_letters()
    sent = world.pipeline.dead_letters[0]
    assert letter.event_id == sent.id
    assert letter.body == sent.data
    assert letter.attributes.items() >= sent.attributes.items()
    assert (letter.state, letter.destination) == (LetterState.OPEN, sent.attributes["knativeerrordest"])
    assert "503" in letter.attributes["knativeerrorcode"]


async def test_while_the_database_is_down_the_broker_keeps_trying_and_shows_each_dead_letter_once(
    world: World, told: Any, tmp_path: Path, store: AuditStore
) -> None:
    await published(world)
    letter = world.pipeline.event(
        EventType.VERIFICATION_REQUESTED,
        {},
        subject=SUBJECT,
        knativeerrordest="http://verify.image-catalog.svc.cluster.local/",
        knativeerrorcode="500",
    )
    event = world.pipeline.event(EventType.IMAGE_DRIFTED, {"name": "autosd", "namespace": "team-a"})
    writer = sqlite3.connect(tmp_path / "audit.db", isolation_level=None)
    writer.execute("ALTER TABLE records RENAME TO hidden")
    writer.execute("ALTER TABLE dead_letters RENAME TO hidden_letters")
    with structlog.testing.capture_logs() as logs:
        for each in (event, letter, letter):
            assert (await world.pipeline.deliver("audit", each)).status_code == 503
    assert [line["event"] for line in logs if line["event"] == "dead letter"] == ["dead letter"]
    writer.execute("ALTER TABLE hidden RENAME TO records")
    writer.execute("ALTER TABLE hidden_letters RENAME TO dead_letters")
    writer.close()
    await deliver(world, event, letter)
    assert [kept.event_id for kept in await store.dead_letters()] == [letter.id]
    assert (await told.lines())[-1] == ("image.drifted", "image-catalog", "failed", False)


def own_letter(event: CloudEvent) -> CloudEvent:
    """Return an event as it comes back after the audit function could not take it."""
    return event.extended({"knativeerrordest": "http://audit.image-catalog.svc.cluster.local/"})


async def test_what_audit_itself_could_not_take_is_kept_in_the_history_after_all(
    world: World, told: Any, store: AuditStore
) -> None:
    event = world.pipeline.event(EventType.IMAGE_DRIFTED, {"name": "autosd", "namespace": "team-a"})
    await deliver(world, own_letter(event))
    assert [kind for kind, *_ in await told.lines()] == ["image.drifted"]
    assert await store.dead_letters() == []


async def test_what_audit_can_never_take_ends_as_a_dead_letter(world: World, told: Any, store: AuditStore) -> None:
    broken = changed({"metadata": {"name": "autosd", "namespace": "team-a", "uid": "", "resourceVersion": "1"}})
    assert (await world.pipeline.deliver("audit", broken)).status_code == 422
    await deliver(world, own_letter(broken))
    assert await told.lines() == []
    assert [letter.event_id for letter in await store.dead_letters()] == [broken.id]


async def test_an_event_of_nobodys_kind_is_a_dead_letter_even_if_the_broker_does_not_say_so(
    world: World, store: AuditStore
) -> None:
    await deliver(world, world.pipeline.event(SourceType.PING, {}))
    assert [letter.type for letter in await store.dead_letters()] == [SourceType.PING]


# Upkeep


class TestRetention:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Keep records for a day."""
        return settings.model_copy(update={"audit_retention": timedelta(days=1)})

    async def test_old_records_go_now_and_then(self, world: World, told: Any) -> None:
        await published(world)
        world.clock.advance(timedelta(days=3))
        await deliver(world, world.pipeline.event(EventType.IMAGE_DRIFTED, {"name": "autosd", "namespace": "team-a"}))
        kinds = [kind for kind, *_ in await told.lines()]
        assert "image.published" not in kinds
        assert kinds[-2:] == ["image.drifted", "audit.pruned"]


def test_a_start_waits_for_no_database_and_no_registry() -> None:
    program = (
        "import sys, image_catalog_functions.audit.main; "
        "print([name for name in ('sqlalchemy', 'psycopg', 'image_catalog.registry') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert loaded.stdout == "[]\n"


class TestWithoutADatabase:
    @pytest.fixture
    def settings(self) -> Settings:
        """Have no database."""
        return Settings()

    async def test_that_no_history_is_kept_is_said_once(self, world: World) -> None:
        with structlog.testing.capture_logs() as logs:
            await published(world)
        said = [line for line in logs if line["event"].startswith("no history is kept")]
        assert len(said) == 1
        assert said[0]["setting"] == "IMAGE_CATALOG_DATABASE_URL"
        event = world.pipeline.event(EventType.IMAGE_DRIFTED, {"name": "autosd", "namespace": "team-a"})
        with structlog.testing.capture_logs() as logs:
            await deliver(world, own_letter(event))
        assert "dead letter" in {line["event"] for line in logs}
