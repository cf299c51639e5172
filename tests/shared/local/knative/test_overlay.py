"""The committed overlay is all that the local stack interprets."""

from __future__ import annotations

from image_catalog.local.knative import Destination, Manifests, read_manifests
from image_catalog.local.manifests import load_manifests


def destinations(manifests: Manifests) -> list[Destination]:
    dead_letters = [trigger.delivery.dead_letter_sink for trigger in manifests.triggers]
    return [
        *(trigger.subscriber for trigger in manifests.triggers),
        *(sink for sink in dead_letters if sink),
        *(source.sink for source in manifests.api_server_sources),
        *(source.sink for source in manifests.ping_sources),
        *(end for binding in manifests.sink_bindings for end in (binding.subject, binding.sink)),
    ]


def test_every_destination_of_the_local_overlay_is_part_of_it() -> None:
    manifests = read_manifests(load_manifests())

    services = {("Service", service.namespace, service.name) for service in manifests.services}
    brokers = {("Broker", broker.namespace, broker.name) for broker in manifests.brokers}
    wanted = {(end.kind, end.namespace, end.name) for end in destinations(manifests)}
    assert manifests.triggers
    assert manifests.api_server_sources
    assert wanted <= services | brokers
