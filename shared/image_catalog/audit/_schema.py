"""The database's version: made up to date on first use, and never touched when it is newer than the code."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection, inspect, select

from image_catalog.audit._database import Database
from image_catalog.audit._tables import versions
from image_catalog.errors import AuditUnavailableError

__all__ = ["VERSIONS", "check", "check_version", "compare", "migrate", "version_of"]

_log = structlog.get_logger(__name__)

VERSIONS: Final = ("0001",)
"""Every version that this code knows, the oldest first. Named here too, so that nothing of alembic is loaded to see
that there is nothing to do."""

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def version_of(connection: Connection) -> str | None:
    """Return the version that a database has; `None` if nothing of ours is in it."""
    if not inspect(connection).has_table(versions.name):
        return None
    return connection.execute(select(versions.c.version_num)).scalar_one_or_none()


def check(connection: Connection) -> None:
    """Refuse to work on a database of another version; asked within each transaction that writes.

    Raises
    ------
    AuditUnavailableError
        Raised if a newer process has migrated the database since.
    """
    check_version(connection.execute(select(versions.c.version_num)).scalar_one_or_none())


def check_version(version: str | None) -> None:
    """Refuse to work on a database of another version.

    Raises
    ------
    AuditUnavailableError
        Raised if it is not the newest one that this code knows.
    """
    if version != VERSIONS[-1]:
        raise _newer(version)


def compare(database: Database) -> tuple[str | None, str]:
    """Return the version that a database has, and the newest that this code knows; nothing is changed.

    Raises
    ------
    AuditUnavailableError
        Raised if the database cannot be used.
    """
    with database.reading() as connection:
        return version_of(connection), VERSIONS[-1]


def migrate(database: Database) -> tuple[str | None, str]:
    """Make a database up to date; of several processes at once one does it, and the others find it done.

    Returns
    -------
    tuple
        The version before, and the version now.

    Raises
    ------
    AuditUnavailableError
        Raised if the database is newer than the code, or cannot be used.
    """
    with database.reading() as connection:
        before = version_of(connection)
    if before == VERSIONS[-1]:
        return before, before
    with database.writing() as connection:
        before = version_of(connection)
        if before is not None and before not in VERSIONS:
            raise _newer(before)
        if before != VERSIONS[-1]:
            _upgrade(connection)
            _log.info("audit database migrated", before=before, now=VERSIONS[-1])
    return before, VERSIONS[-1]


def _upgrade(connection: Connection) -> None:
    from alembic.config import Config  # noqa: PLC0415 - needed once in a database's life, and slow to load
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415 - the same
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - the same

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    with EnvironmentContext(config, script, fn=lambda revision, _: script._upgrade_revs("head", revision)) as migration:  # noqa: SLF001 - what `alembic upgrade` hands over; there is no public way without an env.py
        # Within the transaction that holds the lock: whoever is killed here leaves the version before.
        migration.configure(connection=connection, transactional_ddl=True)
        migration.run_migrations()


def _newer(version: str | None) -> AuditUnavailableError:
    return AuditUnavailableError(
        f"the audit's database has version {version}, newer than {VERSIONS[-1]}, which is all that this code knows: "
        "update the function, or restore the database as it was before the update"
    )
