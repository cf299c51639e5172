"""What the people of the story do: complete builds, edit entries, post events, look."""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson

from image_catalog.cluster import (
    CATALOG_IMAGE,
    IMAGE_BUILD,
    SECRET,
    CatalogImages,
    KubernetesAPI,
    ResourceKind,
)
from image_catalog.events import EventType
from image_catalog.local.clients import trust_for
from image_catalog.local.demo.registries import RegistryControl
from image_catalog.local.demo.subscriber import EventSubscriber
from image_catalog.local.figures import Figures
from image_catalog.models import CatalogImage, Phase, format_time

__all__ = ["NAMESPACE", "Taken", "World", "is_available"]

NAMESPACE = "default"
_PATIENCE = timedelta(seconds=20)
_LOOK_EVERY = timedelta(milliseconds=20)
_ROLE_BINDING = ResourceKind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")


@dataclass(frozen=True, slots=True)
class Taken:
    """An entry as it became, and how long that took."""

    image: CatalogImage
    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The stack, as the people of the story meet it.

    Parameters
    ----------
    api
        The cluster, as its administrator.
    registry
        The registry that answers for quay.io.
    broker_url
        The broker's ingress.
    subscriber
        Sees every catalog event.
    settle
        Waits until no event is under way.
    caib
        Runs ``caib catalog`` with these arguments, and gives what it prints.
    figures
        Scrapes every process.
    """

    api: KubernetesAPI
    registry: RegistryControl
    broker_url: str
    subscriber: EventSubscriber
    settle: Callable[[], Any]
    caib: Callable[..., Awaitable[str]]
    figures: Callable[[], Awaitable[Figures]]

    @property
    def images(self) -> CatalogImages:
        """The entries."""
        return CatalogImages(api=self.api)

    async def build(self, name: str, spec: dict[str, Any], *, completed: datetime | None = None) -> None:
        """Create an ImageBuild and complete it, as the build operator does.

        Parameters
        ----------
        name
            Its name.
        spec
            Its spec, in either shape.
        completed
            When it says that it completed; now when absent.
        """
        await self.api.create(IMAGE_BUILD, {"metadata": {"name": name}, "spec": spec}, NAMESPACE)
        await self.complete(name, completed=completed)

    async def complete(self, name: str, *, completed: datetime | None = None) -> None:
        """Let a build complete, once more if it has before."""
        status = {"phase": "Completed", "completionTime": format_time(completed or datetime.now(UTC))}
        await self.api.patch_status(IMAGE_BUILD, name, NAMESPACE, status, resource_version=None)

    async def touch_build(self, name: str) -> None:
        """Change something about a build that matters to nobody, so that an update event goes out."""
        annotations = {"example.com/touched": str(uuid.uuid4())}
        await self.api.patch(IMAGE_BUILD, name, NAMESPACE, {"metadata": {"annotations": annotations}})

    async def create_entry(self, name: str, spec: dict[str, Any]) -> None:
        """Create an entry by hand, as `kubectl apply` does."""
        await self.api.create(CATALOG_IMAGE, {"metadata": {"name": name}, "spec": spec}, NAMESPACE)

    async def edit_entry(self, name: str, spec: dict[str, Any]) -> None:
        """Edit an entry's spec, as `kubectl patch --type=merge` does."""
        await self.api.patch(CATALOG_IMAGE, name, NAMESPACE, {"spec": spec})

    async def create_pull_secret(self, name: str, host: str, account: tuple[str, str]) -> None:
        """Create a Secret as `kubectl create secret docker-registry` does."""
        auth = base64.b64encode(":".join(account).encode()).decode()
        config = orjson.dumps({"auths": {host: {"auth": auth}}})
        body = {
            "metadata": {"name": name},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": base64.b64encode(config).decode()},
        }
        await self.api.create(SECRET, body, NAMESPACE)

    async def allow_secrets(self) -> None:
        """Let the functions read the namespace's Secrets, as its owner does."""
        accounts = [{"kind": "ServiceAccount", "name": n, "namespace": "image-catalog"} for n in ("publish", "verify")]
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "image-catalog-secret-reader"}
        body = {"metadata": {"name": "image-catalog-secret-reader"}, "roleRef": role, "subjects": accounts}
        await self.api.create(_ROLE_BINDING, body, NAMESPACE)

    async def post(self, data: dict[str, Any], *, event_type: EventType = EventType.PUBLISH_REQUESTED) -> None:
        """Post one CloudEvent to the broker, as any system can."""
        headers = {
            "ce-specversion": "1.0",
            "ce-id": str(uuid.uuid4()),
            "ce-source": "/demo",
            "ce-type": str(event_type),
            "ce-time": datetime.now(UTC).isoformat(),
            "content-type": "application/json",
        }
        async with httpx.AsyncClient(trust_env=False, verify=trust_for(self.broker_url), timeout=10) as client:
            response = await client.post(self.broker_url, headers=headers, content=orjson.dumps(data))
            response.raise_for_status()

    async def entry(self, name: str) -> CatalogImage | None:
        """Look at an entry."""
        return await self.images.get(NAMESPACE, name)

    async def until(self, name: str, holds: Callable[[CatalogImage], bool], wanted: str) -> Taken:
        """Look at an entry until something holds true of it.

        Parameters
        ----------
        name
            The entry.
        holds
            What shall hold true.
        wanted
            The same in words.

        Raises
        ------
        TimeoutError
            Raised if it does not come true; the message says what is there instead.
        """
        started = time.monotonic()
        image = None
        while time.monotonic() - started < _PATIENCE.total_seconds():
            image = await self.entry(name)
            if image is not None and holds(image):
                return Taken(image, round((time.monotonic() - started) * 1000))
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
        raise TimeoutError(f"{NAMESPACE}/{name} was to be {wanted}; after {_PATIENCE.seconds} s it is {_told(image)}")

    async def until_gone(self, name: str) -> None:
        """Look until an entry is gone.

        Raises
        ------
        TimeoutError
            Raised if it stays.
        """
        deadline = time.monotonic() + _PATIENCE.total_seconds()
        while await self.entry(name) is not None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{NAMESPACE}/{name} was to go and is still there")
            await asyncio.sleep(_LOOK_EVERY.total_seconds())


def _told(image: CatalogImage | None) -> str:
    if image is None:
        return "not there"
    available = image.status.condition("Available")
    return f"{image.status.phase or 'without a phase'} ({available.message if available else 'no condition yet'})"


def is_available(image: CatalogImage) -> bool:
    """Tell whether an entry is Available as it stands, and not as it was before its last edit."""
    return image.status.phase is Phase.AVAILABLE and image.status.observed_generation == image.metadata.generation
