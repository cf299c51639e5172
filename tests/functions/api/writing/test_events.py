"""``POST /events``: what may be sent, who may send it, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from image_catalog.events import PREFIX
from image_catalog.testing.world import NAMESPACE

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"
PERSON = "system:serviceaccount:image-catalog:person"
DIGEST = f"sha256:{'a' * 64}"
REPORT = {"name": "autosd", "namespace": NAMESPACE, "digest": DIGEST, "target": "rpi4", "result": "passed"}


def event(short: str, data: Any, **attributes: Any) -> dict[str, Any]:
    basic = {"specversion": "1.0", "id": "1", "source": "/ci", "type": PREFIX + short}
    return {**basic, **attributes, "data": data}


def publish(**data: Any) -> dict[str, Any]:
    return event("publish.requested", {"namespace": NAMESPACE, "registryUrl": URL, "name": "autosd", **data})


async def send(catalog: Any, said: Any, kind: str = "application/cloudevents+json", **headers: str) -> httpx.Response:
    content = said if isinstance(said, bytes) else json.dumps(said).encode()
    answer: httpx.Response = await catalog.ask(
        "POST", "/events", content=content, headers={"content-type": kind, **headers}
    )
    return answer


async def batch(catalog: Any, *events: Any) -> list[dict[str, Any]]:
    answer = await send(catalog, events, "application/cloudevents-batch+json")
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_an_image_is_published_and_the_outcome_answered(catalog: Any) -> None:
    catalog.world.push()
    answer = await send(catalog, publish())
    assert answer.status_code == 201
    said = answer.json()
    assert (said["id"], said["outcome"], said["status"]) == ("1", "published", 201)
    assert [e["type"].removeprefix(PREFIX) for e in said["events"]] == ["image.published", "image.available"]
    assert catalog.services.index.get(NAMESPACE, "autosd") is not None


async def test_binary_mode_is_taken_too(catalog: Any) -> None:
    catalog.world.push()
    whole = publish()
    headers = {f"ce-{name}": value for name, value in whole.items() if name != "data"}
    answer = await send(catalog, whole["data"], "application/json", **headers)
    assert answer.status_code == 201


async def test_a_namespace_that_is_not_there_is_told_before_anybody_is_asked(catalog: Any) -> None:
    everywhere = {"authorization": f"Bearer {catalog.world.pipeline.cluster.server.admin_token}"}
    answer = await send(catalog, publish(namespace="nowhere"), **everywhere)
    assert (answer.status_code, answer.json()["detail"]) == (404, 'namespace "nowhere" not found')
    assert catalog.calls.requests == []


async def test_the_actor_is_the_caller_whatever_was_sent(catalog: Any) -> None:
    catalog.world.push()
    await send(catalog, publish(actor="system:admin"))
    (published,) = catalog.world.data("image.published")
    assert published["actor"] == PERSON


async def test_the_same_event_again_is_done_once(catalog: Any) -> None:
    catalog.world.push()
    first, second = await send(catalog, publish()), await send(catalog, publish())
    assert [e["id"] for e in first.json()["events"]] == [e["id"] for e in second.json()["events"]]
    assert len(catalog.world.all("catalogimages")) == 1


async def test_the_same_id_from_another_source_is_another_event(catalog: Any) -> None:
    catalog.world.push()
    await send(catalog, publish())
    answer = await send(catalog, {**publish(), "source": "/other"})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "unchanged")
    ids = {request.headers["ce-id"] for request in catalog.calls.requests}
    assert len(ids) == 2


async def test_a_refusal_is_answered_as_the_call_would_be(catalog: Any) -> None:
    answer = await send(catalog, publish())
    assert (answer.status_code, answer.json()["reason"]) == (422, "ImageNotFound")


async def test_a_build_that_nobody_wants_published_is_left_alone(catalog: Any) -> None:
    catalog.world.pipeline.sources_run = False
    catalog.world.push()
    annotations = {"automotive.sdv.cloud.redhat.com/publish": "false"}
    catalog.world.pipeline.apply(catalog.world.build("nightly", metadata={"annotations": annotations}))
    build = {"imageBuild": {"name": "nightly", "namespace": NAMESPACE}, "automatic": True}
    answer = await send(catalog, event("publish.requested", build))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "nothing")


async def test_an_entry_is_verified(catalog: Any) -> None:
    catalog.world.push()
    await catalog.world.add()
    answer = await send(catalog, event("verification.requested", {"name": "autosd", "namespace": NAMESPACE}))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "verified")
    for reason in ("due", "registryPush"):
        unanswered = {"name": "autosd", "namespace": NAMESPACE, "reason": reason}
        answer = await send(catalog, event("verification.requested", unanswered, id=reason))
        assert (answer.status_code, answer.json()["outcome"]) == (200, "nothing")


async def test_an_entry_that_is_not_there_cannot_be_verified(catalog: Any) -> None:
    answer = await send(catalog, event("verification.requested", {"name": "none", "namespace": NAMESPACE}))
    assert answer.status_code == 404


async def test_a_reference_is_explained(catalog: Any) -> None:
    catalog.world.push()
    answer = await send(catalog, event("verification.requested", {"reference": URL, "namespace": NAMESPACE}))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "verified")


async def test_a_test_report_is_kept_as_told_by_the_caller(catalog: Any) -> None:
    image = catalog.world.push()
    await catalog.world.add()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    report = event("test.reported", {**REPORT, "digest": image.digest, "actor": "somebody"}, traceparent=trace)
    answer = await send(catalog, report)
    said = answer.json()
    assert (answer.status_code, said["outcome"], said["events"]) == (200, "recorded", [])
    assert said["target"].items() >= {"name": "rpi4", "verified": True, "passRate": 1.0, "runs": 1}.items()
    (run,) = catalog.world.image().status.evidence[0].runs
    assert (run.reported_by, run.counts, run.result) == (PERSON, True, "passed")
    assert catalog.calls.requests[-1].headers["traceparent"] == trace
    entry = catalog.services.index.get(NAMESPACE, "autosd").object
    assert entry["status"]["targets"][0]["verified"], "whoever wrote it sees it in every answer"


async def test_a_report_that_comes_again_counts_once(catalog: Any) -> None:
    image = catalog.world.push()
    await catalog.world.add()
    report = event("test.reported", {**REPORT, "digest": image.digest})
    first, second = await send(catalog, report), await send(catalog, report)
    assert first.json() == second.json()
    assert first.json()["target"]["runs"] == 1


@pytest.mark.parametrize(
    ("wrong", "status", "reason"),
    [
        pytest.param({"name": "none"}, 404, "NotFound", id="no such entry"),
        pytest.param({"digest": DIGEST}, 422, "UnknownDigest", id="a content that it never had"),
        pytest.param({"target": "toaster"}, 422, "UnknownTarget", id="a board that it is not for"),
        pytest.param({"at": "2027-01-01T00:00:00Z"}, 422, "TimeInFuture", id="a time that has not come"),
        pytest.param({"at": "noon"}, 400, "InvalidEvent", id="no time"),
        pytest.param({"reportUrl": "ftp://lab/1"}, 400, "InvalidEvent", id="no address of a page"),
        pytest.param({"result": "flaky"}, 400, "InvalidEvent", id="no result"),
    ],
)
async def test_a_report_that_makes_no_sense_is_refused(
    catalog: Any, wrong: dict[str, str], status: int, reason: str
) -> None:
    image = catalog.world.push()
    await catalog.world.add(metadata={"targets": [{"name": "rpi4"}]})
    answer = await send(catalog, event("test.reported", {**REPORT, "digest": image.digest, **wrong}))
    said = answer.json()
    assert (answer.status_code, said["reason"]) == (status, reason)
    known = {"UnknownDigest": [image.digest], "UnknownTarget": ["rpi4"]}
    assert said["details"].get("known") == known.get(reason)
    assert catalog.world.image().status.evidence == []


@pytest.mark.parametrize(
    ("said", "question"),
    [
        pytest.param(publish(), ("create", "catalogimages"), id="publish"),
        pytest.param(
            event("publish.requested", {"imageBuild": {"name": "a", "namespace": "team-a"}}),
            ("get", "imagebuilds"),
            id="publish a build",
        ),
        pytest.param(
            event("verification.requested", {"name": "a", "namespace": "team-a"}),
            ("update", "catalogimages"),
            id="verify",
        ),
        pytest.param(
            event("verification.requested", {"reference": URL, "namespace": "team-a"}),
            ("create", "catalogimages"),
            id="explain",
        ),
        pytest.param(event("test.reported", REPORT), ("update", "catalogimages"), id="report"),
    ],
)
async def test_each_event_needs_the_right_of_its_call(
    catalog: Any, said: dict[str, Any], question: tuple[str, str]
) -> None:
    catalog.grant("nobody", ("watch", "catalogimages"))
    answer = await send(catalog, said, **catalog.token("nobody"))
    details = answer.json()["details"]
    assert answer.status_code == 403
    assert (details["verb"], details["resource"].partition(".")[0]) == question


async def test_a_secret_elsewhere_needs_a_right_there(catalog: Any) -> None:
    secret = {"name": "pull", "namespace": "team-b"}
    data = {"reference": URL, "namespace": NAMESPACE, "authSecretRef": secret}
    answer = await send(catalog, event("verification.requested", data))
    assert (answer.status_code, answer.json()["details"]["namespace"]) == (403, "team-b")


@pytest.mark.parametrize(
    ("said", "kind", "status"),
    [
        pytest.param(event("image.published", {}), "application/cloudevents+json", 400, id="a type of the functions"),
        pytest.param(event("nonsense", {}), "application/cloudevents+json", 400, id="an unknown type"),
        pytest.param({"id": "1"}, "application/cloudevents+json", 400, id="no event"),
        pytest.param(b"{", "application/cloudevents+json", 400, id="no JSON"),
        pytest.param(b"{}", "application/json", 400, id="no attributes"),
        pytest.param(b"{}", "text/plain", 415, id="no media type of ours"),
        pytest.param(b"{}", "application/cloudevents-batch+json", 400, id="no batch"),
        pytest.param([publish()] * 101, "application/cloudevents-batch+json", 413, id="too many"),
        pytest.param(b'"' + b"x" * 1024 * 1024 + b'"', "application/cloudevents+json", 413, id="too large"),
        pytest.param(b"[" * 2000 + b"]" * 2000, "application/cloudevents+json", 400, id="too deep"),
        pytest.param(publish(registryUrl="autosd"), "application/cloudevents+json", 400, id="no reference"),
        pytest.param(publish(nmae="x"), "application/cloudevents+json", 400, id="misspelt field"),
        pytest.param(publish(verify=0), "application/cloudevents+json", 400, id="a number for a boolean"),
        pytest.param({**publish(), "time": "noon"}, "application/cloudevents+json", 400, id="no time"),
    ],
)
async def test_what_cannot_be_taken_is_refused(catalog: Any, said: Any, kind: str, status: int) -> None:
    answer = await send(catalog, said, kind)
    assert answer.status_code == status
    assert catalog.calls.requests == []


async def test_a_misspelt_field_is_named_by_its_path(catalog: Any) -> None:
    answer = await send(catalog, publish(metadata={"targets": [{"name": "a b"}]}))
    assert answer.json()["details"]["violations"][0]["path"] == "data.metadata.targets[0].name"


async def test_a_rule_between_fields_is_told_in_the_catalogs_own_words(catalog: Any) -> None:
    answer = await send(catalog, event("verification.requested", {"name": "autosd"}))
    said = "namespace is missing: name and namespace together name an entry"
    assert answer.json()["details"]["violations"] == [{"path": "data", "message": said}]
    assert answer.json()["detail"] == f"the event's data breaks its schema: data: {said}"


async def test_a_batch_is_answered_event_by_event(catalog: Any) -> None:
    digest = catalog.world.push().digest
    await catalog.world.add("tested")
    report = event("test.reported", {**REPORT, "name": "tested", "digest": digest}, id="2")
    missing = {**publish(registryUrl="quay.io/acme/none:1", name="none"), "id": "3"}
    items = await batch(catalog, publish(), report, missing, {"no": "event"}, 7)
    assert [(item["id"], item["status"], item["outcome"]) for item in items] == [
        ("1", 201, "published"),
        ("2", 200, "recorded"),
        ("3", 422, "refused"),
        ("", 400, "refused"),
        ("", 400, "refused"),
    ]
    assert items[2]["problem"]["reason"] == "ImageNotFound"
    assert items[2]["problem"]["details"]["steps"][-1]["status"] == "failed"


async def test_an_empty_batch_is_an_empty_answer(catalog: Any) -> None:
    assert await batch(catalog) == []


async def test_a_caller_without_a_token_is_not_known(catalog: Any) -> None:
    del catalog.client.headers["authorization"]
    answer = await send(catalog, publish())
    assert answer.status_code == 401
