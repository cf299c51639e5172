"""The verify function with everything that belongs to it, in this process."""

from __future__ import annotations

import inspect
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from image_catalog.cluster import CATALOG_IMAGE, CATALOG_REGISTRY, KubernetesAPI, Transport
from image_catalog.config import Settings
from image_catalog.context import Context
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent
from image_catalog.models import CatalogImage
from image_catalog.models.events import VerificationReason, VerificationRequest
from image_catalog.registry.limits import Timeouts
from image_catalog_functions.verify.main import main

__all__ = ["NAMESPACE", "VerifyFunction", "allow_registry", "create_entry"]

NAMESPACE = "default"

_handle: Any = inspect.unwrap(main)


class VerifyFunction:
    """The real handler over the real registry client, on a clock that can be put forward.

    Parameters
    ----------
    transport
        Leads to the cluster.
    timeouts
        How long a registry is waited for; as in a cluster by default.
    """

    def __init__(self, transport: Transport, *, timeouts: Timeouts | None = None) -> None:
        self._ahead = timedelta()
        self.context = Context.build(settings=Settings(), transport=transport, clock=self.now, timeouts=timeouts)

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC) + self._ahead

    def wait(self, time: timedelta) -> None:
        """Put the clock forward, so that entries are due."""
        self._ahead += time

    async def verify(self, name: str) -> list[CatalogEvent]:
        """Hand over the event that reverify emits for an entry that is due."""
        request = VerificationRequest(name=name, namespace=NAMESPACE, reason=VerificationReason.DUE)
        event = ReceivedEvent(
            id=str(uuid.uuid4()), source="/bench", type=EventType.VERIFICATION_REQUESTED, data=request
        )
        events: list[CatalogEvent] = await _handle(event, self.context)
        return events

    async def entry(self, name: str) -> CatalogImage:
        """Read an entry that is there."""
        found = await self.context.images.get(NAMESPACE, name)
        assert found is not None
        return found


async def allow_registry(api: KubernetesAPI, host: str) -> None:
    """Let a registry on loopback be asked, and over plain http."""
    spec = {"host": host, "endpoint": f"http://{host}", "allowPrivateNetworks": True}
    await api.create(CATALOG_REGISTRY, {"metadata": {"name": "bench"}, "spec": spec})


async def create_entry(api: KubernetesAPI, name: str, url: str) -> None:
    """Create an entry as a person does."""
    await api.create(CATALOG_IMAGE, {"metadata": {"name": name}, "spec": {"registryUrl": url}}, NAMESPACE)
