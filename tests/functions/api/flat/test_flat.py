"""What the Go ``caib`` in the field sends, and what it takes for success."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from image_catalog.config import Settings
from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage, SampleIndex
from image_catalog.models.names import GROUP
from image_catalog.testing.world import NAMESPACE, World

pytestmark = pytest.mark.story

IMAGES = "/v1/catalog/images"
Open = Callable[[World], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def settings() -> Settings:
    """Return settings under which a client need not name the namespace: today's does not."""
    return Settings(default_namespace=NAMESPACE)


@pytest.fixture
def open_flat(open_api: Open) -> Open:
    """Return what gives a client who may do everything."""

    @asynccontextmanager
    async def opened(world: World) -> AsyncIterator[httpx.AsyncClient]:
        async with open_api(world) as api:
            api.headers["Authorization"] = f"Bearer {world.pipeline.cluster.server.admin_token}"
            yield api

    return opened


async def publish(world: World, name: str, **fields: Any) -> None:
    """Push an image and complete its build, a minute after everything before it."""
    world.clock.advance(timedelta(minutes=1))
    world.push(name, tag=name)
    await world.complete(name, url=f"quay.io/acme/autosd:{name}", **fields)


async def test_a_list_holds_the_types_that_a_go_program_reads(world: World, open_flat: Open) -> None:
    await publish(world, "autosd")

    async with open_flat(world) as client:
        answer = await client.get(IMAGES, params={"sort": "created", "limit": 20})

    assert answer.status_code == 200
    page = answer.json()
    assert page.keys() == {"items", "total"}
    assert page["total"] == 1
    (item,) = page["items"]
    assert item["name"] == "autosd"
    assert item["registryUrl"] == "quay.io/acme/autosd:autosd"
    assert item["phase"] == "Available"
    assert item["digest"].startswith("sha256:")
    assert (item["architecture"], item["distro"]) == ("arm64", "autosd")
    assert item["targets"] == [{"name": "qemu", "verified": False}]
    assert item["bootc"] is False
    assert isinstance(item["sizeBytes"], int)
    assert isinstance(item["layerCount"], int)
    assert item["sourceImageBuild"] == "autosd"
    assert item["sourceType"] == "imagebuild"
    assert item["buildMode"] == "image"
    assert item["downloadUrl"] == item["registryUrl"]
    for moment in ("createdAt", "publishedAt", "lastVerified"):
        assert datetime.fromisoformat(item[moment]).tzinfo is not None
    assert not {"accessCount", "isMultiArch", "platformVariants", "statusReason"} & item.keys()


ASKED: dict[str, tuple[dict[str, str], list[str]]] = {
    "what can be used, and of that the newest": ({}, ["newer"]),
    "older versions too": ({"latest": "false"}, ["newer", "older"]),
    "everything (--all)": ({"phase": "all", "latest": "false"}, ["gone", "newer", "older"]),
    "by name": ({"phase": "all", "latest": "false", "sort": "name"}, ["gone", "newer", "older"]),
    "what is not there": ({"phase": "Unavailable"}, ["gone"]),
    "either name of an architecture": ({"architecture": "aarch64"}, ["newer"]),
    "nothing": ({"architecture": "amd64"}, []),
    "as older clients": ({"target": "qemu", "distro": "autosd", "namespace": NAMESPACE}, ["newer"]),
    "another namespace": ({"namespace": "elsewhere"}, []),
}


async def test_a_list_answers_what_is_asked(world: World, open_flat: Open) -> None:
    for name in ("older", "newer", "gone"):
        await publish(world, name)
    world.registry.store.delete_tag("acme/autosd", "gone")
    await world.pass_time(hours=2)
    assert world.image("gone").status.phase == "Unavailable"

    async with open_flat(world) as client:
        answers = {what: await client.get(IMAGES, params=query) for what, (query, _) in ASKED.items()}

    told = {what: [item["name"] for item in answer.json()["items"]] for what, answer in answers.items()}
    assert told == {what: names for what, (_, names) in ASKED.items()}


