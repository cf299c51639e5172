"""``PUT /images/{name}``, and what it shares with ``DELETE``."""

from __future__ import annotations

from typing import Any

import pytest

from image_catalog.models.names import ANNOTATION_DIGEST_PINNED_BY, GROUP
from image_catalog.testing.cluster import Effect
from image_catalog.testing.world import NAMESPACE

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
async def entry(catalog: Any) -> dict[str, Any]:
    """Add an image and return its object."""
    catalog.world.push()
    body = {"name": "autosd", "spec": {"registryUrl": URL, "tags": ["old"], "metadata": {"distro": "autosd"}}}
    answer = await catalog.ask("POST", "/images", {**body, "labels": {"team": "a", "stage": "test"}})
    await catalog.world.pipeline.drain()
    assert answer.status_code == 201
    stored: dict[str, Any] = catalog.world.raw("catalogimages", "autosd")
    return stored


async def edit(catalog: Any, entry: dict[str, Any], **changes: Any) -> Any:
    spec = {**entry["spec"], **changes.pop("spec", {})}
    return await catalog.ask("PUT", "/images/autosd", {"spec": spec, **changes})


async def test_the_spec_is_replaced(catalog: Any, entry: dict[str, Any]) -> None:
    body = {
        "registryUrl": URL,
        "digest": entry["spec"]["digest"],
        "metadata": {"distro": "cs9"},
        "driftPolicy": "follow",
    }
    answer = await catalog.ask("PUT", "/images/autosd", {"spec": body})
    assert answer.status_code == 200
    said = answer.json()
    assert said["spec"]["metadata"]["distro"] == "cs9"
    assert said["spec"]["driftPolicy"] == "follow"
    assert not said["spec"].get("tags")
    assert said["metadata"]["labels"]["team"] == "a", "labels that are not said stay"
    (step,) = said["steps"]
    assert step.pop("milliseconds") >= 0
    assert step == {"name": "Catalog image", "status": "ok", "message": "team-a/autosd updated"}
    assert catalog.services.index.get(NAMESPACE, "autosd").object["spec"] == said["spec"]


async def test_what_was_read_can_be_written_back(catalog: Any, entry: dict[str, Any]) -> None:
    metadata = entry["metadata"]
    answer = await edit(catalog, entry, labels=metadata["labels"], resourceVersion=metadata["resourceVersion"])
    assert answer.status_code == 200
    assert answer.json()["metadata"]["resourceVersion"] == metadata["resourceVersion"]


async def test_a_stale_version_is_a_conflict(catalog: Any, entry: dict[str, Any]) -> None:
    stale = entry["metadata"]["resourceVersion"]
    await edit(catalog, entry, spec={"tags": ["first"]}, resourceVersion=stale)
    answer = await edit(catalog, entry, spec={"tags": ["second"]}, resourceVersion=stale)
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (409, "Conflict")
    now = catalog.world.raw("catalogimages", "autosd")["metadata"]["resourceVersion"]
    assert problem["details"]["resourceVersion"] == now
    assert catalog.world.image().spec.tags == ["first"]


async def test_a_writer_that_comes_between_is_a_conflict_for_who_named_a_version(
    catalog: Any, entry: dict[str, Any]
) -> None:
    async def meddle() -> None:
        catalog.world.edit(spec={"tags": ["theirs"]})

    catalog.world.pipeline.cluster.before(meddle, verb="patch", resource="catalogimages", actor="api")
    version = entry["metadata"]["resourceVersion"]
    answer = await edit(catalog, entry, spec={"tags": ["mine"]}, resourceVersion=version)
    assert answer.status_code == 409
    assert catalog.world.image().spec.tags == ["theirs"]


async def test_without_a_version_the_last_writer_wins(catalog: Any, entry: dict[str, Any]) -> None:
    catalog.world.pipeline.cluster.fail(Effect.CONFLICT, verb="patch", resource="catalogimages", actor="api")
    answer = await edit(catalog, entry, spec={"tags": ["mine"]})
    assert answer.status_code == 200
    assert catalog.world.image().spec.tags == ["mine"]


async def test_labels_are_replaced_but_for_those_that_the_catalog_keeps(catalog: Any, entry: dict[str, Any]) -> None:
    kept = {key: value for key, value in entry["metadata"]["labels"].items() if GROUP in key}
    answer = await edit(catalog, entry, labels={"team": "b"})
    assert answer.json()["metadata"]["labels"] == {"team": "b", **kept}


async def test_a_label_that_the_catalog_keeps_cannot_be_changed(catalog: Any, entry: dict[str, Any]) -> None:
    answer = await edit(catalog, entry, labels={f"{GROUP}/distro": "mine", "team": "b"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidBody")
    assert [v["path"] for v in answer.json()["details"]["violations"]] == [f"labels.{GROUP}/distro"]
    assert catalog.world.raw("catalogimages", "autosd")["metadata"]["labels"]["team"] == "a"


async def test_a_pin_that_a_person_types_is_the_persons(catalog: Any, entry: dict[str, Any]) -> None:
    assert entry["metadata"]["annotations"][ANNOTATION_DIGEST_PINNED_BY] == "publish"
    answer = await edit(catalog, entry, spec={"digest": DIGEST})
    assert ANNOTATION_DIGEST_PINNED_BY not in answer.json()["metadata"]["annotations"]


async def test_what_the_api_server_refuses_is_a_mistake_with_its_fields(catalog: Any, entry: dict[str, Any]) -> None:
    answer = await edit(catalog, entry, spec={"registryUrl": f"quay.io/acme/autosd@{DIGEST}"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "Invalid")
    assert answer.json()["details"]["violations"][0]["path"].startswith("spec")


async def test_a_reference_that_does_not_parse_is_refused(catalog: Any, entry: dict[str, Any]) -> None:
    answer = await edit(catalog, entry, spec={"registryUrl": "autosd"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidReference")


async def test_an_unknown_field_is_refused(catalog: Any, entry: dict[str, Any]) -> None:
    answer = await edit(catalog, entry, status={})
    assert [v["path"] for v in answer.json()["details"]["violations"]] == ["status"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_what_is_not_there_is_not_found(catalog: Any, method: str) -> None:
    body = {"spec": {"registryUrl": URL}} if method == "PUT" else None
    answer = await catalog.ask(method, "/images/nothing", body)
    assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")
    assert answer.json()["detail"] == 'catalog image "nothing" not found in namespace "team-a"'


@pytest.mark.parametrize(("method", "verb"), [("PUT", "update"), ("DELETE", "delete")])
async def test_rights_are_asked_for_by_verb(catalog: Any, method: str, verb: str) -> None:
    body = {"spec": {"registryUrl": URL}} if method == "PUT" else None
    catalog.grant("reader", ("get", "catalogimages"))
    answer = await catalog.ask(method, "/images/autosd", body, headers=catalog.token("reader"))
    assert (answer.status_code, answer.json()["details"]["verb"]) == (403, verb)


async def test_a_name_that_cannot_be_is_refused(catalog: Any) -> None:
    answer = await catalog.ask("DELETE", "/images/Not_A_Name")
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidName")


async def test_an_api_server_that_does_not_answer_is_told(catalog: Any, entry: dict[str, Any]) -> None:
    catalog.world.pipeline.cluster.fail(Effect.UNAVAILABLE, verb="get", resource="catalogimages", actor="api")
    answer = await edit(catalog, entry)
    assert (answer.status_code, answer.json()["reason"]) == (503, "ClusterUnavailable")
    assert "retry-after" in answer.headers
