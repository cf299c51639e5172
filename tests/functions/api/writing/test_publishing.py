"""``POST /publish``: a build becomes an entry."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import httpx
import pytest

from image_catalog.models import format_time
from image_catalog.testing.world import NAMESPACE

pytestmark = pytest.mark.story

BUILD = {"imageBuildName": "nightly", "imageBuildNamespace": NAMESPACE}


@pytest.fixture
def build(catalog: Any) -> dict[str, Any]:
    """Let a build complete whose events nobody is told."""
    catalog.world.pipeline.sources_run = False
    catalog.world.push()
    made: dict[str, Any] = catalog.world.build("nightly")
    catalog.world.pipeline.apply(made)
    return made


async def publish(catalog: Any, **body: Any) -> Any:
    return await catalog.ask("POST", "/publish", {**BUILD, **body})


@pytest.mark.usefixtures("build")
async def test_a_completed_build_is_published(catalog: Any) -> None:
    answer = await publish(catalog, catalogImageName="autosd", tags=["a", "b"], metadata={"distro": "mine"})
    assert answer.status_code == 201
    said = answer.json()
    assert (said["metadata"]["name"], said["spec"]["tags"]) == ("autosd", ["a", "b"])
    assert said["spec"]["metadata"]["distro"] == "mine", "what the caller says wins"
    assert [target["name"] for target in said["spec"]["metadata"]["targets"]] == ["qemu"], "what is not said does not"
    assert said["status"]["sourceImageBuild"]["name"] == "nightly"
    assert said["steps"][0]["name"] == "ImageBuild status"


@pytest.mark.usefixtures("build")
async def test_every_step_says_how_long_it_took(catalog: Any) -> None:
    started = time.monotonic()
    took = {step["name"]: step["milliseconds"] for step in (await publish(catalog)).json()["steps"]}
    assert 0 < sum(took.values()) <= (time.monotonic() - started) * 1000 + len(took)
    assert took["Catalog image"] > 0, "a claim and an entry are written in more than half a millisecond"
    assert {"Registry location", "Registry accessibility"} < took.keys()


@pytest.mark.usefixtures("build")
async def test_an_answer_that_was_lost_comes_again_with_its_steps(catalog: Any) -> None:
    catalog.calls.after = [httpx.ReadError("the connection was reset")]
    answer = await publish(catalog)
    assert (answer.status_code, len(catalog.calls.requests)) == (201, 2)
    told = [(step["name"], step["status"]) for step in answer.json()["steps"]]
    assert told == [
        ("ImageBuild status", "ok"),
        ("Registry location", "ok"),
        ("Registry accessibility", "ok"),
        ("Catalog image", "ok"),
    ]
    assert "team-a/nightly created" in answer.json()["steps"][-1]["message"]


@pytest.mark.usefixtures("build")
async def test_again_nothing_changes(catalog: Any) -> None:
    await publish(catalog)
    answer = await publish(catalog)
    assert answer.status_code == 200
    assert answer.json()["metadata"]["name"] == "nightly"


@pytest.mark.usefixtures("build")
async def test_it_can_go_into_another_namespace(catalog: Any) -> None:
    catalog.grant("person", ("create", "catalogimages"), namespace="team-b")
    answer = await publish(catalog, catalogImageNamespace="team-b", catalogImageName="autosd")
    assert answer.status_code == 201
    assert catalog.world.image("autosd", namespace="team-b").status.phase == "Available"


@pytest.mark.usefixtures("build")
async def test_the_right_is_needed_where_the_entry_goes(catalog: Any) -> None:
    answer = await publish(catalog, catalogImageNamespace="team-b")
    assert (answer.status_code, answer.json()["details"]["namespace"]) == (403, "team-b")


async def test_a_build_that_is_not_there_is_not_found(catalog: Any) -> None:
    answer = await publish(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (404, "BuildNotFound")


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        pytest.param({"status": {"phase": "Building"}}, 400, "BuildNotCompleted", id="not completed"),
        pytest.param({"spec": {"export": {}}}, 400, "NoRegistryLocation", id="pushed nowhere"),
        pytest.param({"url": "quay.io/acme/nothing:1"}, 422, "ImageNotFound", id="not accessible"),
        pytest.param({"url": "not a reference"}, 400, "InvalidReference", id="no reference"),
    ],
)
async def test_a_build_that_cannot_be_published_is_refused(
    catalog: Any, fields: dict[str, Any], status: int, reason: str
) -> None:
    catalog.world.pipeline.sources_run = False
    catalog.world.pipeline.apply(catalog.world.build("nightly", **fields))
    answer = await publish(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


@pytest.mark.usefixtures("build")
async def test_an_older_build_is_a_conflict(catalog: Any) -> None:
    await publish(catalog)
    old = format_time(catalog.world.clock.now() - timedelta(hours=1))
    catalog.world.pipeline.apply(catalog.world.build("older", status={"completionTime": old}))
    answer = await publish(catalog, imageBuildName="older")
    assert (answer.status_code, answer.json()["reason"]) == (409, "OlderThanCurrent")
    assert answer.json()["details"]["name"] == "nightly"


@pytest.mark.usefixtures("build")
async def test_a_persons_pin_is_a_conflict(catalog: Any) -> None:
    pinned = catalog.world.entry_manifest("pinned", "quay.io/acme/autosd:cs9", digest=f"sha256:{'b' * 64}")
    catalog.world.pipeline.apply(pinned)
    answer = await publish(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (409, "PinnedByUser")


@pytest.mark.usefixtures("build")
async def test_both_rights_are_needed(catalog: Any) -> None:
    catalog.grant("adder", ("create", "catalogimages"))
    answer = await catalog.ask("POST", "/publish", BUILD, headers=catalog.token("adder"))
    assert (answer.status_code, answer.json()["details"]["verb"]) == (403, "get")
    catalog.grant("builder", ("get", "imagebuilds"))
    answer = await catalog.ask("POST", "/publish", BUILD, headers=catalog.token("builder"))
    assert (answer.status_code, answer.json()["details"]["verb"]) == (403, "create")


async def test_the_configured_namespace_is_where_a_build_is_that_names_none(catalog: Any) -> None:
    answer = await catalog.ask("POST", "/publish", {"imageBuildName": "nightly"})
    assert (answer.status_code, answer.json()["details"]["namespace"]) == (403, "default")


async def test_an_unknown_field_is_refused(catalog: Any) -> None:
    answer = await publish(catalog, tag="a")
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidBody")


@pytest.mark.usefixtures("build")
async def test_an_entry_that_is_removed_at_once_is_told(catalog: Any) -> None:
    async def remove() -> None:
        bucket = ("automotive.sdv.cloud.redhat.com", "catalogimages")
        catalog.world.pipeline.cluster.server.store.remove(bucket, (NAMESPACE, "nightly"))

    catalog.world.pipeline.cluster.before(remove, verb="get", resource="catalogimages", actor="api")
    answer = await publish(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")


async def test_a_namespace_that_is_not_there_is_told_before_anybody_is_asked(catalog: Any) -> None:
    everywhere = {"authorization": f"Bearer {catalog.world.pipeline.cluster.server.admin_token}"}
    body = {**BUILD, "catalogImageNamespace": "nowhere"}
    answer = await catalog.ask("POST", "/publish", body, headers=everywhere)
    assert (answer.status_code, answer.json()["detail"]) == (404, 'namespace "nowhere" not found')
    assert catalog.calls.requests == []