async def test_a_list_says_why_an_image_cannot_be_used(world: World, open_flat: Open) -> None:
    await publish(world, "gone")
    world.registry.store.delete_tag("acme/autosd", "gone")
    await world.pass_time(hours=2)

    async with open_flat(world) as client:
        (item,) = (await client.get(IMAGES, params={"phase": "all"})).json()["items"]

    assert item["statusReason"] == "ImageNotFound"
    assert item["statusMessage"]


async def test_pages_go_on_where_the_one_before_ended(world: World, open_flat: Open) -> None:
    for name in ("first", "second", "third"):
        await publish(world, name)

    async with open_flat(world) as client:
        asked = {"latest": "false", "limit": "2"}
        page = (await client.get(IMAGES, params=asked)).json()
        rest = (await client.get(IMAGES, params={**asked, "continue": page["continue"]})).json()
        other = await client.get(IMAGES, params={"continue": page["continue"]})

    assert [item["name"] for item in page["items"] + rest["items"]] == ["third", "second", "first"]
    assert page["total"] == rest["total"] == 3
    assert "continue" not in rest
    assert other.status_code == 400
    assert other.json()["error"] == "InvalidContinue"


async def test_a_parameter_that_makes_no_sense_is_named(world: World, open_flat: Open) -> None:
    senseless = {"sort": "size", "phase": "Lost", "limit": "0", "latest": "maybe", "colour": "red"}
    async with open_flat(world) as client:
        answers = {name: await client.get(IMAGES, params={name: value}) for name, value in senseless.items()}

    told = {name: (answer.status_code, answer.json()["details"]["parameter"]) for name, answer in answers.items()}
    assert told == {name: (400, name) for name in senseless}


async def test_a_list_that_did_not_change_is_not_sent_again(world: World, open_flat: Open) -> None:
    await publish(world, "autosd")

    async with open_flat(world) as client:
        first = await client.get(IMAGES)
        again = await client.get(IMAGES, headers={"If-None-Match": first.headers["ETag"]})

    assert again.status_code == 304


async def test_details_count_accesses_and_tell_the_platforms_of_an_index(world: World, open_flat: Open) -> None:
    index = SampleIndex([SampleImage(architecture=name, name=name) for name in ("arm64", "amd64")])
    world.push(index, tag="multi")
    await world.add("multi", "quay.io/acme/autosd:multi", metadata={"bootc": True}, tags=["lts"])

    async with open_flat(world) as client:
        first = await client.get(f"{IMAGES}/multi", params={"namespace": NAMESPACE})
        second = await client.get(f"{IMAGES}/multi")

    assert first.status_code == 200
    item = second.json()
    assert item["accessCount"] == first.json()["accessCount"] + 1 == 2
    assert item["isMultiArch"] is True
    assert [variant["architecture"] for variant in item["platformVariants"]] == ["arm64", "amd64"]
    assert all(isinstance(variant["sizeBytes"], int) for variant in item["platformVariants"])
    assert item["bootc"] is True
    assert item["tags"] == ["lts"]


async def test_details_of_what_is_not_there_are_404(world: World, open_flat: Open) -> None:
    async with open_flat(world) as client:
        answer = await client.get(f"{IMAGES}/absent")

    assert answer.status_code == 404
    assert answer.json()["message"] == f'catalog image "absent" not found in namespace "{NAMESPACE}"'


async def test_adding_an_image_answers_exactly_201(world: World, open_flat: Open) -> None:
    world.push("external", repository="acme/other", tag="1")
    body = {
        "name": "external",
        "registryUrl": "quay.io/acme/other:1",
        "architecture": "arm64",
        "distro": "cs9",
        "targets": [{"name": "raspberry-pi", "verified": False}],
        "tags": ["demo"],
        "bootc": False,
    }

    async with open_flat(world) as client:
        added = await client.post(IMAGES, params={"namespace": NAMESPACE}, json=body)
        again = await client.post(IMAGES, json={**body, "name": "other"})

    assert added.status_code == 201, added.text
    assert added.json()["name"] == "external"
    assert added.json()["targets"] == [{"name": "raspberry-pi", "verified": False}]
    spec = world.image("external").spec
    assert spec.metadata is not None
    assert spec.metadata.is_bootc_capable is None, "false is what the client says when its user said nothing"
    assert again.status_code == 409
    assert again.json()["details"]["name"] == "external"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        pytest.param({"name": "a", "registryUrl": "quay.io/acme/absent:1"}, 422, "ImageNotFound", id="not there"),
        pytest.param({"name": "a", "registryUrl": "absent"}, 400, "InvalidReference", id="no reference"),
        pytest.param({"registryUrl": "quay.io/acme/autosd:1"}, 400, "InvalidBody", id="no name"),
        pytest.param({"name": "A b", "registryUrl": "quay.io/acme/autosd:1"}, 400, "InvalidBody", id="impossible name"),
    ],
)
async def test_what_cannot_be_added_says_why(
    body: dict[str, Any], status: int, reason: str, world: World, open_flat: Open
) -> None:
    async with open_flat(world) as client:
        answer = await client.post(IMAGES, json=body)

    assert (answer.status_code, answer.json()["error"]) == (status, reason)


