"""``test.reported``: what comes of it at the entry, by whomever and however often it is told."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.cluster import AUDIENCE
from image_catalog.config import Settings
from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage, SampleIndex
from image_catalog.models import TestedTarget, TestRun
from image_catalog.models.events import UNAUTHENTICATED
from image_catalog.testing.world import NAMESPACE, World

pytestmark = pytest.mark.story

BOARD = "rpi4"
BOARDS = {"targets": [{"name": BOARD}]}
_DAY = timedelta(days=1)
LAB = "system:serviceaccount:lab:runner"


def told(digest: str, result: str = "passed", **data: Any) -> dict[str, Any]:
    return {"name": "autosd", "namespace": NAMESPACE, "digest": digest, "target": BOARD, "result": result, **data}


async def by_api(world: World, data: dict[str, Any], *, event_id: str = "run-1") -> tuple[int, dict[str, Any]]:
    """Report for somebody whom the API knows; returns the status and the body that verify answers it with."""
    event = world.pipeline.event(EventType.TEST_REPORTED, {**data, "actor": LAB}, id=event_id)
    token = world.pipeline.cluster.token("api", audiences=[AUDIENCE])
    answer = await world.pipeline.deliver(
        "verify", event, prefer="return=representation", authorization=f"Bearer {token}"
    )
    await world.pipeline.drain()
    return answer.status_code, json.loads(bytes(answer.body))


async def by_broker(world: World, data: dict[str, Any], *, event_id: str = "run-1") -> None:
    """Report at the broker's ingress, where nobody is known."""
    world.pipeline.request(EventType.TEST_REPORTED, data, id=event_id)
    await world.pipeline.drain()


def board(world: World) -> TestedTarget:
    (target,) = world.image().status.targets
    return target


def runs(world: World) -> list[TestRun]:
    return [run for item in world.image().status.evidence for run in item.runs]


async def test_a_report_is_kept_with_who_told_it_and_nothing_else_changes(world: World) -> None:
    digest = world.push().digest
    before = await world.add(metadata=BOARDS)
    assert await by_api(world, told(digest, reportUrl="https://lab.example.com/1")) == (200, {"events": []})
    (run,) = runs(world)
    assert (run.id, run.result, run.reported_by, run.report_url) == (
        "run-1",
        "passed",
        LAB,
        "https://lab.example.com/1",
    )
    assert board(world) == TestedTarget(
        name=BOARD, verified=True, tested=True, pass_rate=1.0, runs=1, last_tested=world.clock.now()
    )
    fields = {"evidence", "targets"}
    after = world.image()
    assert after.status.model_dump(exclude=fields) == before.status.model_dump(exclude=fields)
    assert after.spec == before.spec
    assert "test.reported" not in world.pipeline.emitted_types()


async def test_a_report_that_comes_again_writes_nothing(world: World) -> None:
    digest = world.push().digest
    await world.add(metadata=BOARDS)
    await by_api(world, told(digest))
    version = world.image().metadata.resource_version
    assert (await by_api(world, told(digest)))[0] == 200
    assert world.image().metadata.resource_version == version
    assert len(runs(world)) == 1


async def test_reports_that_come_all_at_once_are_all_kept(world: World) -> None:
    digest = world.push().digest
    await world.add(metadata=BOARDS)
    ids = [f"run-{number}" for number in range(6)]
    answers = await asyncio.gather(*(by_api(world, told(digest), event_id=event_id) for event_id in ids))
    assert {status for status, _ in answers} == {200}
    assert sorted(run.id for run in runs(world)) == ids


async def test_the_last_to_end_counts_whichever_comes_last(world: World) -> None:
    digest = world.push().digest
    await world.add(metadata=BOARDS)
    await by_api(world, told(digest, "failed", at="2025-12-31T12:00:00Z"), event_id="late")
    await by_api(world, told(digest, "passed", at="2025-12-30T12:00:00Z"), event_id="early")
    assert (board(world).verified, board(world).pass_rate) == (False, 0.5)


async def test_a_platform_of_an_index_may_be_what_was_tested(world: World) -> None:
    arm = SampleImage(architecture="arm64")
    world.push(SampleIndex((arm, SampleImage(architecture="amd64"))))
    await world.add(metadata=BOARDS)
    assert (await by_api(world, told(arm.digest)))[0] == 200
    assert board(world).verified
    (item,) = world.image().status.evidence
    registry = world.image().status.registry_metadata
    assert registry is not None
    assert (item.digest, item.index) == (arm.digest, registry.resolved_digest)


async def test_a_report_at_the_broker_is_shown_and_verifies_nothing(world: World) -> None:
    digest = world.push().digest
    await world.add(metadata=BOARDS)
    await by_broker(world, told(digest, actor=LAB))
    (run,) = runs(world)
    assert (run.reported_by, run.counts, run.source) == (UNAUTHENTICATED, False, "/tests")
    assert board(world) == TestedTarget(name=BOARD, verified=False)
    await by_api(world, told(digest))
    assert board(world).runs == 1


