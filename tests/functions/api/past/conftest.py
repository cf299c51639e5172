"""The API in one process, with a history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from image_catalog.audit import AuditStore, NewRecord, StateChange
from image_catalog.config import ApiAuth, Settings
from image_catalog.context import Context
from image_catalog.testing.catalog_samples import sample_image
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.lifespan import alive
from image_catalog_functions.api.app import BASE
from image_catalog_functions.api.assembly import assemble
from image_catalog_functions.api.http.asgi import ASGIApp
from image_catalog_functions.api.services import Services

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> StillClock:
    return StillClock(NOON)


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Give the API a database."""
    return Settings(database_url=SecretStr(database_url))


@pytest.fixture
async def services(settings: Settings, clock: StillClock) -> AsyncIterator[Services]:
    """Make what the API works with; everybody may do everything."""
    async with InProcessCluster() as cluster:
        yield assemble(
            Context.build(settings=settings, transport=cluster.transport("api"), clock=clock), auth=ApiAuth.NONE
        )


@pytest.fixture
async def client(services: Services, application: Callable[[Services], ASGIApp]) -> AsyncIterator[httpx.AsyncClient]:
    """Ask the API, whose feeds have seen everything that the cluster has."""
    app = application(services)
    transport = httpx.ASGITransport(app)
    async with alive(app), httpx.AsyncClient(transport=transport, base_url=f"http://api.test{BASE}/") as client:
        for feed in (services.image_feed, services.build_feed):
            await feed.filled.wait()
        yield client


class Past:
    """Writes a history."""

    def __init__(self, store: AuditStore, clock: StillClock) -> None:
        self.store = store
        self._clock = clock
        self._version = 0

    def object(self, number: int = 0, *, namespace: str = "default", **spec: Any) -> dict[str, Any]:
        """Make an entry, newer than all before."""
        self._version += 1
        made = sample_image(number, namespaces=(namespace,))
        metadata = {**made["metadata"], "namespace": namespace, "resourceVersion": str(self._version)}
        return {**made, "metadata": metadata, "spec": {**made["spec"], **spec}}

    async def happens(self, kind: str, obj: dict[str, Any], *, keeps: bool = True, **fields: Any) -> NewRecord:
        """Let something happen to an entry now, and let the history know."""
        metadata, data = obj["metadata"], fields.pop("data", {})
        record = NewRecord(
            event_id=f"event-{metadata['resourceVersion']}-{kind}",
            kind=kind,
            namespace=metadata["namespace"],
            name=metadata["name"],
            time=self._clock(),
            state=StateChange(object=obj, removed=kind == "image.removed") if keeps else None,
            data=data,
            **fields,
        )
        await self.store.append([record])
        self._clock.advance(minutes=1)
        return record


@pytest.fixture
def past(services: Services, clock: StillClock) -> Past:
    """Write the history that the API reads."""
    return Past(services.require_audit(), clock)
