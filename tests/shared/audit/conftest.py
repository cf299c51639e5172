"""A store over each database that there is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from image_catalog.audit import AuditStore, NewRecord, StateChange
from image_catalog.testing.clock import StillClock

if TYPE_CHECKING:
    from image_catalog.testing.postgres import Postgres

Make = Callable[..., NewRecord]


def migrate(url: str) -> None:
    async def work() -> None:
        store = AuditStore.open(url)
        await store.migrate()
        await store.aclose()

    asyncio.run(work())


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a file that tests begin with a copy of: to migrate one for each takes longer than most of them."""
    path = tmp_path_factory.mktemp("audit") / "migrated.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres: Postgres) -> Iterator[str]:
    """Make a database that tests begin with a copy of."""
    with postgres.database() as url:
        migrate(url)
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database without records."""
    if request.param == "sqlite":
        path = tmp_path / "audit.db"
        shutil.copyfile(request.getfixturevalue("migrated_file"), path)
        yield f"sqlite:///{path}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database(template=request.getfixturevalue("migrated_database")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database that nothing was made in."""
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
