"""Kubernetes Events: one for each catalog event, and never a reason to fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from image_catalog.cluster import EVENT, CatalogImages, EventRecorder, KubernetesAPI, ObjectReference
from image_catalog.models import CatalogImage, ImageBuild, ObjectMeta
from image_catalog.testing.cluster import Effect, InProcessCluster

NS = "team-a"


@pytest.fixture
def recorder(api: KubernetesAPI, clock: Callable[[], datetime]) -> EventRecorder:
    return EventRecorder(api=api, clock=clock, component="image-catalog-verify")


async def test_event_says_what_happened_to_an_entry(
    api: KubernetesAPI, images: CatalogImages, recorder: EventRecorder, entry: CatalogImage
) -> None:
    created = await images.create(entry)
    assert await recorder.record(created, event_id="1", reason="Verified", message="all is well")
    (found,) = await api.list_all(EVENT, NS)
    assert found["involvedObject"]["kind"] == "CatalogImage"
    assert found["involvedObject"]["uid"] == created.metadata.uid
    assert (found["reason"], found["message"], found["type"]) == ("Verified", "all is well", "Normal")
    assert found["source"]["component"] == "image-catalog-verify"
    assert found["metadata"]["name"].startswith("cs9.")


async def test_redelivery_writes_no_second_event(
    api: KubernetesAPI, recorder: EventRecorder, entry: CatalogImage
) -> None:
    for _ in range(2):
        assert await recorder.record(entry, event_id="1", reason="Verified", message="m")
    assert await recorder.record(entry, event_id="2", reason="Verified", message="m")
    assert len(await api.list_all(EVENT, NS)) == 2


async def test_warning_about_a_build(api: KubernetesAPI, recorder: EventRecorder) -> None:
    build = ImageBuild(metadata=ObjectMeta(name="b", namespace=NS, uid="u"))
    assert await recorder.record(build, event_id="1", reason="PublishRejected", message="m", type="Warning")
    (found,) = await api.list_all(EVENT, NS)
    assert (found["involvedObject"]["kind"], found["type"]) == ("ImageBuild", "Warning")


async def test_event_about_a_cluster_scoped_object_lives_in_the_default_namespace(
    cluster: InProcessCluster, recorder: EventRecorder
) -> None:
    registry = ObjectReference("automotive.sdv.cloud.redhat.com/v1alpha1", "CatalogRegistry", "", "quay")
    await recorder.record(registry, event_id="1", reason="Unreachable", message="m", type="Warning")
    assert cluster.calls[-1].namespace == "default"


@pytest.mark.parametrize(
    "effect", [Effect.FORBIDDEN, Effect.UNAVAILABLE, Effect.TIMEOUT_BEFORE, Effect.INTERNAL], ids=lambda e: e.value
)
async def test_trouble_with_an_event_is_not_the_caller_s(
    cluster: InProcessCluster, recorder: EventRecorder, entry: CatalogImage, effect: Effect
) -> None:
    cluster.fail(effect, resource="events")
    assert await recorder.record(entry, event_id="1", reason="Verified", message="m") is False


async def test_long_names_and_messages_are_cut(api: KubernetesAPI, recorder: EventRecorder) -> None:
    entry = ObjectReference("automotive.sdv.cloud.redhat.com/v1alpha1", "CatalogImage", NS, "n" * 253)
    assert await recorder.record(entry, event_id="1", reason="Verified", message="ä" * 1000)
    (found,) = await api.list_all(EVENT, NS)
    assert len(found["metadata"]["name"]) <= 253
    assert len(found["message"].encode()) <= 1024
    assert found["message"].endswith("ä…")
