"""Reads of one entry: details, history; and the builds that can be published."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from image_catalog.models.names import ANNOTATION_PUBLISH
from image_catalog.testing.catalog_samples import sample_image
from image_catalog_functions.api.services import Services

ONE = sample_image(7, namespaces=("default",))
NAME = "one"
shared = pytest.mark.asyncio(loop_scope="module")
"""Of tests that change nothing, and so ask one API."""


def put(services: Services, **status: Any) -> None:
    metadata = {**ONE["metadata"], "name": NAME, "uid": "u1", "resourceVersion": "500000"}
    services.index.put({**ONE, "metadata": metadata, "status": {**ONE["status"], **status}})


async def test_details_count_an_access_also_when_the_client_has_them(
    client: httpx.AsyncClient, services: Services
) -> None:
    put(services, accessCount=4)
    first = await client.get(f"images/{NAME}")
    assert first.json()["status"]["accessCount"] == 5
    again = await client.get(f"images/{NAME}", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    head = await client.head(f"images/{NAME}")
    assert (head.status_code, head.content) == (200, b"")
    assert (await client.get(f"images/{NAME}")).json()["status"]["accessCount"] == 7


@shared
@pytest.mark.parametrize("path", ["images/nix", "images/nix/artifacts", "images/nix/history"])
async def test_absent_entry_is_a_problem_that_names_it(reader: httpx.AsyncClient, path: str) -> None:
    answer = await reader.get(path, params={"namespace": "team-a"})
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (404, "NotFound")
    assert problem["detail"] == 'catalog image "nix" not found in namespace "team-a"'
    assert problem["details"] == {"name": "nix", "namespace": "team-a"}


@shared
@pytest.mark.parametrize("name", ["UPPER", "a_b", "-a", "a" * 254, "a..b", "%C3%BC", "a%00b"])
async def test_name_that_no_entry_can_have_is_refused(reader: httpx.AsyncClient, name: str) -> None:
    answer = await reader.get(f"images/{name}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidName")


async def test_history_begins_with_the_current_version_and_goes_on_in_pages(
    client: httpx.AsyncClient, services: Services
) -> None:
    earlier = [
        {"digest": f"sha256:{number:064}", "supersededAt": f"2026-01-{20 - number:02}T00:00:00Z"}
        for number in range(10)
    ]
    put(services, history=earlier)
    seen: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = (await client.get(f"images/{NAME}/history", params={"limit": 4, **token})).json()
        seen += page["items"]
        assert page["metadata"]["remainingItemCount"] == 11 - len(seen)
        if not page["metadata"]["continue"]:
            break
        token = {"continue": page["metadata"]["continue"]}
    assert [version["current"] for version in seen] == [True] + [False] * 10
    assert [version["digest"] for version in seen[1:]] == [version["digest"] for version in earlier]
    assert seen[0]["sourceImageBuild"] == ONE["status"]["sourceImageBuild"]


async def test_builds_are_those_that_can_be_published_with_their_entries(
    client: httpx.AsyncClient, services: Services
) -> None:
    for number, phase in enumerate(("Completed", "Building", "Completed")):
        name = f"build-{number}"
        services.builds.put(
            {
                "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
                "kind": "ImageBuild",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"architecture": "arm64", "export": {"container": f"quay.io/a/b:{number}"}},
                "status": {"phase": phase, "completionTime": f"2026-01-0{number + 1}T00:00:00Z"},
            }
        )
    put(services, sourceImageBuild={"name": "build-0", "namespace": "default", "uid": "x"}, phase="Available")
    answer = (await client.get("builds")).json()
    assert [build["name"] for build in answer["items"]] == ["build-2", "build-0"]
    assert [build["entry"] for build in answer["items"]] == [
        None,
        {"name": NAME, "namespace": "default", "phase": "Available"},
    ]
    assert [build["unpublished"] for build in answer["items"]] == [None, None]
    first = (await client.get("builds", params={"limit": 1})).json()
    rest = (await client.get("builds", params={"limit": 1, "continue": first["metadata"]["continue"]})).json()
    assert [first["items"][0]["name"], rest["items"][0]["name"]] == ["build-2", "build-0"]
    assert rest["metadata"]["continue"] == ""


async def test_a_build_that_is_not_published_says_why_where_that_can_be_seen(
    client: httpx.AsyncClient, services: Services
) -> None:
    reference = ONE["spec"]["registryUrl"]
    times = {"older": "2026-01-01T00:00:00Z", "newer": "2026-01-03T00:00:00Z", "kept": "2026-01-04T00:00:00Z"}
    for name, completed in times.items():
        annotations = {ANNOTATION_PUBLISH: "false"} if name == "kept" else {}
        services.builds.put(
            {
                "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
                "kind": "ImageBuild",
                "metadata": {"name": name, "namespace": "default", "annotations": annotations},
                "spec": {"architecture": "arm64", "export": {"container": reference}},
                "status": {"phase": "Completed", "completionTime": completed},
            }
        )
    services.index.remove("default", ONE["metadata"]["name"])
    source = {"name": "other", "namespace": "default", "uid": "x", "completionTime": "2026-01-02T00:00:00Z"}
    put(services, sourceImageBuild=source)
    told = {build["name"]: build["unpublished"] for build in (await client.get("builds")).json()["items"]}
    assert told["older"] == {
        "reason": "OlderThanCurrent",
        "message": "the entry default/one has a version of 2026-01-02T00:00:00Z",
    }
    assert told["newer"] is None
    assert told["kept"]["reason"] == "OptedOut"
