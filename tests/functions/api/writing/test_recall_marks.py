"""For which other entries a recall holds: in its namespace, and where its content was promoted to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from stamina import retry

from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage, SampleIndex
from image_catalog.testing.cluster import Effect

pytestmark = pytest.mark.story

SAMPLE = SampleImage(name="sample")
WHY = "the brake controller does not answer"
DEV, STAGING, PRODUCTION = "team-a", "staging", "production"


@pytest.fixture
async def catalog(serve: Callable[..., Any]) -> AsyncIterator[Any]:
    """Serve the API to a person who may do everything in three namespaces."""
    served = serve()
    for namespace in (STAGING, PRODUCTION):
        served.world.pipeline.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        served.grant("person", ("*", "catalogimages"), namespace=namespace)
    yield served
    await served.client.aclose()


async def add(catalog: Any, name: str, *, namespace: str = DEV, sample: SampleImage = SAMPLE) -> None:
    """Add an entry of a tag of its own, with the content that is asked for."""
    catalog.world.push(sample, tag=name)
    body = {"name": name, "spec": {"registryUrl": f"quay.io/acme/autosd:{name}"}}
    assert (await post(catalog, "/images", body, namespace)).status_code == 201


async def post(catalog: Any, path: str, body: Any, namespace: str, **options: Any) -> Any:
    return await catalog.ask("POST", path, body, params={"namespace": namespace}, **options)


async def recall(catalog: Any, name: str, *, namespace: str = DEV, digest: str = SAMPLE.digest) -> Any:
    return await post(catalog, f"/images/{name}/recall", {"digest": digest, "reason": WHY}, namespace)


async def restore(catalog: Any, name: str, *, namespace: str = DEV, digest: str = SAMPLE.digest) -> Any:
    return await post(catalog, f"/images/{name}/restore", {"digest": digest, "reason": "a cable"}, namespace)


async def promote(catalog: Any, name: str, source: str, target: str) -> Any:
    answer = await post(catalog, f"/images/{name}/promote", {"namespace": target}, source)
    assert answer.status_code in {200, 201}
    return answer


def marked(catalog: Any) -> set[str]:
    """Return the entries whose current content is recalled."""
    return {
        f"{entry['metadata']['namespace']}/{entry['metadata']['name']}"
        for entry in catalog.world.all("catalogimages")
        if any(c["type"] == "Recalled" and c["status"] == "True" for c in entry["status"].get("conditions", ()))
    }


async def test_every_entry_of_the_namespace_that_has_the_content_is_marked_and_told_of(catalog: Any) -> None:
    for name in ("one", "two"):
        await add(catalog, name)
    await add(catalog, "other", sample=SampleImage(name="another"))
    said = (await recall(catalog, "one")).json()["recall"]
    assert said["marked"] == [{"name": "two", "namespace": DEV}]
    assert marked(catalog) == {"team-a/one", "team-a/two"}
    told = [(r.headers["ce-subject"], json.loads(r.content)["origin"]["name"]) for r in catalog.broker.received]
    assert sorted(told) == [("team-a/one", "one"), ("team-a/two", "one")]
    assert len({request.headers["ce-id"] for request in catalog.broker.received}) == 2
    assert [(kind, reason) for kind, reason, _ in catalog.world.notes() if reason == "Recalled"] == [
        ("Warning", "Recalled")
    ] * 2


async def test_a_recalled_index_reaches_the_entry_of_one_of_its_platforms(catalog: Any) -> None:
    platforms = [SampleImage(name="arm"), SampleImage(name="intel", architecture="amd64")]
    index = SampleIndex(platforms)
    catalog.world.push(index, tag="all")
    body = {"name": "all", "spec": {"registryUrl": "quay.io/acme/autosd:all"}}
    assert (await post(catalog, "/images", body, DEV)).status_code == 201
    await add(catalog, "arm", sample=platforms[0])
    said = (await recall(catalog, "all", digest=index.digest)).json()["recall"]
    assert said["marked"] == [{"name": "arm", "namespace": DEV}]
    assert marked(catalog) == {"team-a/all", "team-a/arm"}

    refused = await restore(catalog, "all", digest=platforms[0].digest)
    assert (refused.status_code, refused.json()["reason"]) == (409, "Recalled")
    assert index.digest in refused.json()["detail"]
    assert (await restore(catalog, "arm", digest=index.digest)).json()["reason"] == "RecalledElsewhere"
    await restore(catalog, "all", digest=index.digest)
    await catalog.catch_up()
    assert marked(catalog) == set()


async def test_entries_of_other_namespaces_are_left_alone(catalog: Any) -> None:
    await add(catalog, "one")
    await add(catalog, "one", namespace=STAGING)
    await recall(catalog, "one")
    await catalog.catch_up()
    assert marked(catalog) == {"team-a/one"}


async def test_what_was_promoted_from_there_is_marked_stage_by_stage(catalog: Any) -> None:
    await add(catalog, "one")
    await promote(catalog, "one", DEV, STAGING)
    await promote(catalog, "one", STAGING, PRODUCTION)
    said = (await recall(catalog, "one")).json()["recall"]
    assert [entry["namespace"] for entry in said["marked"]] == [PRODUCTION, STAGING]
    assert marked(catalog) == {"team-a/one", "staging/one", "production/one"}


async def test_a_recall_further_on_does_not_reach_back(catalog: Any) -> None:
    await add(catalog, "one")
    await promote(catalog, "one", DEV, STAGING)
    await promote(catalog, "one", STAGING, PRODUCTION)
    await recall(catalog, "one", namespace=STAGING)
    await catalog.catch_up()
    assert marked(catalog) == {"staging/one", "production/one"}


async def test_a_stage_that_was_removed_meanwhile_breaks_no_chain(catalog: Any) -> None:
    await add(catalog, "one")
    await promote(catalog, "one", DEV, STAGING)
    await promote(catalog, "one", STAGING, PRODUCTION)
    await catalog.world.remove("one", namespace=STAGING)
    await catalog.catch_up()
    await recall(catalog, "one")
    assert marked(catalog) == {"team-a/one", "production/one"}


async def test_a_version_that_was_promoted_and_superseded_since_is_marked_as_such(catalog: Any) -> None:
    await add(catalog, "one")
    await promote(catalog, "one", DEV, STAGING)
    catalog.world.clock.advance(timedelta(minutes=1))
    second = SampleImage(name="second")
    catalog.world.push(second, tag="one")
    body = {"registryUrl": "quay.io/acme/autosd:one", "namespace": STAGING}
    catalog.world.pipeline.request(EventType.PUBLISH_REQUESTED, body)
    await catalog.catch_up()
    assert catalog.world.image("one", namespace=STAGING).status.promoted_from is None
    assert (await recall(catalog, "one")).json()["recall"]["marked"] == [{"name": "one", "namespace": STAGING}]
    assert marked(catalog) == {"team-a/one"}
    # Another content of the namespace that was never promoted is not the other's to recall.
    await add(catalog, "theirs", sample=second)
    await recall(catalog, "theirs", digest=second.digest)
    await catalog.catch_up()
    assert marked(catalog) == {"team-a/one", "team-a/theirs"}


async def test_an_entry_that_comes_later_is_marked(catalog: Any) -> None:
    await add(catalog, "one")
    await recall(catalog, "one")
    await add(catalog, "late")
    await catalog.catch_up()
    assert marked(catalog) == {"team-a/one", "team-a/late"}


async def test_a_build_that_brings_a_recalled_content_is_published_and_marked(catalog: Any) -> None:
    await add(catalog, "one")
    await recall(catalog, "one")
    catalog.world.push(SAMPLE, tag="nightly")
    await catalog.world.complete("nightly", url="quay.io/acme/autosd:nightly")
    await catalog.catch_up()
    assert catalog.world.image("nightly").status.phase == "Available"
    assert marked(catalog) == {"team-a/one", "team-a/nightly"}


async def test_restoring_lifts_every_mark_and_tells_of_each(catalog: Any) -> None:
    for name in ("one", "two"):
        await add(catalog, name)
    await promote(catalog, "one", DEV, STAGING)
    await recall(catalog, "one")
    catalog.broker.received.clear()
    said = (await restore(catalog, "one")).json()["recall"]
    assert (said["recalled"], said["marked"]) == (False, [])
    assert marked(catalog) == set()
    told = [(EventType(r.headers["ce-type"]).short, r.headers["ce-subject"]) for r in catalog.broker.received]
    assert sorted(told) == [("image.restored", s) for s in ("staging/one", "team-a/one", "team-a/two")]


@pytest.mark.parametrize(("name", "namespace"), [("two", DEV), ("one", STAGING)], ids=["beside", "promoted"])
async def test_a_content_is_restored_where_it_was_recalled(catalog: Any, name: str, namespace: str) -> None:
    for each in ("one", "two"):
        await add(catalog, each)
    await promote(catalog, "one", DEV, STAGING)
    await recall(catalog, "one")
    answer = await restore(catalog, name, namespace=namespace)
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (409, "RecalledElsewhere")
    assert "team-a/one" in problem["detail"]
    assert problem["details"]["recalledAt"] == [{"namespace": DEV, "name": "one"}]
    assert len(marked(catalog)) == 3


async def test_removing_the_entry_lifts_no_mark_of_the_others_and_they_pass_it_on(catalog: Any) -> None:
    for name in ("one", "two"):
        await add(catalog, name)
    await recall(catalog, "one")
    await catalog.world.remove("one")
    await catalog.catch_up()
    assert marked(catalog) == {"team-a/two"}
    await add(catalog, "one")
    await catalog.catch_up()
    assert marked(catalog) == {"team-a/one", "team-a/two"}


async def test_where_the_entry_is_gone_any_other_can_restore_and_that_reaches_all(catalog: Any) -> None:
    for name in ("one", "two", "three"):
        await add(catalog, name)
    await promote(catalog, "one", DEV, STAGING)
    await recall(catalog, "one")
    await catalog.world.remove("one")
    await catalog.catch_up()
    assert (await restore(catalog, "two")).status_code == 200
    assert marked(catalog) == set()
    await add(catalog, "late")
    await catalog.catch_up()
    assert marked(catalog) == set()


async def test_what_is_restored_further_on_stays_recalled_where_it_came_from(catalog: Any) -> None:
    for name in ("one", "two"):
        await add(catalog, name)
    await promote(catalog, "one", DEV, STAGING)
    await promote(catalog, "one", STAGING, PRODUCTION)
    await recall(catalog, "one")
    await catalog.world.remove("one")
    await catalog.catch_up()
    await restore(catalog, "one", namespace=STAGING)
    await catalog.catch_up()
    assert marked(catalog) == {"team-a/two"}


async def test_another_reason_reaches_every_mark(catalog: Any) -> None:
    for name in ("one", "two"):
        await add(catalog, name)
    await recall(catalog, "one")
    body = {"digest": SAMPLE.digest, "reason": "it also overheats"}
    await post(catalog, "/images/one/recall", body, DEV)
    assert [mark.reason for mark in catalog.world.image("two").status.recalls] == ["it also overheats"]


async def test_a_caller_is_told_of_no_entry_that_it_may_not_look_at(catalog: Any) -> None:
    await add(catalog, "one")
    await promote(catalog, "one", DEV, STAGING)
    catalog.grant("operator", ("update", "catalogimages"))
    body = {"digest": SAMPLE.digest, "reason": WHY}
    answer = await post(catalog, "/images/one/recall", body, DEV, headers=catalog.token("operator"))
    said = answer.json()["recall"]
    assert (said["marked"], said["markedElsewhere"]) == ([], 1)
    assert marked(catalog) == {"team-a/one", "staging/one"}


async def test_a_mark_that_cannot_be_written_now_is_written_later(catalog: Any) -> None:
    for name in ("one", "two"):
        await add(catalog, name)
    cluster = catalog.world.pipeline.cluster
    cluster.fail(Effect.FORBIDDEN, verb="patch", resource="catalogimages", name="two", actor="api")
    assert (await recall(catalog, "one")).json()["recall"]["marked"] == []
    assert marked(catalog) == {"team-a/one"}
    await catalog.catch_up()
    assert marked(catalog) == {"team-a/one", "team-a/two"}


async def test_a_trouble_that_nobody_foresaw_loses_no_mark(catalog: Any) -> None:
    for name in ("one", "two"):
        await add(catalog, name)
    catalog.broker.refusals = [RuntimeError("a bug")]
    await recall(catalog, "one")
    catalog.watched.put(catalog.world.raw("catalogimages", "two"))
    await catalog.catch_up()
    assert marked(catalog) == {"team-a/one", "team-a/two"}
    assert len(catalog.broker.received) == 2


async def test_an_index_that_is_not_filled_concludes_nothing(catalog: Any, serve: Callable[..., Any]) -> None:
    for name in ("one", "two"):
        await add(catalog, name)
    filled = asyncio.Event()
    starting = serve(filled=filled)
    assert (await recall(starting, "one")).json()["recall"]["marked"] == []
    assert marked(starting) == {"team-a/one"}
    filled.set()
    await starting.catch_up()
    assert marked(starting) == {"team-a/one", "team-a/two"}


async def test_a_writer_who_comes_between_is_no_hindrance(catalog: Any) -> None:
    await add(catalog, "one")
    cluster = catalog.world.pipeline.cluster
    cluster.fail(Effect.CONFLICT, verb="patch", resource="catalogimages", name="one", actor="api", times=2)
    assert (await recall(catalog, "one")).json()["recall"]["changed"]
    cluster.fail(Effect.TIMEOUT_AFTER, verb="patch", resource="catalogimages", name="one", actor="api")
    await restore(catalog, "one")
    assert (await restore(catalog, "one")).status_code == 200
    await catalog.catch_up()
    assert marked(catalog) == set()
    kinds = [EventType(request.headers["ce-type"]).short for request in catalog.broker.received]
    assert kinds == ["image.recalled", "image.restored"]


@asynccontextmanager
async def jobs(catalog: Any) -> AsyncIterator[None]:
    """Run the API's own jobs, as it does in a cluster."""
    services = catalog.services
    tasks = [asyncio.ensure_future(job()) for job in (services.image_feed.run, services.recalls.run)]
    try:
        async with asyncio.timeout(10):
            await services.image_feed.filled.wait()
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@retry(on=AssertionError, attempts=None, timeout=10, wait_initial=0.01, wait_max=0.05)
async def becomes(catalog: Any, expected: set[str]) -> None:
    assert marked(catalog) == expected