async def test_publishing_a_build_answers_exactly_201(world: World, open_flat: Open) -> None:
    world.push("image")
    world.pipeline.apply(
        world.build("nightly", metadata={"annotations": {"automotive.sdv.cloud.redhat.com/publish": "false"}})
    )

    async with open_flat(world) as client:
        first = await client.post("/v1/catalog/publish", json={"imageBuildName": "nightly", "tags": ["qa"]})
        older = {"imageBuildName": "nightly", "imageBuildNamespace": NAMESPACE, "catalogImageName": "nightly"}
        again = await client.post("/v1/catalog/publish", json=older)

    assert first.status_code == 201, first.text
    assert first.json()["sourceImageBuild"] == "nightly"
    assert first.json()["tags"] == ["qa"]
    assert again.status_code == 201, "the client takes 200 for a failure"


async def test_publishing_what_is_not_there_or_not_done_is_told(world: World, open_flat: Open) -> None:
    world.pipeline.apply(world.build("running", status={"phase": "Building"}))

    async with open_flat(world) as client:
        absent = await client.post("/v1/catalog/publish", json={"imageBuildName": "absent"})
        running = await client.post("/v1/catalog/publish", json={"imageBuildName": "running"})

    assert (absent.status_code, absent.json()["error"]) == (404, "BuildNotFound")
    assert (running.status_code, running.json()["error"]) == (400, "BuildNotCompleted")


async def test_verifying_answers_exactly_200_and_the_entry_says_what_was_found(world: World, open_flat: Open) -> None:
    await publish(world, "autosd")
    world.registry.store.delete_tag("acme/autosd", "autosd")

    async with open_flat(world) as client:
        answer = await client.post(f"{IMAGES}/autosd/verify")
        shown = await client.get(f"{IMAGES}/autosd")
        absent = await client.post(f"{IMAGES}/absent/verify")

    assert answer.status_code == 200
    assert answer.json().keys() == {"message", "triggered"}
    assert answer.json()["triggered"] is True
    assert shown.json()["phase"] == "Unavailable"
    assert absent.status_code == 404


async def test_removing_answers_204_and_then_404(world: World, open_flat: Open) -> None:
    await publish(world, "autosd")

    async with open_flat(world) as client:
        removed = await client.delete(f"{IMAGES}/autosd")
        await world.pipeline.drain()
        again = await client.delete(f"{IMAGES}/autosd")

    assert (removed.status_code, removed.content) == (204, b"")
    assert world.entry("autosd") is None
    assert again.status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("GET", IMAGES, "list"),
        ("GET", f"{IMAGES}/autosd", "get"),
        ("POST", f"{IMAGES}/autosd/verify", "update"),
        ("DELETE", f"{IMAGES}/autosd", "delete"),
    ],
    ids=["list", "get", "verify", "remove"],
)
async def test_rights_are_those_of_the_catalogs_own_form(
    method: str, path: str, verb: str, world: World, open_flat: Open
) -> None:
    async with open_flat(world) as client:
        stranger = await client.request(method, path, headers={"Authorization": "Bearer nobody"})
        token = world.pipeline.cluster.token("guest")
        guest = await client.request(method, path, headers={"Authorization": f"Bearer {token}"})

    assert stranger.status_code == 401
    assert stranger.headers["WWW-Authenticate"].startswith("Bearer")
    assert guest.status_code == 403
    assert f"{verb}" in guest.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        pytest.param("GET", IMAGES, {"colour": "red"}, id="an unknown parameter"),
        pytest.param("POST", "/v1/catalog/publish", {}, id="a body that is none"),
        pytest.param("GET", "/v1/catalog/nothing", {}, id="a path that is not there"),
        pytest.param("POST", "/api/v1alpha1/catalog/events", {}, id="the catalog's own form"),
    ],
)
async def test_a_stranger_is_told_nothing_but_that_nobody_knows_them(
    method: str, path: str, query: dict[str, str], world: World, open_flat: Open
) -> None:
    async with open_flat(world) as client:
        del client.headers["Authorization"]
        answer = await client.request(method, path, params=query)

    assert (answer.status_code, answer.json()["error"]) == (401, "Unauthenticated")


