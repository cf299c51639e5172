from __future__ import annotations

import uuid

import pytest

from image_catalog.events import CatalogEvent, EventType, ReceivedEvent, event_id, image_attributes, removal_id
from image_catalog.models import CatalogImage
from image_catalog.models.events import ImageRemoved, PublishRejected, RejectionReason

DIGEST = "sha256:" + "a" * 64
CAUSE = ReceivedEvent(id="cause", source="/s", type="t", data=None)


def image(**changes: object) -> CatalogImage:
    return CatalogImage.from_object(
        {
            "metadata": {"name": "autosd", "namespace": "default", "uid": "u-1"},
            "spec": {"registryUrl": "quay.io/acme/autosd:1", "metadata": changes.get("metadata")},
            "status": changes.get("status", {}),
        }
    )


def test_the_id_is_the_same_for_the_same_cause_type_and_subject() -> None:
    first = event_id("c", EventType.IMAGE_PUBLISHED, "a/b")
    assert first == event_id("c", EventType.IMAGE_PUBLISHED, "a/b")
    assert uuid.UUID(first).version == 5
    others = {
        event_id("d", EventType.IMAGE_PUBLISHED, "a/b"),
        event_id("c", EventType.IMAGE_AVAILABLE, "a/b"),
        event_id("c", EventType.IMAGE_PUBLISHED, "a/c"),
    }
    assert len(others - {first}) == 3


def test_the_ids_of_released_versions_never_change() -> None:
    # Whoever keeps ids, the audit history first of all, would otherwise see old events as new ones.
    assert event_id("cause", EventType.IMAGE_PUBLISHED, "default/autosd") == "b28074f8-70fd-5d1f-9d16-182409a503ce"
    assert removal_id("u-1") == "bf7db564-fa08-5d2f-9a3a-8952f23da809"


def test_a_removal_has_one_id_whatever_caused_it() -> None:
    data = ImageRemoved(name="autosd", namespace="default", registry_url="quay.io/acme/autosd:1")
    causes = [CAUSE, ReceivedEvent(id="another", source="/s", type="t", data=None)]
    ids = {CatalogEvent.of_image(EventType.IMAGE_REMOVED, image(), data, cause=cause).id for cause in causes}
    assert ids == {removal_id("u-1")}


def test_attributes_say_what_subscribers_filter_on() -> None:
    attributes = image_attributes(
        image(
            metadata={
                "architecture": "aarch64",
                "distro": "cs9",
                "targets": [{"name": "raspberry-pi"}, {"name": "qemu"}],
            },
            status={"phase": "Available", "registryMetadata": {"resolvedDigest": DIGEST}},
        )
    )
    assert attributes == {
        "catalognamespace": "default",
        "catalogname": "autosd",
        "partitionkey": "default/autosd",
        "architecture": "arm64",
        "distro": "cs9",
        "target": "raspberry-pi",
        "targets": ",raspberry-pi,qemu,",
        "phase": "Available",
        "digest": DIGEST,
    }


def test_an_attribute_without_a_value_is_absent() -> None:
    assert image_attributes(image()) == {
        "catalognamespace": "default",
        "catalogname": "autosd",
        "partitionkey": "default/autosd",
    }


def test_what_holds_of_an_image_wins_over_what_was_typed() -> None:
    said = {"architecture": "amd64", "distro": "cs9", "targets": [{"name": "qemu"}]}
    holds = {"architecture": "arm64,riscv64", "distro": "autosd", "targets": ["rpi4", "ride4"]}
    attributes = image_attributes(image(metadata=said, status={"effectiveMetadata": holds}))
    assert (attributes["architecture"], attributes["distro"]) == ("arm64", "autosd")
    assert (attributes["target"], attributes["targets"]) == ("rpi4", ",rpi4,ride4,")


def test_an_event_about_an_image_names_it() -> None:
    data = ImageRemoved(name="autosd", namespace="default", registry_url="quay.io/acme/autosd:1")
    event = CatalogEvent.of_image(EventType.IMAGE_REMOVED, image(), data, cause=CAUSE)
    assert event.subject == "default/autosd"
    prefix = "/apis/automotive.sdv.cloud.redhat.com/v1alpha1/namespaces/default/catalogimages"
    assert event.source == f"{prefix}/autosd"


def test_a_refusal_before_there_was_a_name_is_about_the_namespace() -> None:
    data = PublishRejected(namespace="default", reason=RejectionReason.INVALID_REFERENCE, message="no host")
    event = CatalogEvent.of_name(EventType.PUBLISH_REJECTED, "default", None, data, cause=CAUSE)
    assert event.subject == "default/"
    assert "catalogname" not in event.attributes


def test_data_of_another_type_is_refused() -> None:
    data = PublishRejected(namespace="default", reason=RejectionReason.NAME_TAKEN, message="")
    with pytest.raises(TypeError, match="carries ImagePublished, not PublishRejected"):
        CatalogEvent.of_image(EventType.IMAGE_PUBLISHED, image(), data, cause=CAUSE)
