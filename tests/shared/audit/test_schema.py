"""The database is made up to date once, by whoever comes first, and never by who is older than it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from image_catalog.audit import AuditStore, NewRecord, _schema
from image_catalog.audit._tables import metadata
from image_catalog.errors import AuditUnavailableError, TransientError
from image_catalog.testing.clock import StillClock

Make = Callable[..., NewRecord]


@pytest.fixture
def database_url(empty_database_url: str) -> str:
    """Give the URL of a database that nothing was made in."""
    return empty_database_url


def engine_of(database_url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))


def set_version(database_url: str, version: str) -> None:
    engine = engine_of(database_url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = :v"), {"v": version})
    engine.dispose()


async def test_the_migrations_make_the_tables_that_the_code_knows(store: AuditStore, database_url: str) -> None:
    assert await store.migrate() == (None, _schema.VERSIONS[-1])
    assert await store.migrate() == (_schema.VERSIONS[-1], _schema.VERSIONS[-1])
    engine = engine_of(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_every_migration_is_named_in_its_order() -> None:
    script = ScriptDirectory(str(_schema._SCRIPTS))
    assert [revision.revision for revision in script.walk_revisions()][::-1] == list(_schema.VERSIONS)


async def test_a_database_that_is_newer_is_refused_with_the_remedy(
    store: AuditStore, make: Make, database_url: str, clock: StillClock
) -> None:
    await store.append([make("a")])
    set_version(database_url, "9999")
    newcomer = AuditStore.open(database_url, clock=clock)
    with pytest.raises(AuditUnavailableError, match=r"version 9999, newer than .* update the function") as refused:
        await newcomer.append([make("b")])
    await newcomer.aclose()
    # What is to be recorded comes again, until somebody has updated the function.
    assert isinstance(refused.value, TransientError)


async def test_a_process_that_runs_on_while_another_migrates_writes_nothing_more(
    store: AuditStore, make: Make, database_url: str
) -> None:
    await store.append([make("a")])
    set_version(database_url, "9999")
    with pytest.raises(AuditUnavailableError, match="newer"):
        await store.append([make("b")])
    with pytest.raises(AuditUnavailableError, match="newer"):
        await store.dead_letters()
    set_version(database_url, _schema.VERSIONS[-1])
    assert (await store.append([make("b")]))[0].position == 2


async def test_a_version_is_looked_at_without_a_change(store: AuditStore, database_url: str) -> None:
    engine = engine_of(database_url)
    assert await store.version() == (None, _schema.VERSIONS[-1])
    assert sqlalchemy.inspect(engine).get_table_names() == []
    await store.migrate()
    assert await store.version() == (_schema.VERSIONS[-1], _schema.VERSIONS[-1])
    engine.dispose()
