"""The pipeline with a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from image_catalog.audit import AuditStore, Record, RecordQuery
from image_catalog.config import Settings
from image_catalog.testing.world import World


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Give every function a database."""
    return Settings(database_url=SecretStr(database_url), removal_wait=timedelta())


@pytest.fixture
async def store(database_url: str, world: World) -> AsyncIterator[AuditStore]:
    """Read what the audit function has kept."""
    store = AuditStore.open(database_url, clock=world.clock.now)
    yield store
    await store.aclose()


class Told:
    """What the audit tells."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def records(self, **asked: object) -> list[Record]:
        """Return the records, oldest first."""
        page = await self._store.query(RecordQuery(**asked))  # type: ignore[arg-type]  # the fields of RecordQuery
        return page.items[::-1]

    async def lines(self, **asked: object) -> list[tuple[str, str, str, bool]]:
        """Return what, who, how it ended and whether the entry shows it, oldest first."""
        return [(r.kind, r.actor, r.outcome.value, r.confirmed) for r in await self.records(**asked)]


@pytest.fixture
def told(store: AuditStore) -> Told:
    """Tell what was kept."""
    return Told(store)
