"""``POST /images/{name}/recall`` and ``…/restore``, at the entry itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage, SampleIndex
from image_catalog.models import CatalogImage, CatalogImageStatus, PlatformVariant, Recall
from image_catalog.registry.limits import INDEX_CHILDREN
from image_catalog.testing.world import NAMESPACE

URL = "quay.io/acme/autosd:cs9"
WHY = "the brake controller does not answer"
STRANGER = "sha256:" + "e" * 64
PERSON = "system:serviceaccount:image-catalog:person"


async def recall(catalog: Any, digest: str, reason: str | None = WHY, *, name: str = "autosd", **options: Any) -> Any:
    body = {"digest": digest} | ({} if reason is None else {"reason": reason})
    return await catalog.ask("POST", f"/images/{name}/recall", body, **options)


async def restore(catalog: Any, digest: str, reason: str = "a cable", *, name: str = "autosd", **options: Any) -> Any:
    return await catalog.ask("POST", f"/images/{name}/restore", {"digest": digest, "reason": reason}, **options)


def says(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in document["status"]["conditions"]}


def events(catalog: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Return type, subject and data of every event that the API's broker has taken."""
    return [
        (EventType(request.headers["ce-type"]).short, request.headers["ce-subject"], json.loads(request.content))
        for request in catalog.broker.received
    ]


