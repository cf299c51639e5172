"""The watch that sees promises being broken."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import stamina
from tests.chaos.watching import Chronicle, Post

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.local.knative import DeliveryRecord, Outcome
from image_catalog.models.names import API_VERSION
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.simulation.invariants import make_invariants

ENTRY: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "CatalogImage",
    "metadata": {"name": "autosd", "namespace": "team-a"},
    "spec": {"registryUrl": "quay.io/acme/autosd:1"},
}


def record(subject: str, outcome: Outcome = Outcome.DELIVERED) -> DeliveryRecord:
    return DeliveryRecord(
        event_type="com.redhat.automotive.catalog.image.available",
        event_id="1",
        source="/here",
        subject=subject,
        trigger="verify",
        function="verify",
        attempt=1,
        status=204,
        elapsed=timedelta(),
        outcome=outcome,
    )


async def test_an_entry_that_goes_back_to_an_older_build_is_told_with_its_story() -> None:
    cluster = InProcessCluster(namespaces=("team-a",))
    api = cluster.api("person")
    chronicle = Chronicle(api, make_invariants(outside=True))
    watching = asyncio.create_task(chronicle.run())
    await chronicle.wait_filled()
    await api.create(CATALOG_IMAGE, ENTRY, "team-a")
    for day in (2, 1):
        source = {"name": f"of-day-{day}", "namespace": "team-a", "completionTime": f"2026-01-0{day}T00:00:00Z"}
        await api.patch_status(CATALOG_IMAGE, "autosd", "team-a", {"sourceImageBuild": source}, resource_version=None)
    async for attempt in stamina.retry_context(on=AssertionError, attempts=None, timeout=10, wait_initial=0.01):
        with attempt:
            assert chronicle.violations
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    (told,) = chronicle.violations
    assert "never-back-to-an-older-build" in told
    assert "build=of-day-2" in told
    assert "build=of-day-1" in told


def test_an_id_that_stands_for_two_facts_is_told() -> None:
    post = Post(make_invariants(outside=True))
    post(record("team-a/autosd"))
    post(record("team-a/autosd"))
    assert post.violations == []
    post(record("team-a/other"))
    assert "one-id-one-fact" in post.violations[0]


def test_an_event_counts_as_taken_only_while_nobody_has_lost_it() -> None:
    post = Post(())
    post(record("team-a/autosd"))
    assert post.acknowledged("1", "publish", "verify")
    assert not post.acknowledged("1", "publish")
    post(record("team-a/autosd", Outcome.DROPPED))
    assert not post.acknowledged("1", "publish", "verify")