async def test_the_api_marks_by_itself_what_it_sees_coming(catalog: Any) -> None:
    await add(catalog, "one")
    await recall(catalog, "one")
    async with jobs(catalog):
        catalog.world.push(SAMPLE, tag="late")
        await catalog.world.add("late", url="quay.io/acme/autosd:late")
        await becomes(catalog, {"team-a/one", "team-a/late"})
        await catalog.world.remove("one")
        catalog.world.push(SAMPLE, tag="later")
        await catalog.world.add("later", url="quay.io/acme/autosd:later")
        await becomes(catalog, {"team-a/late", "team-a/later"})


async def test_an_api_that_starts_finishes_what_another_one_has_begun(catalog: Any, serve: Callable[..., Any]) -> None:
    for name in ("one", "two"):
        await add(catalog, name)
    cluster = catalog.world.pipeline.cluster
    cluster.fail(Effect.FORBIDDEN, verb="patch", resource="catalogimages", name="two", actor="api")
    catalog.broker.refusals = [httpx.ConnectError("refused")] * 2
    await recall(catalog, "one")
    assert (marked(catalog), catalog.broker.received) == ({"team-a/one"}, [])
    following = serve()
    async with jobs(following):
        await becomes(following, {"team-a/one", "team-a/two"})
        await all_told(following)
    assert sorted(r.headers["ce-subject"] for r in following.broker.received) == ["team-a/one", "team-a/two"]