@pytest.mark.parametrize("settings", [Settings(believe_unauthenticated_tests=True)], ids=["everybody is believed"])
async def test_where_everybody_is_believed_a_report_at_the_broker_counts(world: World) -> None:
    digest = world.push().digest
    await world.add(metadata=BOARDS)
    await by_broker(world, told(digest))
    assert board(world).verified
    assert runs(world)[0].reported_by == UNAUTHENTICATED


@pytest.mark.parametrize("settings", [Settings(accept_unauthenticated=False)], ids=["strangers are refused"])
async def test_a_report_at_the_broker_can_be_turned_off(world: World) -> None:
    digest = world.push().digest
    await world.add(metadata=BOARDS)
    await by_broker(world, told(digest))
    assert runs(world) == []
    assert [letter.type for letter in world.pipeline.dead_letters] == [EventType.TEST_REPORTED]
    assert (await by_api(world, told(digest)))[0] == 200


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        pytest.param({"name": "none"}, "NotFound", id="no such entry"),
        pytest.param({"digest": f"sha256:{'0' * 64}"}, "UnknownDigest", id="a content that it never had"),
        pytest.param({"target": "toaster"}, "UnknownTarget", id="a board that it is not for"),
        pytest.param({"at": "2026-01-02T00:00:00Z"}, "TimeInFuture", id="a time that has not come"),
    ],
)
async def test_a_report_that_makes_no_sense_becomes_a_dead_letter(
    world: World, wrong: dict[str, str], reason: str
) -> None:
    digest = world.push().digest
    await world.add(metadata=BOARDS)
    await by_broker(world, told(digest) | wrong)
    assert len(world.pipeline.dead_letters) == 1
    status, answer = await by_api(world, told(digest) | wrong)
    assert (status, answer["reason"]) == (422, reason)
    assert world.image().status.evidence == []


async def test_a_dead_letter_is_taken_once_the_entry_is_for_the_board(world: World) -> None:
    digest = world.push().digest
    await world.add(metadata=BOARDS)
    assert (await by_api(world, told(digest, target="toaster")))[0] == 422
    world.edit(spec={"metadata": {"targets": [{"name": BOARD}, {"name": "toaster"}]}})
    await world.pipeline.drain()
    assert (await by_api(world, told(digest, target="toaster")))[0] == 200
    assert [(t.name, t.verified) for t in world.image().status.targets] == [(BOARD, False), ("toaster", True)]


async def test_an_entry_that_is_being_removed_takes_no_reports(world: World) -> None:
    digest = world.push().digest
    await world.add(metadata=BOARDS)
    world.edit(metadata={"finalizers": ["example.com/hold"]})
    await world.remove()
    assert (await by_api(world, told(digest)))[1]["reason"] == "NotFound"


class TestTargets:
    async def test_a_build_verifies_nothing(self, world: World) -> None:
        world.push()
        await world.complete(aib={"target": BOARD})
        assert board(world) == TestedTarget(name=BOARD, verified=False)

    async def test_a_new_version_is_untested_whatever_was_tested_or_claimed_before(self, world: World) -> None:
        old = world.push()
        await world.complete(aib={"target": BOARD})
        world.edit(spec={"metadata": {"targets": [{"name": BOARD, "verified": True}]}})
        await world.pipeline.drain()
        assert board(world) == TestedTarget(name=BOARD, verified=True, claimed=old.digest), "somebody says so"
        await by_api(world, told(old.digest))
        new = world.push("another")
        world.clock.advance(_DAY)
        await world.complete("nightly", aib={"target": BOARD})
        registry = world.image().status.registry_metadata
        assert registry is not None
        assert registry.resolved_digest == new.digest
        assert board(world) == TestedTarget(name=BOARD, verified=False, claimed=old.digest)
        assert [item.digest for item in world.image().status.evidence] == [old.digest]
        await by_api(world, told(new.digest), event_id="run-2")
        assert board(world).verified

    async def test_a_tag_that_moves_back_finds_its_tests_again(self, world: World) -> None:
        old = world.push()
        await world.add(metadata=BOARDS)
        await by_api(world, told(old.digest))
        world.push("another")
        await world.pass_time(hours=1)
        assert not board(world).verified
        world.push()
        await world.pass_time(hours=1)
        assert board(world).verified

    async def test_what_somebody_claims_later_is_seen_without_asking_the_registry(self, world: World) -> None:
        world.push()
        await world.add(metadata=BOARDS)
        asked = len(world.registry.requests)
        world.edit(spec={"metadata": {"targets": [{"name": BOARD, "verified": True}]}})
        await world.pipeline.drain()
        assert board(world).verified
        assert len(world.registry.requests) == asked
