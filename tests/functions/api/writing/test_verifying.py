"""``POST /images/{name}/verify`` and ``POST /verify``."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from image_catalog.testing.world import NAMESPACE

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


async def test_an_entry_is_checked_now(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    answer = await catalog.ask("POST", "/images/autosd/verify", params={"deep": "true"})
    assert answer.status_code == 200
    said = answer.json()
    assert (said["triggered"], said["phase"], said["reason"]) == (True, "Available", "RegistryAccessible")
    assert (said["resolvedDigest"], said["registryUrl"]) == (sample.digest, URL)
    assert said["sizeBytes"] > 0
    assert said["layerCount"] > 0
    assert said["lastVerified"].endswith("Z")
    assert [step["name"] for step in said["steps"]][:2] == ["Credentials", "Registry accessibility"]


async def test_a_registry_that_says_no_is_the_answer_and_no_problem(catalog: Any) -> None:
    await catalog.world.add()
    answer = await catalog.ask("POST", "/images/autosd/verify")
    assert answer.status_code == 200
    assert (answer.json()["phase"], answer.json()["reason"]) == ("Unavailable", "ImageNotFound")
    assert answer.json()["steps"][-1]["status"] == "failed"
    assert catalog.services.index.get(NAMESPACE, "autosd").object["status"]["phase"] == "Unavailable"


@pytest.mark.parametrize("found", ["ok", "failed"])
async def test_an_answer_that_was_lost_comes_again_with_what_was_found(catalog: Any, found: str) -> None:
    if found == "ok":
        catalog.world.push()
    await catalog.world.add()
    catalog.calls.after = [httpx.ReadError("the connection was reset")]
    answer = await catalog.ask("POST", "/images/autosd/verify")
    assert (answer.status_code, len(catalog.calls.requests)) == (200, 2)
    assert [(step["name"], step["status"]) for step in answer.json()["steps"]] == [("Registry accessibility", found)]


async def test_an_entry_that_is_not_there_is_not_found(catalog: Any) -> None:
    answer = await catalog.ask("POST", "/images/nothing/verify")
    assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")


async def test_an_entry_that_is_being_removed_is_not_checked(catalog: Any) -> None:
    catalog.world.push()
    await catalog.world.add()
    await catalog.ask("DELETE", "/images/autosd")
    answer = await catalog.ask("POST", "/images/autosd/verify")
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")


async def test_checking_needs_the_right_to_update(catalog: Any) -> None:
    catalog.grant("reader", ("get", "catalogimages"))
    answer = await catalog.ask("POST", "/images/autosd/verify", headers=catalog.token("reader"))
    assert (answer.status_code, answer.json()["details"]["verb"]) == (403, "update")


async def explain(catalog: Any, **options: Any) -> Any:
    headers = options.pop("headers", None)
    path = "/verify" + options.pop("query", "?namespace=team-a")
    return await catalog.ask("POST", path, {"registryUrl": URL, **options}, headers=headers)


async def test_a_reference_is_explained_and_nothing_is_written(catalog: Any) -> None:
    sample = catalog.world.push()
    answer = await explain(catalog, deep=True)
    assert answer.status_code == 200
    said = answer.json()
    assert (said["phase"], said["resolvedDigest"]) == ("Available", sample.digest)
    assert catalog.world.all("catalogimages") == []


async def test_a_reference_that_cannot_be_reached_is_explained_too(catalog: Any) -> None:
    answer = await explain(catalog)
    assert (answer.status_code, answer.json()["reason"]) == (200, "ImageNotFound")
    assert answer.json()["steps"][-1]["status"] == "failed"


async def test_a_reference_that_does_not_parse_is_a_mistake(catalog: Any) -> None:
    answer = await explain(catalog, registryUrl="autosd")
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidReference")


async def test_a_secret_is_used_where_its_namespace_lets_the_caller_create(catalog: Any) -> None:
    secret = {"name": "pull", "namespace": "team-b"}
    for query, namespace in (("", "team-b"), ("?namespace=team-a", "team-b")):
        answer = await explain(catalog, authSecretRef=secret, query=query)
        assert (answer.status_code, answer.json()["details"]["namespace"]) == (403, namespace)
    assert catalog.calls.requests == []
    answer = await explain(catalog, authSecretRef={**secret, "namespace": NAMESPACE}, query="")
    assert (answer.status_code, answer.json()["reason"]) == (200, "SecretForbidden")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param({}, "registryUrl", id="no reference"),
        pytest.param({"registryUrl": URL, "deep": "maybe"}, "deep", id="no truth"),
        pytest.param({"registryUrl": URL, "name": "a"}, "name", id="unknown"),
    ],
)
async def test_what_breaks_the_schema_is_named(catalog: Any, body: dict[str, Any], path: str) -> None:
    answer = await catalog.ask("POST", "/verify", body)
    assert path in [violation["path"] for violation in answer.json()["details"]["violations"]]