async def test_an_entry_that_a_new_list_has_no_more_passes_nothing_on(catalog: Any) -> None:
    await add(catalog, "one")
    await add(catalog, "far", namespace=STAGING)
    await recall(catalog, "one")
    async with jobs(catalog):
        await catalog.world.remove("one")
        with catalog.watched.relist():
            catalog.watched.put(catalog.world.raw("catalogimages", "far", namespace=STAGING))
        await add(catalog, "late")
        await catalog.services.recalls.settle()
    assert marked(catalog) == set()


@retry(on=AssertionError, attempts=None, timeout=10, wait_initial=0.01, wait_max=0.05)
async def all_told(catalog: Any) -> None:
    recalls = [recall for entry in catalog.world.all("catalogimages") for recall in entry["status"].get("recalls", ())]
    assert all("toldAt" in recall for recall in recalls)


async def test_what_could_not_be_done_is_done_again_by_itself(catalog: Any) -> None:
    for name in ("one", "two"):
        await add(catalog, name)
    async with jobs(catalog):
        cluster = catalog.world.pipeline.cluster
        cluster.fail(Effect.UNAVAILABLE, verb="patch", resource="catalogimages", name="two", actor="api", times=20)
        catalog.broker.refusals = [httpx.ConnectError("refused")] * 4
        await recall(catalog, "one")
        await becomes(catalog, {"team-a/one", "team-a/two"})
        await all_told(catalog)
