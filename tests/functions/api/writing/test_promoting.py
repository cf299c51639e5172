"""``POST /images/{name}/promote``: the same content, in another namespace."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage
from image_catalog.models import ArtifactRef, ArtifactStore, TestResult
from image_catalog.models.names import ANNOTATION_ALLOW_NAMESPACES
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.registry import BearerAuth
from image_catalog.testing.world import World, running_world

URL = "quay.io/acme/autosd:cs9"
DEV, STAGING, PRODUCTION = "team-a", "team-b", "production"
SAID = {"architecture": "arm64", "distro": "cs9", "targets": [{"name": "qemu"}]}


@pytest.fixture
async def catalog(serve: Callable[..., Any]) -> AsyncIterator[Any]:
    served = serve()
    served.world.pipeline.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PRODUCTION}})
    for namespace in (STAGING, PRODUCTION):
        served.grant("person", ("*", "catalogimages"), namespace=namespace)
    yield served
    await served.client.aclose()


async def promote(catalog: Any, name: str = "autosd", to: str = STAGING, *, source: str = DEV, **more: Any) -> Any:
    options = {key: more.pop(key) for key in ("headers",) if key in more}
    body = {"namespace": to, **more}
    return await catalog.ask("POST", f"/images/{name}/promote", body, params={"namespace": source}, **options)


async def test_the_same_content_becomes_an_entry_there_that_says_where_it_came_from(catalog: Any) -> None:
    sample = catalog.world.push()
    source = await catalog.world.add(metadata=SAID, tags=["nightly"])
    answer = await promote(catalog, tags=["candidate"])
    assert answer.status_code == 201
    said = answer.json()
    assert (said["metadata"]["namespace"], said["metadata"]["name"]) == (STAGING, "autosd")
    assert (said["spec"]["registryUrl"], said["spec"]["digest"], said["spec"]["tags"]) == (
        URL, sample.digest, ["candidate"],
    )  # fmt: skip
    assert said["spec"]["metadata"]["distro"] == "cs9"
    assert said["status"]["phase"] == "Available"
    came = said["status"]["promotedFrom"]
    assert (came["namespace"], came["name"], came["uid"], came["digest"]) == (
        DEV, "autosd", source.metadata.uid, sample.digest,
    )  # fmt: skip
    assert came["promotedBy"] == "system:serviceaccount:image-catalog:person"
    assert ("Promotion", f"{sample.digest} from team-a/autosd") in [
        (step["name"], step["message"]) for step in said["steps"]
    ]
    assert catalog.world.data("image.published")[-1]["namespace"] == STAGING


async def test_promoting_again_changes_nothing(catalog: Any) -> None:
    catalog.world.push()
    await catalog.world.add()
    first = await promote(catalog)
    catalog.world.clock.advance(timedelta(minutes=1))
    again = await promote(catalog)
    assert again.status_code == 200
    assert again.json()["status"]["promotedFrom"] == first.json()["status"]["promotedFrom"]


async def test_an_answer_that_was_lost_comes_again(catalog: Any) -> None:
    catalog.world.push()
    await catalog.world.add()
    catalog.calls.after = [httpx.ReadError("the connection was reset")]
    answer = await promote(catalog)
    assert (answer.status_code, len(catalog.calls.requests)) == (201, 2)
    assert answer.json()["status"]["promotedFrom"]["name"] == "autosd"


async def test_the_content_counts_and_not_what_its_tag_has_by_now(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add(digest=sample.digest)
    catalog.world.push("tonight")
    said = (await promote(catalog)).json()
    assert said["spec"]["digest"] == sample.digest
    assert said["status"]["registryMetadata"]["resolvedDigest"] == sample.digest


async def test_a_content_that_is_gone_from_the_registry_is_refused(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add(digest=sample.digest)
    catalog.world.push("tonight")
    catalog.world.registry.store.delete_manifest("acme/autosd", sample.digest)
    answer = await promote(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (422, "ImageNotFound")
    assert catalog.world.entry(namespace=STAGING) is None


async def test_a_later_content_is_a_new_version_there_and_an_earlier_one_can_come_back(catalog: Any) -> None:
    first = catalog.world.push()
    await catalog.world.add()
    await promote(catalog)
    for number in range(2):
        catalog.world.clock.advance(timedelta(hours=2))
        catalog.world.registry.put(first if number else SampleImage(name="second"), "acme/autosd", "cs9")
        await catalog.ask("POST", "/images/autosd/verify")
        answer = await promote(catalog)
        assert answer.status_code == 201
    status = catalog.world.image(namespace=STAGING).status
    assert status.registry_metadata.resolved_digest == first.digest
    assert [version.promoted_from.name for version in status.history] == ["autosd", "autosd"]


async def test_the_stages_before_are_kept(catalog: Any) -> None:
    catalog.world.push()
    await catalog.world.add()
    await promote(catalog)
    said = (await promote(catalog, to=PRODUCTION, source=STAGING)).json()
    came = said["status"]["promotedFrom"]
    assert (came["namespace"], came["earlier"]) == (STAGING, [{"name": "autosd", "namespace": DEV}])


async def test_an_entry_that_had_the_content_already_says_from_now_on_where_it_was_promoted_from(catalog: Any) -> None:
    catalog.world.push()
    await catalog.world.add()
    body = {"name": "ours", "spec": {"registryUrl": URL}}
    await catalog.ask("POST", "/images", body, params={"namespace": STAGING})
    await catalog.catch_up()
    answer = await promote(catalog, name="autosd")
    assert (answer.status_code, answer.json()["metadata"]["name"]) == (201, "ours")
    assert answer.json()["status"]["promotedFrom"]["name"] == "autosd"


async def test_what_a_build_exported_and_tests_told_comes_along(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add(metadata=SAID)
    data = {"name": "autosd", "namespace": DEV, "digest": sample.digest, "target": "qemu", "result": "passed"}
    event = {"specversion": "1.0", "id": "1", "source": "/lab", "type": str(EventType.TEST_REPORTED), "data": data}
    reported = await catalog.ask("POST", "/events", event, headers={"content-type": "application/cloudevents+json"})
    assert reported.is_success
    file = ArtifactRef(type="s3", url="s3://builds/builds/autosd/disk.raw.gz", name="disk.raw.gz")
    store = ArtifactStore(bucket="builds", prefix="builds/autosd", namespace=DEV, credentials_secret="export")
    await catalog.services.images.apply_status(
        DEV, "autosd", lambda image: image.status.model_copy(update={"artifact_refs": [file], "artifact_store": store})
    )
    said = (await promote(catalog)).json()["status"]
    assert ([each["url"] for each in said["artifactRefs"]], said["artifactStore"]["bucket"]) == ([file.url], "builds")
    (told,) = said["evidence"]
    assert (told["target"], told["runs"][0]["result"]) == ("qemu", TestResult.PASSED)


async def test_a_claim_goes_along_with_the_content_that_it_was_made_of_alone(catalog: Any) -> None:
    catalog.world.push()
    await catalog.world.add(metadata={**SAID, "targets": [{"name": "qemu", "verified": True}]})
    assert (await promote(catalog)).json()["status"]["targets"][0]["verified"]
    catalog.world.push(SampleImage(name="another"))
    await catalog.world.pass_time(hours=1)
    (target,) = (await promote(catalog, to=PRODUCTION)).json()["status"]["targets"]
    assert (target["name"], target["verified"]) == ("qemu", False)


async def test_an_image_stays_in_its_own_namespace(catalog: Any) -> None:
    answer = await promote(catalog, to=DEV)
    assert (answer.status_code, answer.json()["details"]["violations"][0]["path"]) == (400, "namespace")


async def test_an_image_that_is_not_there_is_not_found(catalog: Any) -> None:
    answer = await promote(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")


@pytest.mark.parametrize("known", ["nothing", "what went away"])
async def test_what_is_not_available_is_not_promoted(catalog: Any, known: str) -> None:
    if known != "nothing":
        catalog.world.push()
    await catalog.world.add()
    if known != "nothing":
        catalog.world.take_down()
        await catalog.ask("POST", "/images/autosd/verify")
    answer = await promote(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (409, "NotAvailable")
    assert answer.json()["details"]["phase"] == "Unavailable"


async def test_what_is_recalled_is_not_promoted(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    await catalog.ask("POST", "/images/autosd/recall", {"digest": sample.digest, "reason": "it overheats"})
    answer = await promote(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (409, "Recalled")
    assert "it overheats" in answer.json()["detail"]
    assert answer.json()["details"]["recall"]["digest"] == sample.digest
    assert catalog.world.entry(namespace=STAGING) is None


async def test_what_the_other_namespace_has_recalled_itself_is_not_brought_back(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    await promote(catalog)
    body = {"digest": sample.digest, "reason": "not with our brakes"}
    await catalog.ask("POST", "/images/autosd/recall", body, params={"namespace": STAGING})
    answer = await promote(catalog, name="autosd")
    assert (answer.status_code, answer.json()["reason"]) == (409, "Recalled")
    assert "not with our brakes" in answer.json()["detail"]
    assert answer.json()["details"]["namespace"] == STAGING


async def test_a_name_that_another_image_has_there_is_taken(catalog: Any) -> None:
    catalog.world.push()
    catalog.world.push("another", tag="other")
    await catalog.world.add()
    body = {"name": "autosd", "spec": {"registryUrl": "quay.io/acme/autosd:other"}}
    await catalog.ask("POST", "/images", body, params={"namespace": STAGING})
    answer = await promote(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (409, "NameTaken")
    assert (await promote(catalog, name="autosd")).status_code == 409


async def test_a_name_can_be_given(catalog: Any) -> None:
    catalog.world.push()
    await catalog.world.add()
    body = {"namespace": STAGING, "name": "cockpit"}
    answer = await catalog.ask("POST", "/images/autosd/promote", body, params={"namespace": DEV})
    assert answer.json()["metadata"]["name"] == "cockpit"


async def test_what_a_person_pinned_there_is_not_moved(catalog: Any) -> None:
    first = catalog.world.push()
    await catalog.world.add()
    await promote(catalog)
    catalog.world.edit(namespace=STAGING, metadata={"annotations": {}})
    assert catalog.world.image(namespace=STAGING).spec.digest == first.digest
    catalog.world.push("second")
    await catalog.ask("POST", "/images/autosd/verify")
    answer = await promote(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (409, "PinnedByUser")


@pytest.mark.parametrize(
    ("granted", "verb", "namespace"),
    [
        pytest.param([("create", STAGING), ("update", STAGING)], "get", DEV, id="to look at it here"),
        pytest.param([("get", DEV), ("update", STAGING)], "create", STAGING, id="to create it there"),
    ],
)
async def test_both_namespaces_have_their_say(
    catalog: Any, granted: list[tuple[str, str]], verb: str, namespace: str
) -> None:
    catalog.world.push()
    await catalog.world.add()
    for where in (DEV, STAGING):
        rules = [(right, "catalogimages") for right, there in granted if there == where]
        if rules:
            catalog.grant("mover", *rules, namespace=where)
    answer = await promote(catalog, headers=catalog.token("mover"))
    details = answer.json()["details"]
    assert (answer.status_code, details["verb"], details["namespace"]) == (403, verb, namespace)
    assert catalog.world.entry(namespace=STAGING) is None


@pytest.mark.parametrize("entry", ["the API knows", "came to be a moment ago"])
async def test_who_may_only_create_there_changes_nothing_that_is_there(catalog: Any, entry: str) -> None:
    catalog.world.push()
    await catalog.world.add()
    catalog.grant("mover", ("get", "catalogimages"))
    catalog.grant("mover", ("create", "catalogimages"), namespace=STAGING)
    assert (await promote(catalog, headers=catalog.token("mover"))).status_code == 201
    if entry != "the API knows":
        catalog.watched.remove(STAGING, "autosd")
    before = catalog.world.raw("catalogimages", "autosd", namespace=STAGING)["spec"]
    answer = await promote(catalog, tags=["mine"], headers=catalog.token("mover"))
    assert (answer.status_code, answer.json()["details"]["verb"]) == (403, "update")
    assert catalog.world.raw("catalogimages", "autosd", namespace=STAGING)["spec"] == before


async def test_an_entry_that_came_to_be_a_moment_ago_is_updated_by_who_may(catalog: Any) -> None:
    catalog.world.push()
    await catalog.world.add()
    await promote(catalog)
    catalog.watched.remove(STAGING, "autosd")
    answer = await promote(catalog, tags=["candidate"])
    assert (answer.status_code, answer.json()["spec"]["tags"]) == (201, ["candidate"])


async def test_nobody_else_is_believed_where_an_image_was_promoted_from(catalog: Any) -> None:
    sample = catalog.world.push()
    data = {
        "registryUrl": URL,
        "namespace": DEV,
        "digest": sample.digest,
        "promotedFrom": {"name": "autosd", "namespace": PRODUCTION},
    }
    event = {"specversion": "1.0", "id": "1", "source": "/ci", "type": str(EventType.PUBLISH_REQUESTED), "data": data}
    headers = {"content-type": "application/cloudevents+json"}
    answer = await catalog.ask("POST", "/events", event, headers=headers)
    assert (answer.status_code, answer.json()["details"]["violations"][0]["path"]) == (400, "data.promotedFrom")
    catalog.world.pipeline.request(EventType.PUBLISH_REQUESTED, data)
    await catalog.world.pipeline.drain()
    assert catalog.world.data("publish.rejected")[-1]["reason"] == "Unauthenticated"
    assert catalog.world.all("catalogimages") == []


class TestPrivateRegistry:
    """The credential belongs to the namespace that the image comes from."""

    @pytest.fixture
    async def world(self, tmp_path: Path, functions: tuple[PipelineFunction, ...]) -> AsyncIterator[World]:
        async with running_world(functions, tmp_path, auth=BearerAuth()) as world:
            world.push()
            world.registry.restrict("acme", reader := world.registry.account("reader"))
            for namespace in (DEV, STAGING):
                world.allow_secrets(namespace=namespace)
                world.add_secret("pull", reader, namespace=namespace)
            await world.add(authSecretRef={"name": "pull"})
            yield world

    async def test_it_works_there_where_its_owner_allows_that(self, catalog: Any) -> None:
        secret = copy.deepcopy(catalog.world.raw("secrets", "pull"))
        secret["metadata"]["annotations"] = {ANNOTATION_ALLOW_NAMESPACES: STAGING}
        catalog.world.pipeline.cluster.server.apply(secret)
        answer = await promote(catalog)
        assert answer.status_code == 201
        assert answer.json()["spec"]["authSecretRef"] == {"name": "pull", "namespace": DEV}

    async def test_else_the_refusal_names_the_annotation_and_the_command(self, catalog: Any) -> None:
        answer = await promote(catalog)
        assert (answer.status_code, answer.json()["reason"]) == (422, "SecretForbidden")
        command = f"kubectl annotate secret -n {DEV} pull {ANNOTATION_ALLOW_NAMESPACES}={STAGING}"
        assert command in answer.json()["detail"]
        assert catalog.world.entry(namespace=STAGING) is None

    async def test_or_another_one_is_named(self, catalog: Any) -> None:
        answer = await promote(catalog, authSecretRef={"name": "pull"})
        assert answer.status_code == 201
        assert answer.json()["spec"]["authSecretRef"] == {"name": "pull"}


async def test_a_namespace_that_is_not_there_is_told_before_anybody_is_asked(catalog: Any) -> None:
    catalog.world.push()
    await catalog.world.add()
    everywhere = {"authorization": f"Bearer {catalog.world.pipeline.cluster.server.admin_token}"}
    answer = await promote(catalog, to="nowhere", headers=everywhere)
    assert (answer.status_code, answer.json()["detail"]) == (404, 'namespace "nowhere" not found')
    assert catalog.calls.requests == []
