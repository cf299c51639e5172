"""Which adapter reads the notifications of which kind of registry."""

from __future__ import annotations

from typing import Final

from image_catalog.models.catalogregistry import NotificationType
from image_catalog_functions.api.notifying.senders.distribution import DistributionEnvelope
from image_catalog_functions.api.notifying.senders.docker_hub import DockerHubNotification
from image_catalog_functions.api.notifying.senders.harbor import HarborNotification
from image_catalog_functions.api.notifying.senders.pushes import Notification
from image_catalog_functions.api.notifying.senders.quay import QuayNotification

__all__ = ["NO_HEADERS", "SENDERS"]

SENDERS: Final[dict[NotificationType, type[Notification]]] = {
    NotificationType.DISTRIBUTION: DistributionEnvelope,
    NotificationType.QUAY: QuayNotification,
    NotificationType.HARBOR: HarborNotification,
    NotificationType.DOCKER_HUB: DockerHubNotification,
}

NO_HEADERS: Final = frozenset({NotificationType.QUAY, NotificationType.DOCKER_HUB})
"""Senders that send no header field that an owner can choose: their token may stand in the URL's query."""
