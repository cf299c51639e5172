"""`GET /resolve`: one image for a board, why none of the others, and what the audit is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from image_catalog.audit import AuditStore, RecordQuery
from image_catalog.cluster import Caller
from image_catalog.config import ApiAuth, Settings
from image_catalog.context import Context
from image_catalog.testing.catalog_samples import sample_image
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.lifespan import alive
from image_catalog_functions.api.app import BASE
from image_catalog_functions.api.assembly import assemble
from image_catalog_functions.api.http.asgi import ASGIApp
from image_catalog_functions.api.http.metrics import RESOLUTIONS
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.resolving.resolver import Resolver
from image_catalog_functions.api.services import Services

QEMU = {"target": "qemu", "namespace": "default"}
D = f"sha256:{'d' * 64}"
shared = pytest.mark.asyncio(loop_scope="module")
"""Of tests that change nothing, and so ask one API."""


@pytest.fixture
async def audited(cluster: InProcessCluster, clock: StillClock, tmp_path: Path) -> Services:
    """Make the services with an audit in SQLite."""
    settings = Settings.from_environment({"IMAGE_CATALOG_DATABASE_URL": f"sqlite:///{tmp_path}/audit.db"})
    return assemble(
        Context.build(settings=settings, transport=cluster.transport("api"), clock=clock), auth=ApiAuth.NONE
    )


async def records(services: Services) -> list[tuple[str, str | None, Any]]:
    """Return what the audit has of who was given what: entry, digest and how often."""
    await services.recorder.flush()
    assert isinstance(services.audit, AuditStore)
    page = await services.audit.query(RecordQuery(kinds=("image.resolved",)))
    return [(f"{each.namespace}/{each.name}", each.digest, each.data["count"]) for each in page.items]


def board(number: int, **status: Any) -> dict[str, Any]:
    """Make an entry for a board of its own that is Available."""
    obj = sample_image(number, namespaces=("default",))
    obj["spec"]["metadata"]["targets"] = [{"name": "board"}]
    obj["status"] |= {"phase": "Available", "observedGeneration": obj["metadata"]["generation"], **status}
    return obj


async def test_one_image_is_named_by_digest_and_all_others_by_why_they_lost(client: httpx.AsyncClient) -> None:
    everything = {"target": "qemu", "allNamespaces": "true", "limit": "500"}
    answer = (await client.get("resolve", params=everything)).raise_for_status().json()
    listed = (await client.get("images", params=everything)).raise_for_status().json()["items"]
    # The list is sorted by publication: the first that is Available is the newest of all that could be flashed.
    newest = next(item for item in listed if item["status"]["phase"] == "Available")
    assert (answer["namespace"], answer["name"]) == (newest["metadata"]["namespace"], newest["metadata"]["name"])
    digest = newest["status"]["registryMetadata"]["resolvedDigest"]
    assert answer["reference"] == f"{newest['spec']['registryUrl'].rpartition(':')[0]}@{digest}"
    assert answer["platformDigest"] == digest
    others = {(each["namespace"], each["name"]) for each in answer["rejected"]}
    assert len(others) == len(answer["rejected"]) == len(listed) - 1
    assert (answer["namespace"], answer["name"]) not in others
    assert answer["remainingRejectedCount"] == 0
    artifacts = await client.get(f"http://api.test{answer['artifactsPath']}")
    assert (artifacts.status_code, len(artifacts.json()["items"])) == (200, answer["artifactCount"])


async def test_nothing_that_fits_is_a_problem_with_the_same_reasons(client: httpx.AsyncClient) -> None:
    asked = QEMU | {"distro": "nonsuch", "limit": "2"}
    for _ in range(2):  # The second time from what was kept.
        answer = await client.get("resolve", params=asked)
        problem = answer.json()
        assert (answer.status_code, problem["reason"]) == (404, "NoImageFits")
        details = problem["details"]
        assert [each["reason"] for each in details["rejected"]] == ["DistroMismatch"] * 2
        total = details["remainingRejectedCount"] + 2
        assert problem["detail"].startswith(f"none of the {total} images for qemu in namespace default fits")
    nothing = await client.get("resolve", params={"target": "toaster", "allNamespaces": "true"})
    assert nothing.json()["detail"].startswith("there is no image for toaster in any namespace; boards that there are ")


async def test_of_an_unknown_board_the_names_that_are_most_like_it_are_told(
    client: httpx.AsyncClient, services: Services
) -> None:
    for number, (name, namespace) in enumerate((("toaster-2", "default"), ("toast", "default"), ("toasted", "secret"))):
        obj = sample_image(5_000 + number, namespaces=(namespace,))
        obj["spec"]["metadata"]["targets"] = [{"name": name}]
        services.index.put(obj)
    answer = (await client.get("resolve", params={"target": "Toaster", "namespace": "default"})).json()
    known = answer["details"]["knownTargets"]
    assert (known[:2], len(known) <= 5, "toasted" in known) == (["toaster-2", "toast"], True, False)
    told = "there is no image for Toaster in namespace default; boards that there are images for: toaster-2, toast"
    assert answer["detail"].startswith(told)
    nowhere = (await client.get("resolve", params={"target": "qemu", "namespace": "nowhere"})).json()
    assert nowhere["detail"] == "there is no image for qemu in namespace nowhere"
    assert "knownTargets" not in nowhere["details"]


async def test_answers_are_as_the_document_says(client: httpx.AsyncClient) -> None:
    document = (await client.get("http://api.test/openapi.json")).json()
    responses = document["paths"][f"{BASE}/resolve"]["get"]["responses"]
    for asked, status in ((QEMU, "200"), (QEMU | {"distro": "x"}, "404"), ({}, "400")):
        answer = await client.get("resolve", params=asked)
        assert str(answer.status_code) == status
        ((_, content),) = responses[status]["content"].items()
        jsonschema_rs.validate({**content["schema"], "components": document["components"]}, answer.json())


@shared
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "target"),
        ("target=", "target"),
        ("target=a&target=b", "target"),
        ("target=a&targets=b", "targets"),
        ("target=a&minAvailability=1.5", "minAvailability"),
        ("target=a&minAvailability=-1e-1", "minAvailability"),
        ("target=a&minAvailability=0_1", "minAvailability"),
        ("target=a&minAvailability=nan", "minAvailability"),
        ("target=a&maxAge=soon", "maxAge"),
        ("target=a&maxAge=PT", "maxAge"),
        ("target=a&architecture=riscv", "architecture"),
        ("target=a&limit=501", "limit"),
        ("target=a&verifiedOnly=yes", "verifiedOnly"),
        ("target=a&tag=", "tag"),
        ("target=a&" + "&".join(f"tag={n}" for n in range(65)), ""),
    ],
)
async def test_a_parameter_that_cannot_be_is_named(reader: httpx.AsyncClient, query: str, parameter: str) -> None:
    answer = await reader.get(f"resolve?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidParameter")
    assert answer.json()["details"].get("parameter", "") == parameter


async def test_tags_are_repeated_and_all_of_them_count(client: httpx.AsyncClient, services: Services) -> None:
    services.index.put(board(5000) | {"spec": board(5000)["spec"] | {"tags": ["a", "b c"]}})
    assert (await client.get("resolve?target=board&tag=b%20c&tag=a")).status_code == 200
    lost = (await client.get("resolve?target=board&tag=a&tag=z")).json()["details"]["rejected"]
    assert [each["message"] for each in lost] == ["it lacks the tag z"]


async def test_an_answer_is_good_until_the_catalog_changes(client: httpx.AsyncClient, services: Services) -> None:
    services.index.put(board(5000))
    first = (await client.get("resolve?target=board")).raise_for_status()
    etag = first.headers["etag"]
    again = await client.get("resolve?target=board", headers={"if-none-match": etag})
    assert (again.status_code, again.headers["etag"]) == (304, etag)
    packed = await client.get("resolve?target=board&limit=0", headers={"accept-encoding": "gzip"})
    assert packed.json()["reference"] == first.json()["reference"]
    recalled = board(5000, recalls=[{"digest": first.json()["platformDigest"], "reason": "x", "namespace": "default"}])
    recalled["metadata"]["resourceVersion"] = "9000000"
    services.index.put(recalled)
    lost = (await client.get("resolve?target=board", headers={"if-none-match": etag})).json()["details"]["rejected"]
    assert [each["reason"] for each in lost] == ["Recalled"]


async def test_answers_that_are_kept_have_a_bound(services: Services) -> None:
    def missed() -> float:
        # All metrics of the process, which REGISTRY would have to collect, take longer than the questions.
        (metric,) = RESOLUTIONS.collect()
        return sum(
            sample.value for sample in metric.samples if sample.labels == {"result": "miss"} and "_total" in sample.name
        )

    def ask(*queries: str) -> float:
        before = missed()
        for query in queries:
            assert resolver.known(query.encode(), None, gzip=False) is not None
        return missed() - before

    services.image_feed.filled.set()
    services.index.put(board(5000))
    resolver = Resolver(services, base=BASE)
    assert [ask("target=board"), ask("target=board")] == [1, 0]
    assert ask(*(f"target=board&maxAge={number}w" for number in range(200, 1300))) == 1100
    assert ask("target=board") == 1
    for closer in services.closers:
        await closer()


async def test_an_age_ends_with_the_time_and_not_with_a_change(
    client: httpx.AsyncClient, services: Services, clock: StillClock
) -> None:
    services.index.put(board(5000, publishedAt="2026-06-01T11:05:00Z"))
    asked = "resolve?target=board&maxAge=1h"
    assert [(await client.get(asked)).status_code for _ in range(2)] == [200, 200]
    clock.advance(seconds=1)
    lost = (await client.get(asked)).json()["details"]["rejected"]
    assert [each["reason"] for each in lost] == ["TooOld"]


async def test_who_was_given_what_is_recorded_once_for_many_requests(
    audited: Services, application: Callable[[Services], ASGIApp]
) -> None:
    app = application(audited)
    transport = httpx.ASGITransport(app)
    async with alive(app), httpx.AsyncClient(transport=transport, base_url=f"http://api.test{BASE}/") as client:
        await audited.image_feed.filled.wait()
        audited.index.put(board(5000))
        first = await client.get("resolve?target=board")
        known = {"if-none-match": first.headers["etag"]}
        assert (await client.get("resolve?target=board", headers=known)).status_code == 304
        assert (await client.head("resolve?target=board")).status_code == 200
        assert (await client.get("resolve?target=board&distro=none")).status_code == 404
        entry = f"default/{first.json()['name']}"
        assert await records(audited) == [(entry, first.json()["platformDigest"], 2)]
        await client.get("resolve?target=board")
        assert await records(audited) == [(entry, first.json()["platformDigest"], count) for count in (1, 2)]


class Reader:
    """Lets everybody list in one namespace, and remembers it after the first time."""

    def __init__(self) -> None:
        self.remembered = False

    def known(self, authorization: str | None, verb: str, namespace: str | None, *_: str) -> Caller | None:
        return Caller("reader") if self.remembered and self.may(authorization, verb, namespace) else None

    def may(self, authorization: str | None, verb: str, namespace: str | None) -> bool:
        return (authorization, verb, namespace) == ("Bearer r", "list", "default")

    async def identify(self, authorization: str | None) -> Caller:
        del authorization
        return Caller("reader")

    async def require(self, authorization: str | None, verb: str, namespace: str | None, *_: str) -> Caller:
        if not self.may(authorization, verb, namespace):
            raise Problem(403, ProblemReason.FORBIDDEN, "not there")
        self.remembered = True
        return Caller("reader")


async def test_whoever_may_list_is_answered_and_nobody_else(
    services: Services, application: Callable[[Services], ASGIApp]
) -> None:
    app = application(replace(services, guard=Reader()))
    transport = httpx.ASGITransport(app)
    async with alive(app), httpx.AsyncClient(transport=transport, base_url=f"http://api.test{BASE}/") as client:
        await services.image_feed.filled.wait()
        services.index.put(board(5000))
        headers = {"authorization": "Bearer r"}
        here, other = "resolve?target=board", {"authorization": "Bearer x"}
        everywhere = f"{here}&allNamespaces=true"
        for _ in range(2):
            assert (await client.get(here, headers=headers)).status_code == 200
            assert (await client.get(everywhere, headers=headers)).status_code == 403
            assert (await client.get(here, headers=other)).status_code == 403


async def test_nothing_is_said_to_be_missing_before_everything_is_listed(
    services: Services, application: Callable[[Services], ASGIApp]
) -> None:
    transport = httpx.ASGITransport(application(services))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://api.test{BASE}/") as client:
        answer = await client.get("resolve?target=board")
    assert (answer.status_code, answer.json()["reason"]) == (503, "IndexNotFilled")
    for closer in services.closers:
        await closer()