async def test_every_call_stands_in_the_openapi_document(world: World, open_flat: Open) -> None:
    async with open_flat(world) as client:
        document = (await client.get("/openapi.json")).json()

    calls = {
        (method, path.removeprefix("/v1/catalog"))
        for path, item in document["paths"].items()
        for method in item
        if path.startswith("/v1/catalog")
    }
    assert calls == {
        ("get", "/images"),
        ("post", "/images"),
        ("get", "/images/{name}"),
        ("delete", "/images/{name}"),
        ("post", "/images/{name}/verify"),
        ("post", "/publish"),
    }
    assert document["components"]["schemas"]["FlatImage"]["properties"]["sizeBytes"]["anyOf"][0]["type"] == "integer"


async def test_what_the_registry_contradicts_is_shown_by_its_word(world: World, open_flat: Open) -> None:
    both = SampleIndex((SampleImage(architecture="arm64"), SampleImage(architecture="amd64")))
    world.push(SampleImage(architecture="amd64", annotations={f"{GROUP}/target": "qemu"}), tag="one")
    world.push(both, tag="both")
    said = {"architecture": "arm64", "distro": "cs9", "targets": [{"name": "rpi4", "verified": True}]}
    await world.add("one", "quay.io/acme/autosd:one", metadata=said)
    await world.add("both", "quay.io/acme/autosd:both", metadata=said)

    async with open_flat(world) as client:
        one, multi = [(await client.get(f"{IMAGES}/{name}")).json() for name in ("one", "both")]
        found = (await client.get(IMAGES, params={"architecture": "arm64", "latest": "false"})).json()

    assert (one["architecture"], one["targets"]) == ("amd64", [{"name": "qemu", "verified": False}])
    assert (multi["architecture"], multi["isMultiArch"]) == ("arm64,amd64", True)
    assert multi["targets"] == [{"name": "rpi4", "verified": True}]
    assert [item["name"] for item in found["items"]] == ["both"]


async def test_whether_a_board_is_verified_goes_by_its_tests(world: World, open_flat: Open) -> None:
    digest = world.push().digest
    await world.add(metadata={"targets": [{"name": "rpi4", "notes": "rev 1.5"}, {"name": "qemu", "verified": True}]})
    said = {"name": "autosd", "namespace": NAMESPACE, "digest": digest}

    async with open_flat(world) as client:
        for board, result in (("rpi4", "passed"), ("qemu", "failed")):
            event = {"specversion": "1.0", "id": board, "source": "/lab", "type": EventType.TEST_REPORTED.value}
            told = await client.post(
                "/api/v1alpha1/catalog/events",
                json=event | {"data": {**said, "target": board, "result": result}},
                headers={"content-type": "application/cloudevents+json"},
            )
            assert told.json()["outcome"] == "recorded"
        targets = (await client.get(f"{IMAGES}/autosd")).json()["targets"]
        listed = (await client.get("/api/v1alpha1/catalog/images", params={"namespace": NAMESPACE})).json()["items"]

    assert targets == [
        {"name": "rpi4", "verified": True, "notes": "rev 1.5"},
        {"name": "qemu", "verified": False},
    ]
    assert [(t["name"], t["passRate"]) for t in listed[0]["status"]["targets"]] == [("rpi4", 1.0), ("qemu", 0.0)]
