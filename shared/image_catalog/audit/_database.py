"""Connections and transactions, and the one place where a database's own errors become ours."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from image_catalog.audit._turns import Turns
from image_catalog.errors import AuditUnavailableError, PermanentError
from image_catalog.redaction import REDACTED, redact_text

__all__ = ["Database"]

_CONNECT_TIMEOUT: Final = 3
"""Seconds. A database in the same cluster answers in milliseconds; past this the event is better redelivered."""

_STATEMENT_TIMEOUT: Final = 10
"""Seconds that one statement may take, or wait for another writer."""

_WRITER: Final = {"audit_writer": True}

# Any number does, as long as everybody who appends takes the same; the other one tells a database's schemas apart.
_LOCK: Final = "SELECT pg_advisory_xact_lock(1229144897, hashtext(current_schema()))"

_SWITCHES: Final = 50
_SWITCH_PAUSE: Final = 0.02
"""Seconds. To turn write-ahead logging on, SQLite needs the file for itself, and does not wait for it."""


class Database:
    """One database: SQLite's file, or PostgreSQL.

    Parameters
    ----------
    url
        As `checked_url` returns it.
    """

    def __init__(self, url: SecretStr) -> None:
        try:
            self._url = sqlalchemy.make_url(url.get_secret_value())
        except (SQLAlchemyError, ValueError) as e:
            raise PermanentError("the URL of the audit's database makes no sense") from e
        self.sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _sqlite(self._url) if self.sqlite else _postgresql(self._url)
        # What a driver raises where SQLAlchemy does not stand between: while a new connection is prepared.
        self._foreign: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        self._turns = Turns(f"{self._url.database}-turn" if self.sqlite else None)

    @contextmanager
    def reading(self, *, patient: bool = False) -> Iterator[Connection]:
        """Open a transaction that reads; all that it reads is of one moment.

        Parameters
        ----------
        patient
            Whether a statement may take as long as it needs.

        Raises
        ------
        AuditUnavailableError
            Raised if the database does not answer, or cannot be read.
        """
        options: dict[str, Any] = {}
        if not self.sqlite:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._converted(), self._engine.connect() as connection:
            connection.execution_options(**options)
            with connection.begin():
                if patient and not self.sqlite:
                    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes, and wait for every other one: they commit in the order in which they begin.

        Raises
        ------
        AuditUnavailableError
            Raised if the database does not answer, cannot be written, or
            others write for too long. Nothing is written then; only when the
            connection breaks during the commit nobody knows.
        """
        with self._converted(), self._turns.taken(), self._engine.connect() as connection:
            connection.execution_options(**_WRITER)
            with connection.begin():
                if not self.sqlite:
                    connection.exec_driver_sql(_LOCK)
                yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
        self._turns.close()

    @contextmanager
    def _converted(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, NoConnectionError, self._foreign, OSError) as e:
            cause = e.orig if isinstance(e, DBAPIError) and e.orig is not None else e
            where = "file" if self.sqlite else "server"
            raise AuditUnavailableError(f"the audit's database cannot be used: {self._said(cause)} ({where})") from e

    def _said(self, error: BaseException) -> str:
        text = " ".join(str(error).split()) or type(error).__name__
        if password := self._url.password:
            text = text.replace(str(password), REDACTED)
        return redact_text(text)[:300]


def _sqlite(url: sqlalchemy.URL) -> Engine:
    engine = sqlalchemy.create_engine(
        url, hide_parameters=True, connect_args={"timeout": _STATEMENT_TIMEOUT, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own way with transactions begins none for a SELECT, and none that writes at once.
        connection.isolation_level = None
        _use_write_ahead_log(connection)
        # What is acknowledged to a broker never comes again, so it has to outlive a power cut.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # One that reads first and then writes fails, when another has written in between, without waiting.
        writes = connection.get_execution_options().get("audit_writer")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    for _ in range(_SWITCHES):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise
            time.sleep(_SWITCH_PAUSE)
        else:
            return


def _postgresql(url: sqlalchemy.URL) -> Engine:
    import psycopg  # noqa: PLC0415 - a third of what this module costs, and nothing of it for a file

    engine = sqlalchemy.create_engine(
        url,
        module=psycopg,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_timeout=_STATEMENT_TIMEOUT,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT,
            "tcp_user_timeout": 1000 * _STATEMENT_TIMEOUT,
            "keepalives_idle": _STATEMENT_TIMEOUT,
            "application_name": "image-catalog-audit",
        },
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: psycopg.Connection[Any], _record: object) -> None:
        connection.autocommit = True
        for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(f"SET {limit} = '{_STATEMENT_TIMEOUT}s'")
        connection.autocommit = False

    return engine