async def test_a_recalled_content_is_marked_and_told_of(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    answer = await recall(catalog, sample.digest)
    assert answer.status_code == 200
    said = answer.json()
    (mark,) = said["status"]["recalls"]
    assert (mark["digest"], mark["reason"], mark["namespace"], mark["name"]) == (
        sample.digest,
        WHY,
        NAMESPACE,
        "autosd",
    )
    assert (mark["recalledBy"], mark["uid"]) == (PERSON, said["metadata"]["uid"])
    assert said["status"]["phase"] == "Available"
    assert says(said)["Recalled"] == ("True", "ContentRecalled")
    assert says(said)["Ready"] == ("False", "Recalled")
    assert says(said)["Available"] == ("True", "RegistryAccessible")
    report = said["recall"]
    assert (report["recalled"], report["changed"], report["told"]) == (True, True, True)
    assert report["message"] == f"{sample.digest} of team-a/autosd is recalled"
    assert events(catalog) == [
        (
            "image.recalled",
            "team-a/autosd",
            {
                "name": "autosd",
                "namespace": NAMESPACE,
                "registryUrl": URL,
                "actor": PERSON,
                "digest": sample.digest,
                "reason": WHY,
                "origin": {"name": "autosd", "namespace": NAMESPACE},
            },
        )
    ]
    assert ("Warning", "Recalled", f"{PERSON} recalled {sample.digest}: {WHY}") in catalog.world.notes()


async def test_a_trigger_can_filter_by_every_attribute_of_the_entry_and_by_the_content(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add(metadata={"architecture": "arm64", "distro": "cs9", "targets": [{"name": "qemu"}]})
    await recall(catalog, sample.digest)
    (request,) = catalog.broker.received
    told = {name.removeprefix("ce-"): value for name, value in request.headers.items() if name.startswith("ce-")}
    expected = {
        "catalognamespace": NAMESPACE, "catalogname": "autosd", "architecture": "arm64", "distro": "cs9",
        "target": "qemu", "targets": ",qemu,", "phase": "Available", "digest": sample.digest,
        "partitionkey": "team-a/autosd",
    }  # fmt: skip
    assert expected.items() <= told.items()


async def test_the_write_says_which_event_it_owes(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    said = (await recall(catalog, sample.digest)).json()
    change = said["status"]["recentChanges"][0]
    assert (change["cause"], change["actor"]) == (said["status"]["recalls"][0]["id"], PERSON)
    assert change["events"] == [{"type": "image.recalled", "id": catalog.broker.received[0].headers["ce-id"]}]


async def test_recalling_what_is_recalled_changes_nothing_and_tells_nobody_again(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    first = (await recall(catalog, sample.digest)).json()
    for reason in (None, WHY):
        again = await recall(catalog, sample.digest, reason)
        assert (again.status_code, again.json()["recall"]["changed"]) == (200, False)
        assert again.json()["status"]["recalls"] == first["status"]["recalls"]
    assert len(catalog.broker.received) == 1


async def test_another_reason_takes_the_place_of_the_first(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    first = (await recall(catalog, sample.digest)).json()["status"]["recalls"][0]
    catalog.world.clock.advance(timedelta(minutes=5))
    again = (await recall(catalog, sample.digest, "it also overheats")).json()
    assert again["recall"]["changed"]
    whose = {"rewordedBy": PERSON, "rewordedAt": "2026-01-01T00:05:00Z"}
    assert again["status"]["recalls"] == [first | {"reason": "it also overheats"} | whose]
    assert "it also overheats" in next(c["message"] for c in again["status"]["conditions"] if c["type"] == "Recalled")


async def test_a_restored_content_may_be_used_again_and_that_is_told(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    await recall(catalog, sample.digest)
    answer = await restore(catalog, sample.digest)
    said = answer.json()
    assert answer.status_code == 200
    assert said["status"]["recalls"] == []
    (lifted,) = said["status"]["restorations"]
    assert (lifted["reason"], lifted["restoredBy"], lifted["recall"]["reason"]) == ("a cable", PERSON, WHY)
    assert says(said)["Recalled"] == ("False", "NotRecalled")
    assert says(said)["Ready"] == ("True", "RegistryAccessible")
    assert (said["recall"]["recalled"], said["recall"]["changed"], said["recall"]["told"]) == (False, True, True)
    kind, _, data = events(catalog)[-1]
    assert (kind, data["digest"], data["reason"], data["actor"]) == (
        "image.restored", sample.digest, "a cable", PERSON,
    )  # fmt: skip
    assert ("Normal", "Restored", f"{PERSON} restored {sample.digest}: a cable") in catalog.world.notes()


async def test_restoring_what_is_not_recalled_changes_nothing(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    said = (await restore(catalog, sample.digest)).json()["recall"]
    assert (said["recalled"], said["changed"], said["told"]) == (False, False, False)
    assert catalog.broker.received == []


async def test_what_is_recalled_again_is_told_again_under_an_id_of_its_own(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    await recall(catalog, sample.digest)
    await restore(catalog, sample.digest)
    said = (await recall(catalog, sample.digest, "it was not the cable")).json()
    assert [kind for kind, _, _ in events(catalog)] == ["image.recalled", "image.restored", "image.recalled"]
    assert len({request.headers["ce-id"] for request in catalog.broker.received}) == 3
    assert says(said)["Recalled"] == ("True", "ContentRecalled")


async def test_a_platform_of_the_image_can_be_recalled(catalog: Any) -> None:
    index = SampleIndex([SampleImage(name="arm"), SampleImage(name="intel", architecture="amd64")])
    catalog.world.push(index)
    await catalog.world.add()
    platform = catalog.world.image().status.registry_metadata.platform_variants[1]
    said = (await recall(catalog, platform.digest)).json()
    assert says(said)["Recalled"] == ("True", "PlatformRecalled")
    assert f"the platform linux/{platform.architecture}" in said["status"]["conditions"][-1]["message"]


async def test_the_widest_index_is_recalled_with_all_its_platforms(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    platforms = [PlatformVariant(digest=f"sha256:{number:064x}") for number in range(INDEX_CHILDREN)]

    def widen(image: CatalogImage) -> CatalogImageStatus:
        assert image.status.registry_metadata is not None
        registry = image.status.registry_metadata.model_copy(update={"platform_variants": platforms})
        return image.status.model_copy(update={"registry_metadata": registry})

    await catalog.services.images.apply_status(NAMESPACE, "autosd", widen)
    answer = await recall(catalog, sample.digest)
    assert (answer.status_code, len(answer.json()["status"]["recalls"][0]["parts"])) == (200, INDEX_CHILDREN)


async def test_an_earlier_version_can_be_recalled_and_the_current_one_stays_ready(catalog: Any) -> None:
    first = catalog.world.push()
    await catalog.world.add()
    catalog.world.push("second")
    await catalog.world.pass_time(hours=2)
    said = (await recall(catalog, first.digest)).json()
    assert said["status"]["recalls"][0]["digest"] == first.digest
    assert says(said)["Recalled"] == ("False", "NotRecalled")
    assert says(said)["Ready"][0] == "True"


async def test_an_earlier_index_is_recalled_with_the_platforms_that_it_had(catalog: Any) -> None:
    arm = SampleImage(name="arm")
    first = SampleIndex([arm, SampleImage(name="intel", architecture="amd64")])
    catalog.world.push(first)
    catalog.world.push(arm, tag="arm")
    await catalog.world.add()
    await catalog.world.add("board", url="quay.io/acme/autosd:arm")
    platforms = [variant.digest for variant in catalog.world.image().status.registry_metadata.platform_variants]
    catalog.world.push("second")
    await catalog.world.pass_time(hours=2)
    await catalog.catch_up()
    said = (await recall(catalog, first.digest)).json()
    assert said["status"]["recalls"][0]["parts"] == platforms
    await catalog.catch_up()
    assert catalog.world.says("board")["Recalled"] == ("True", "ContentRecalled")


async def test_a_new_version_is_not_recalled_and_the_old_one_is_when_it_comes_back(catalog: Any) -> None:
    first = catalog.world.push()
    await catalog.world.add()
    await recall(catalog, first.digest)
    catalog.world.push("second")
    await catalog.world.pass_time(hours=2)
    assert catalog.world.says()["Recalled"] == ("False", "NotRecalled")
    assert catalog.world.says()["Ready"] == ("True", "RegistryAccessible")
    catalog.world.registry.put(first, "acme/autosd", "cs9")
    await catalog.world.pass_time(hours=2)
    assert catalog.world.says()["Recalled"] == ("True", "ContentRecalled")
    assert catalog.world.says()["Ready"] == ("False", "Recalled")
    assert catalog.world.image().status.phase == "Available"


async def test_a_check_leaves_the_recall_and_the_time_since_when_it_holds(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    before = (await recall(catalog, sample.digest)).json()["status"]
    await catalog.world.pass_time(hours=2)
    await catalog.ask("POST", "/images/autosd/verify")
    after = catalog.world.raw("catalogimages", "autosd")["status"]
    assert after["recalls"] == before["recalls"]
    for kind in ("Recalled", "Ready"):
        (was,), (is_now,) = ([c for c in status["conditions"] if c["type"] == kind] for status in (before, after))
        assert is_now["lastTransitionTime"] == was["lastTransitionTime"]


async def test_an_edit_loses_no_recall(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    await recall(catalog, sample.digest)
    catalog.world.edit(spec={"tags": ["edited"]})
    await catalog.world.pipeline.drain()
    status = catalog.world.image().status
    assert [mark.digest for mark in status.recalls] == [sample.digest]
    assert catalog.world.says()["Recalled"] == ("True", "ContentRecalled")
    assert {c.observed_generation for c in status.conditions} == {status.observed_generation}


async def test_recalled_entries_are_found_and_passed_over(catalog: Any) -> None:
    sample = catalog.world.push()
    catalog.world.push("another", tag="other")
    await catalog.world.add()
    await catalog.world.add("other", url="quay.io/acme/autosd:other")
    await catalog.catch_up()
    catalog.services.image_feed.filled.set()
    await recall(catalog, sample.digest)
    for parameters, found in (({"recalled": "true"}, ["autosd"]), ({"recalled": "false"}, ["other"])):
        for more in ({}, {"phase": "Available"}, {"latest": "true"}):
            items = (await catalog.ask("GET", "/images", params=parameters | more)).json()["items"]
            assert [item["metadata"]["name"] for item in items] == found
    assert len((await catalog.ask("GET", "/images")).json()["items"]) == 2
    answer = await catalog.ask("GET", "/images", params={"recalled": "maybe"})
    assert (answer.status_code, answer.json()["details"]["parameter"]) == (400, "recalled")


async def test_the_history_says_which_version_is_recalled(catalog: Any) -> None:
    first = catalog.world.push()
    await catalog.world.add()
    catalog.world.push("second")
    await catalog.world.pass_time(hours=2)
    await recall(catalog, first.digest)
    current, earlier = (await catalog.ask("GET", "/images/autosd/history")).json()["items"]
    assert "recall" not in current
    assert (earlier["digest"], earlier["recall"]["reason"]) == (first.digest, WHY)


async def test_todays_flat_form_says_that_it_must_not_be_used(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    await recall(catalog, sample.digest)
    answer = await catalog.client.get("/v1/catalog/images/autosd", params={"namespace": NAMESPACE})
    said = answer.json()
    assert (said["phase"], said["recalled"], said["statusReason"]) == ("Available", True, "Recalled")
    assert WHY in said["statusMessage"]
    await restore(catalog, sample.digest)
    said = (await catalog.client.get("/v1/catalog/images/autosd", params={"namespace": NAMESPACE})).json()
    assert not {"recalled", "statusReason"} & said.keys()


async def test_a_content_that_the_entry_never_had_is_refused_naming_those_that_it_has(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    for call in (recall, restore):
        answer = await call(catalog, STRANGER)
        problem = answer.json()
        assert (answer.status_code, problem["reason"]) == (422, "DigestUnknown")
        assert problem["details"]["known"] == [{"digest": sample.digest, "what": "the current content"}]
        assert sample.digest in problem["detail"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param({"reason": WHY}, "digest", id="no digest"),
        pytest.param({"digest": "sha256:abc", "reason": WHY}, "digest", id="no digest that can be"),
        pytest.param({"digest": STRANGER, "reason": " "}, "reason", id="no reason but blanks"),
        pytest.param({"digest": STRANGER, "reason": "x" * 1025}, "reason", id="a reason without end"),
        pytest.param({"digest": STRANGER, "reason": WHY, "who": "me"}, "who", id="a field that is none"),
    ],
)
async def test_a_body_that_says_nothing_is_refused(catalog: Any, body: dict[str, str], named: str) -> None:
    for call in ("recall", "restore"):
        answer = await catalog.ask("POST", f"/images/autosd/{call}", body)
        assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidBody")
        assert named in [violation["path"] for violation in answer.json()["details"]["violations"]]


async def test_a_first_recall_says_why(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    answer = await recall(catalog, sample.digest, None)
    assert (answer.status_code, answer.json()["details"]["violations"][0]["path"]) == (400, "reason")
    assert "recalls" not in catalog.world.raw("catalogimages", "autosd")["status"]


async def test_an_entry_that_is_not_there_is_not_found(catalog: Any) -> None:
    for call in (recall, restore):
        answer = await call(catalog, STRANGER, name="nothing")
        assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")


async def test_recalling_needs_the_right_to_update_there(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    catalog.grant("reader", ("get", "catalogimages"), ("create", "catalogimages"))
    for call in (recall, restore):
        answer = await call(catalog, sample.digest, headers=catalog.token("reader"))
        assert (answer.status_code, answer.json()["details"]["verb"]) == (403, "update")
    assert "recalls" not in catalog.world.raw("catalogimages", "autosd")["status"]


async def test_recalls_beyond_what_an_entry_can_keep_are_refused(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    mark = (await recall(catalog, sample.digest)).json()["status"]["recalls"][0]
    platforms = [PlatformVariant(digest=f"sha256:{number:064x}") for number in range(64)]

    def fill(image: CatalogImage) -> CatalogImageStatus:
        assert image.status.registry_metadata is not None
        registry = image.status.registry_metadata.model_copy(update={"platform_variants": platforms})
        more = [Recall.model_validate(mark | {"id": each.digest, "digest": each.digest}) for each in platforms[:63]]
        recalls = [*image.status.recalls, *more]
        return image.status.model_copy(update={"registry_metadata": registry, "recalls": recalls})

    await catalog.services.images.apply_status(NAMESPACE, "autosd", fill)
    answer = await recall(catalog, platforms[63].digest)
    assert (answer.status_code, answer.json()["reason"]) == (409, "TooManyRecalls")


async def test_without_a_broker_the_recall_holds_and_the_answer_says_that_nobody_was_told(
    serve: Callable[..., Any],
) -> None:
    catalog = serve(sink=None)
    sample = catalog.world.push()
    await catalog.world.add()
    said = (await recall(catalog, sample.digest)).json()
    assert says(said)["Recalled"] == ("True", "ContentRecalled")
    assert said["recall"]["told"] is False
    assert "nobody was told, because there is no broker (K_SINK is not set)" in said["recall"]["message"]
    assert "toldAt" not in said["status"]["recalls"][0]
    assert ("Warning", "Recalled", f"{PERSON} recalled {sample.digest}: {WHY}") in catalog.world.notes()


async def test_a_broker_that_takes_nothing_is_told_until_it_does_under_the_same_id(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    catalog.broker.refusals = [httpx.ConnectError("refused")] * 2
    said = (await recall(catalog, sample.digest)).json()
    assert said["recall"]["recalled"]
    assert said["recall"]["told"] is False
    assert "the broker has not taken the event yet" in said["recall"]["message"]
    owed = said["status"]["recentChanges"][0]["events"][0]["id"]
    await catalog.catch_up()
    assert [request.headers["ce-id"] for request in catalog.broker.received] == [owed]
    assert catalog.world.image().status.recalls[0].told_at is not None
    again = (await recall(catalog, sample.digest)).json()
    assert again["recall"]["told"] is True
    assert len(catalog.broker.received) == 1


async def test_an_api_that_dies_between_write_and_emission_leaves_the_event_to_the_next_one(
    serve: Callable[..., Any],
) -> None:
    dying = serve(sink=None)
    sample = dying.world.push()
    await dying.world.add()
    said = (await recall(dying, sample.digest)).json()
    owed = said["status"]["recentChanges"][0]["events"][0]["id"]
    dying.world.clock.advance(timedelta(minutes=5))
    # The one that died has written the recall, and emitted nothing.
    following = serve()
    await following.catch_up()
    assert [(r.headers["ce-id"], r.headers["ce-time"]) for r in following.broker.received] == [
        (owed, said["status"]["recalls"][0]["recalledAt"])
    ]
    assert following.world.image().status.recalls[0].told_at is not None
    await following.catch_up()
    assert len(following.broker.received) == 1


async def test_a_recall_that_was_taken_back_before_anybody_was_told_is_told_with_its_end(
    serve: Callable[..., Any],
) -> None:
    dying = serve(sink=None)
    sample = dying.world.push()
    await dying.world.add()
    await recall(dying, sample.digest)
    dying.world.clock.advance(timedelta(seconds=1))
    await restore(dying, sample.digest)
    following = serve()
    await following.catch_up()
    assert [kind for kind, _, _ in events(following)] == ["image.recalled", "image.restored"]
    await following.catch_up()
    assert len(following.broker.received) == 2
