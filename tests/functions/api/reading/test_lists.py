"""``GET /images``: every filter, order and page of design, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from image_catalog.models import normalise_architecture
from image_catalog.models.names import LABEL_SCHEDULE
from image_catalog.testing.catalog_samples import sample_images
from image_catalog.testing.clock import StillClock
from image_catalog_functions.api.services import Services

pytestmark = pytest.mark.story

Image = dict[str, Any]

IMAGES = list(sample_images(120, namespaces=("default", "team-a")))
ONE = IMAGES[7]
SCHEDULE = next(filter(None, (image["metadata"]["labels"].get(LABEL_SCHEDULE) for image in IMAGES)))
EVERYWHERE = {"allNamespaces": "true", "limit": "500"}
shared = pytest.mark.asyncio(loop_scope="module")
"""Of tests that change nothing, and so ask one API."""


def said(image: Image) -> dict[str, Any]:
    found: dict[str, Any] = image["spec"]["metadata"]
    return found


def names(images: list[Image]) -> list[str]:
    return [image["metadata"]["name"] for image in images]


async def listed(client: httpx.AsyncClient, **parameters: str) -> dict[str, Any]:
    answer = await client.get("images", params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@shared
@pytest.mark.parametrize(
    ("parameter", "value", "matches"),
    [
        pytest.param("architecture", "aarch64", lambda i: normalise_architecture(said(i)["architecture"]) == "arm64"),
        pytest.param("architecture", "amd64", lambda i: normalise_architecture(said(i)["architecture"]) == "amd64"),
        pytest.param("distro", "cs9", lambda i: said(i)["distro"] == "cs9"),
        pytest.param("distroVersion", said(ONE)["distroVersion"], None),
        pytest.param("target", "qemu", lambda i: "qemu" in [t["name"] for t in said(i)["targets"]]),
        pytest.param("phase", "Available", lambda i: i["status"]["phase"] == "Available"),
        pytest.param("tags", "lts,qualified", lambda i: {"lts", "qualified"} <= set(i["spec"]["tags"])),
        pytest.param("bootcCapable", "true", lambda i: said(i)["bootcCapable"] is True),
        pytest.param("bootcCapable", "false", lambda i: said(i)["bootcCapable"] is False),
        pytest.param("buildMode", "package", lambda i: said(i)["buildMode"] == "package"),
        pytest.param("digest", ONE["spec"]["digest"], lambda i: i["spec"]["digest"] == ONE["spec"]["digest"]),
        pytest.param("registryUrl", ONE["spec"]["registryUrl"], lambda i: i is ONE),
        pytest.param("kernelVersion", said(ONE)["kernelVersion"], None),
        pytest.param("sourceImageBuild", ONE["status"]["sourceImageBuild"]["name"], lambda i: i is ONE),
        pytest.param("schedule", SCHEDULE, lambda i: i["metadata"]["labels"].get(LABEL_SCHEDULE) == SCHEDULE),
        pytest.param(
            "q",
            ONE["metadata"]["name"].upper(),
            lambda i: ONE["metadata"]["name"] in i["metadata"]["name"],
            id="q: name",
        ),
        pytest.param("q", "Quay.IO", lambda i: "quay.io" in i["spec"]["registryUrl"], id="q: reference"),
        pytest.param("q", "qualif", lambda i: "qualified" in i["spec"]["tags"], id="q: tag"),
    ],
)
async def test_filter_leaves_what_it_says(
    reader: httpx.AsyncClient, parameter: str, value: str, matches: Callable[[Image], bool] | None
) -> None:
    wanted = matches or (lambda image: said(image)[parameter] == value)
    expected = {image["metadata"]["name"] for image in IMAGES if wanted(image)}
    assert expected
    found = await listed(reader, **EVERYWHERE, **{parameter: value})
    assert set(names(found["items"])) == expected


async def test_namespace_is_the_configured_one_until_somebody_says_otherwise(client: httpx.AsyncClient) -> None:
    by_default = await listed(client, limit="500")
    assert {image["metadata"]["namespace"] for image in by_default["items"]} == {"default"}
    other = await listed(client, limit="500", namespace="team-a")
    assert {image["metadata"]["namespace"] for image in other["items"]} == {"team-a"}
    everywhere = await listed(client, **EVERYWHERE)
    assert len(everywhere["items"]) == len(by_default["items"]) + len(other["items"]) == len(IMAGES)


@shared
@pytest.mark.parametrize(
    ("sort", "key", "descends"),
    [
        pytest.param("published", lambda i: i["status"]["publishedAt"], True),
        pytest.param("name", lambda i: i["metadata"]["name"], False),
        pytest.param("size", lambda i: i["status"]["registryMetadata"]["sizeBytes"], True),
        pytest.param("verified", lambda i: i["status"]["lastVerificationTime"], True),
    ],
)
async def test_sorts_and_turns_round(
    reader: httpx.AsyncClient, *, sort: str, key: Callable[[Image], Any], descends: bool
) -> None:
    for order, reverse in (({}, descends), ({"order": "asc"}, False), ({"order": "desc"}, True)):
        found = (await listed(reader, **EVERYWHERE, sort=sort, phase="Available", **order))["items"]
        keys = [key(image) for image in found]
        assert keys == sorted(keys, reverse=reverse)


async def test_latest_leaves_no_two_of_one_board_distro_and_architecture(client: httpx.AsyncClient) -> None:
    newest = (await listed(client, **EVERYWHERE, latest="true", target="qemu", distro="cs9"))["items"]
    every = (await listed(client, **EVERYWHERE, target="qemu", distro="cs9"))["items"]
    assert 0 < len(newest) <= len(every)
    assert newest[0]["metadata"]["name"] == every[0]["metadata"]["name"]


async def test_object_is_as_it_is_stored_without_managed_fields(client: httpx.AsyncClient) -> None:
    (found,) = (await listed(client, **EVERYWHERE, digest=ONE["spec"]["digest"]))["items"]
    metadata = {key: value for key, value in ONE["metadata"].items() if key != "managedFields"}
    assert found == {**ONE, "metadata": metadata}


async def test_pages_make_up_the_whole_though_entries_come_and_go(
    client: httpx.AsyncClient, services: Services
) -> None:
    whole = names((await listed(client, **EVERYWHERE))["items"])
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = await listed(client, allNamespaces="true", limit="17", **token)
        seen += names(page["items"])
        assert page["metadata"]["remainingItemCount"] == len(whole) - len(seen) or not token
        if not page["metadata"]["continue"]:
            break
        if not token:
            # The entry that the page ended with goes: nothing after it may be skipped.
            last = page["items"][-1]["metadata"]
            services.index.remove(last["namespace"], last["name"])
            whole_without = whole
        token = {"continue": page["metadata"]["continue"]}
    assert seen == whole_without


@shared
@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"distro": "cs9"}, id="another filter"),
        pytest.param({"sort": "name"}, id="another order"),
        pytest.param({"namespace": "team-a"}, id="another namespace"),
    ],
)
async def test_token_of_another_query_is_refused(reader: httpx.AsyncClient, other: dict[str, str]) -> None:
    token = (await listed(reader, limit="5"))["metadata"]["continue"]
    assert (await listed(reader, limit="7", **{"continue": token}))["items"]
    answer = await reader.get("images", params={"limit": "5", "continue": token, **other})
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidContinue")
    assert answer.json()["details"]["parameter"] == "continue"


@shared
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda token: token[:-2], id="cut"),
        pytest.param(lambda token: token[:20] + ("A" if token[20] != "A" else "B") + token[21:], id="changed"),
        pytest.param(lambda token: token + "!", id="longer"),
        pytest.param(lambda _: "e30", id="forged"),
        pytest.param(lambda _: "ünïcode", id="not ASCII"),
    ],
)
async def test_damaged_token_is_refused(reader: httpx.AsyncClient, damage: Callable[[str], str]) -> None:
    token = (await listed(reader, limit="5"))["metadata"]["continue"]
    answer = await reader.get("images", params={"limit": "5", "continue": damage(token)})
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidContinue")


async def test_token_is_good_for_a_day(client: httpx.AsyncClient, clock: StillClock) -> None:
    token = (await listed(client, limit="5"))["metadata"]["continue"]
    clock.advance(hours=23.9)
    assert (await listed(client, limit="5", **{"continue": token}))["items"]
    clock.advance(hours=1)
    answer = await client.get("images", params={"limit": "5", "continue": token})
    assert (answer.status_code, answer.json()["reason"]) == (410, "ContinueExpired")


@shared
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        pytest.param("colour=red", "colour", id="unknown"),
        pytest.param("Distro=cs9", "Distro", id="wrong case"),
        pytest.param("distro_version=9", "distro_version", id="not camelCase"),
        pytest.param("distro=cs9&distro=cs10", "distro", id="twice"),
        pytest.param("limit=0", "limit", id="limit too small"),
        pytest.param("limit=501", "limit", id="limit too large"),
        pytest.param("limit=+5", "limit", id="limit with a sign"),
        pytest.param("limit=%D9%A5", "limit", id="digits of another script"),
        pytest.param("limit=99999999999999999999", "limit", id="limit beyond every integer"),
        pytest.param("phase=available", "phase", id="phase in lower case"),
        pytest.param("architecture=m68k", "architecture", id="architecture"),
        pytest.param("bootcCapable=1", "bootcCapable", id="no boolean"),
        pytest.param("sort=colour", "sort", id="sort"),
        pytest.param("order=up", "order", id="order"),
        pytest.param("digest=sha256:abc", "digest", id="digest"),
        pytest.param("registryUrl=fedora", "registryUrl", id="reference without a host"),
        pytest.param("namespace=Team_A", "namespace", id="namespace"),
        pytest.param("tags=a,,b", "tags", id="empty tag"),
        pytest.param("q=", "q", id="empty"),
        pytest.param("q=a%00b", "q", id="control character"),
        pytest.param("tags=a,%20,b", "tags", id="blank tag"),
        pytest.param("sourceImageBuild=a/b/c", "sourceImageBuild", id="build"),
    ],
)
async def test_impossible_parameter_is_named_with_what_is_allowed(
    reader: httpx.AsyncClient, query: str, parameter: str
) -> None:
    answer = await reader.get(f"images?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["reason"] == problem["error"] == "InvalidParameter"
    assert problem["detail"] == problem["message"]
    assert parameter in problem["detail"]
    assert problem["details"]["parameter"] == parameter
    assert problem["details"]["allowed"]


@shared
@pytest.mark.parametrize("query", ["%ff=1", "distro=%c3%28", "a&b", "q=" + "x" * 9000, "&".join(["q=1"] * 100)])
async def test_query_that_cannot_be_read_is_refused(reader: httpx.AsyncClient, query: str) -> None:
    answer = await reader.get(f"images?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidParameter")


async def test_client_that_has_the_page_is_told_so_until_an_entry_of_it_changes(
    client: httpx.AsyncClient, services: Services
) -> None:
    first = await client.get("images")
    known = {"If-None-Match": first.headers["etag"]}
    again = await client.get("images", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    shown = first.json()["items"][0]["metadata"]
    services.index.count_access(shown["namespace"], shown["name"])
    assert (await client.get("images", headers=known)).status_code == 304
    changed = next(image for image in IMAGES if image["metadata"]["name"] == shown["name"])
    services.index.put({**changed, "metadata": {**changed["metadata"], "resourceVersion": "900000"}})
    assert (await client.get("images", headers=known)).status_code == 200


async def test_repeated_list_shows_every_change_at_once(client: httpx.AsyncClient, services: Services) -> None:
    for number in range(5):
        await client.get("images", params={"q": "brand-new"})
        found = await listed(client, q="brand-new")
        assert len(found["items"]) == number
        image = IMAGES[number]
        metadata = {
            **image["metadata"],
            "name": f"brand-new-{number}",
            "uid": f"u{number}",
            "namespace": "default",
            "resourceVersion": str(800_000 + number),
        }
        services.index.put({**image, "metadata": metadata})


async def test_body_is_compressed_for_who_takes_it(client: httpx.AsyncClient) -> None:
    plain = await client.get("images", headers={"Accept-Encoding": "identity"})
    packed = await client.get("images", headers={"Accept-Encoding": "gzip"})
    refused = await client.get("images", headers={"Accept-Encoding": "gzip;q=0, *;q=0"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 3
    assert packed.json() == plain.json()
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers


async def test_repeated_list_shows_every_access_at_once(client: httpx.AsyncClient) -> None:
    page = await listed(client, limit="3")
    first, _, last = [image["metadata"]["name"] for image in page["items"]]

    for name in (first, last, "nobody", first):
        # Twice asked for, an answer is kept: an access of what it does not show leaves it alone, any other does not.
        before = [image["status"]["accessCount"] for image in (await listed(client, limit="3"))["items"]]
        await client.get(f"images/{name}")
        after = [image["status"]["accessCount"] for image in (await listed(client, limit="3"))["items"]]
        assert [b - a for a, b in zip(before, after, strict=True)] == [name == first, False, name == last]


async def test_tags_may_be_apart_from_their_commas(client: httpx.AsyncClient) -> None:
    assert names((await listed(client, tags=" lts , qualified "))["items"]) == names(
        (await listed(client, tags="lts,qualified"))["items"]
    )
