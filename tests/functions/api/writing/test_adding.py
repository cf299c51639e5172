"""``POST /images``: a registry is really asked, and an entry really appears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from image_catalog.models.names import GROUP
from image_catalog.testing.cluster_faults import Effect
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.registry import BearerAuth
from image_catalog.testing.registry_faults import rate_limited
from image_catalog.testing.world import NAMESPACE, World, running_world

URL = "quay.io/acme/autosd:cs9"
DIGEST = f"sha256:{'0' * 64}"


def new(name: str = "autosd", **spec: Any) -> dict[str, Any]:
    return {"name": name, "spec": {"registryUrl": URL, **spec}}


async def test_an_image_is_added_and_answered_with_its_steps(catalog: Any) -> None:
    sample = catalog.world.push()
    body = new(
        tags=["nightly"],
        metadata={"distro": "autosd", "targets": [{"name": "rpi4", "verified": True}]},
        verificationInterval="30m",
        verifyBlobs=True,
        driftPolicy="quarantine",
    )
    answer = await catalog.ask("POST", "/images", {**body, "labels": {"team": "infotainment"}})
    assert answer.status_code == 201
    said = answer.json()
    assert (said["kind"], said["metadata"]["name"], said["metadata"]["namespace"]) == (
        "CatalogImage",
        "autosd",
        NAMESPACE,
    )
    assert (said["status"]["phase"], said["spec"]["digest"]) == ("Available", sample.digest)
    assert said["spec"]["driftPolicy"] == "quarantine"
    assert (said["spec"]["verificationInterval"], said["spec"]["verifyBlobs"]) == ("30m", True)
    assert said["metadata"]["labels"]["team"] == "infotainment"
    assert "managedFields" not in said["metadata"]
    assert [step["name"] for step in said["steps"]][-1] == "Catalog image"
    assert {step["status"] for step in said["steps"]} <= {"ok", "skipped"}
    assert catalog.world.image().spec.tags == ["nightly"]


async def test_who_added_it_is_told_by_the_token_alone(catalog: Any) -> None:
    catalog.world.push()
    await catalog.ask("POST", "/images", new())
    (published,) = catalog.world.data("image.published")
    assert published["actor"] == "system:serviceaccount:image-catalog:person"


async def test_the_writer_reads_its_own_write_at_once(catalog: Any) -> None:
    catalog.world.push()
    await catalog.ask("POST", "/images", new())
    entry = catalog.services.index.get(NAMESPACE, "autosd")
    assert entry.object["status"]["phase"] == "Available"


async def test_a_default_of_ours_does_not_win_over_what_the_registry_says(catalog: Any) -> None:
    catalog.world.push()
    await catalog.ask("POST", "/images", new(metadata={"distro": "autosd"}))
    sent = catalog.calls.requests[0].content.decode()
    assert '"metadata":{"distro":"autosd"}' in sent
    assert "verificationInterval" not in sent


async def test_the_same_image_again_is_a_conflict_that_names_the_entry(catalog: Any) -> None:
    catalog.world.push()
    await catalog.ask("POST", "/images", new("first"))
    answer = await catalog.ask("POST", "/images", new("second"))
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (409, "AlreadyExists")
    assert (problem["details"]["name"], problem["details"]["namespace"]) == ("first", NAMESPACE)
    assert problem["details"]["steps"][-1]["status"] == "failed"


async def test_a_name_that_another_image_has_is_a_conflict(catalog: Any) -> None:
    catalog.world.push()
    catalog.world.push(tag="cs10")
    await catalog.ask("POST", "/images", new())
    answer = await catalog.ask("POST", "/images", new(registryUrl="quay.io/acme/autosd:cs10"))
    assert (answer.status_code, answer.json()["reason"]) == (409, "NameTaken")
    assert answer.json()["details"]["name"] == "autosd"


async def test_an_image_that_is_not_there_is_refused_with_the_registrys_reason(catalog: Any) -> None:
    answer = await catalog.ask("POST", "/images", new())
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (422, "ImageNotFound")
    assert problem["error"] == problem["reason"]
    assert problem["message"] == problem["detail"]
    assert problem["details"]["steps"][-1]["status"] == "failed"
    assert catalog.world.entry() is None


async def test_without_the_question_it_is_added_unseen(catalog: Any) -> None:
    answer = await catalog.ask("POST", "/images", new(), params={"verify": "false"})
    assert answer.status_code == 201
    assert list(catalog.world.registry.requests) == []
    assert ("Registry accessibility", "skipped") in [(s["name"], s["status"]) for s in answer.json()["steps"]]


class TestPrivateRegistry:
    @pytest.fixture
    async def world(self, tmp_path: Path, functions: tuple[PipelineFunction, ...]) -> AsyncIterator[World]:
        async with running_world(functions, tmp_path, auth=BearerAuth()) as world:
            world.push()
            world.allow_secrets()
            world.registry.restrict("acme", reader := world.registry.account("reader"))
            world.add_secret("pull", reader)
            yield world

    async def test_a_private_image_is_asked_for_with_the_named_secret(self, catalog: Any) -> None:
        answer = await catalog.ask("POST", "/images", new(authSecretRef={"name": "pull"}))
        assert answer.status_code == 201
        assert answer.json()["spec"]["authSecretRef"] == {"name": "pull"}
        calls = catalog.world.pipeline.cluster.calls
        assert not [call for call in calls if call.actor == "api" and call.resource == "secrets"]

    async def test_without_it_the_registrys_no_is_the_answer(self, catalog: Any) -> None:
        answer = await catalog.ask("POST", "/images", new())
        assert (answer.status_code, answer.json()["reason"]) == (422, "AuthenticationFailed")


async def test_a_secret_that_is_not_there_is_the_reason(catalog: Any) -> None:
    catalog.world.push()
    catalog.world.allow_secrets()
    answer = await catalog.ask("POST", "/images", new(authSecretRef={"name": "none"}))
    assert (answer.status_code, answer.json()["reason"]) == (422, "SecretNotFound")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param({"spec": {"registryUrl": URL}}, "name", id="no name"),
        pytest.param({"name": "a"}, "spec", id="no spec"),
        pytest.param({"name": "a", "spec": {}}, "spec.registryUrl", id="no reference"),
        pytest.param({"name": "Not_A_Name", "spec": {"registryUrl": URL}}, "name", id="no name of Kubernetes"),
        pytest.param({"name": "a", "spec": {"registryUrl": URL, "digset": DIGEST}}, "spec.digset", id="misspelt field"),
        pytest.param(new(metadata={"targets": [{"nmae": "x"}]}), "spec.metadata.targets[0].nmae", id="misspelt deep"),
        pytest.param(new(metadata={"architecture": "sparc"}), "spec.metadata.architecture", id="impossible value"),
        pytest.param(new(digest="sha256:1"), "spec.digest", id="no digest"),
        pytest.param(new(authSecretRef={"name": "A B"}), "spec.authSecretRef.name", id="no name of a Secret"),
        pytest.param(new(verificationInterval="often"), "spec.verificationInterval", id="no duration"),
        pytest.param({**new(), "labels": {"a": 1}}, "labels.a", id="no label"),
    ],
)
async def test_what_breaks_the_schema_is_named_by_its_path(catalog: Any, body: dict[str, Any], path: str) -> None:
    answer = await catalog.ask("POST", "/images", body)
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidBody")
    assert path in [violation["path"] for violation in answer.json()["details"]["violations"]]
    assert catalog.calls.requests == []


@pytest.mark.parametrize("url", ["autosd", "https://quay.io/a", "quay.io/A/b", "quay.io/a:b:c"])
async def test_a_reference_that_does_not_parse_is_refused_before_anybody_is_asked(catalog: Any, url: str) -> None:
    answer = await catalog.ask("POST", "/images", new(registryUrl=url))
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidReference")
    assert answer.json()["details"]["violations"][0]["path"] == "spec.registryUrl"
    assert catalog.calls.requests == []


async def test_labels_that_the_catalog_keeps_are_refused(catalog: Any) -> None:
    catalog.world.push()
    answer = await catalog.ask("POST", "/images", {**new(), "labels": {f"{GROUP}/distro": "mine"}})
    assert (answer.status_code, answer.json()["reason"]) == (400, "Invalid")
    assert f"{GROUP}/distro" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "content_type", "status", "reason"),
    [
        pytest.param(b"{", "application/json", 400, "InvalidBody", id="not JSON"),
        pytest.param(b"[" * 100 + b"]" * 100, "application/json", 400, "InvalidBody", id="too deep"),
        pytest.param(b'"' + b"x" * 1024 * 1024 + b'"', "application/json", 413, "BodyTooLarge", id="too large"),
        pytest.param(b"a=b", "application/x-www-form-urlencoded", 415, "UnsupportedMediaType", id="a form"),
        pytest.param(b"null", "application/json", 400, "InvalidBody", id="nothing"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    catalog: Any, content: bytes, content_type: str, status: int, reason: str
) -> None:
    answer = await catalog.ask("POST", "/images", content=content, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        pytest.param({"verify": "yes"}, "verify", id="no truth"),
        pytest.param({"dryRun": "true"}, "dryRun", id="unknown"),
        pytest.param({"namespace": "Team A"}, "namespace", id="no namespace"),
    ],
)
async def test_parameters_are_strict(catalog: Any, params: dict[str, str], parameter: str) -> None:
    answer = await catalog.ask("POST", "/images", new(), params=params)
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidParameter")
    assert answer.json()["details"]["parameter"] == parameter


async def test_who_is_not_known_or_may_not_is_told(catalog: Any) -> None:
    answer = await catalog.ask("POST", "/images", new(), headers={"authorization": "Bearer nonsense"})
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    catalog.grant("reader", ("get", "catalogimages"))
    answer = await catalog.ask("POST", "/images", new(), headers=catalog.token("reader"))
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
    assert "kubectl auth can-i create" in answer.json()["detail"]
    assert catalog.calls.requests == []


async def test_a_namespace_that_is_not_there_is_told_before_the_registry_is_asked(catalog: Any) -> None:
    grant = {"apiGroup": "rbac.authorization.k8s.io"}
    catalog.world.pipeline.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "person"},
            "roleRef": {**grant, "kind": "ClusterRole", "name": "image-catalog-edit"},
            "subjects": [{"kind": "ServiceAccount", "name": "person", "namespace": "image-catalog"}],
        }
    )
    answer = await catalog.ask("POST", "/images", new(), params={"namespace": "nowhere"})
    assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")
    assert answer.json()["detail"] == 'namespace "nowhere" not found'
    assert catalog.calls.requests == []


async def test_a_broken_connection_is_asked_again_and_nothing_is_doubled(catalog: Any) -> None:
    catalog.world.push()
    catalog.calls.before = [httpx.ConnectError("refused")]
    catalog.calls.after = [httpx.RemoteProtocolError("server disconnected"), None]
    answer = await catalog.ask("POST", "/images", new())
    assert answer.status_code == 201
    assert len(catalog.calls.requests) == 3
    assert len({request.headers["ce-id"] for request in catalog.calls.requests}) == 1
    assert len(catalog.world.all("catalogimages")) == 1
    ids = [event.id for event in catalog.world.pipeline.emitted if event.type.endswith("image.published")]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_an_unseen_image_is_not_in_its_own_way_when_the_connection_breaks(catalog: Any) -> None:
    catalog.calls.after = [httpx.ReadError("reset")]
    answer = await catalog.ask("POST", "/images", new(), params={"verify": "false"})
    assert answer.status_code == 201


async def test_trouble_of_a_registry_that_passes_is_told_with_when_to_come_back(catalog: Any) -> None:
    catalog.world.push()
    catalog.world.registry.fail(rate_limited())
    answer = await catalog.ask("POST", "/images", new())
    assert (answer.status_code, answer.json()["reason"]) == (503, "RateLimited")
    steps = answer.json()["details"]["steps"]
    assert [step["status"] for step in steps] == ["ok", "skipped", "failed"]
    assert (steps[-1]["name"], "RateLimited" in steps[-1]["message"]) == ("Registry accessibility", True)
    assert int(answer.headers["retry-after"]) >= 1
    assert len(catalog.calls.requests) == 1, "the function has asked again already"


async def test_who_may_not_create_there_is_not_told_whether_the_namespace_is_there(catalog: Any) -> None:
    for namespace in ("nowhere", "team-b"):
        answer = await catalog.ask("POST", "/images", new(), params={"namespace": namespace})
        assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")


async def test_an_api_that_may_not_read_namespaces_adds_all_the_same(catalog: Any) -> None:
    catalog.world.push()
    catalog.world.pipeline.cluster.fail(Effect.FORBIDDEN, verb="get", resource="namespaces")
    assert (await catalog.ask("POST", "/images", new())).status_code == 201
