"""A store over each database that there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from image_catalog.audit import AuditStore, NewRecord, StateChange
from image_catalog.testing.clock import StillClock

Make = Callable[..., NewRecord]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'audit.db'}"
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture
def clock() -> StillClock:
    """Tell the store the time."""
    return StillClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
async def store(database_url: str, clock: StillClock) -> AsyncIterator[AuditStore]:
    """Open a store over an empty database."""
    opened = AuditStore.open(database_url, clock=clock)
    yield opened
    await opened.aclose()


@pytest.fixture
def make(clock: StillClock) -> Make:
    """Make a record: `state` is the resource version of the object that it brings."""

    def make_record(event_id: str, name: str | None = "one", *, state: int | None = None, **fields: Any) -> NewRecord:
        metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(state)}
        change = StateChange(object={"metadata": metadata, "spec": {"description": "long " * 200}})
        given: dict[str, Any] = {
            "kind": "image.published",
            "time": clock(),
            "namespace": "default",
            "state": change if state is not None else None,
        }
        return NewRecord(event_id=event_id, name=name, **(given | fields))

    return make_record
