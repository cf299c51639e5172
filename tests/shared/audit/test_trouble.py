"""A database that cannot be used is trouble that passes, told in time and without its password."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from image_catalog.audit import AuditStore, NewRecord
from image_catalog.audit._urls import checked_url
from image_catalog.errors import AuditUnavailableError, PermanentError
from image_catalog.testing.postgres import Postgres

Make = Callable[..., NewRecord]


async def unavailable(store: AuditStore, make: Make) -> str:
    """Return what is said of a store that cannot be used."""
    begun = time.monotonic()
    with pytest.raises(AuditUnavailableError) as e:
        await store.append([make("a")])
    assert time.monotonic() - begun < 10
    await store.aclose()
    return e.value.message


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h:5433/d?sslmode=require", "postgresql+psycopg://u@h:5433/d?sslmode=require"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("sqlite:////var/audit.db", "sqlite:////var/audit.db"),
    ],
)
def test_a_url_names_its_driver(url: str, used: str) -> None:
    assert checked_url(SecretStr(url)).get_secret_value() == used


@pytest.mark.parametrize(
    "url", ["", "audit.db", "mysql://u@h/d", "sqlite://", "sqlite:///:memory:", "postgresql://u@h:x/d"]
)
def test_a_database_that_there_is_not_is_refused_at_once(url: str) -> None:
    with pytest.raises(PermanentError, match="the audit's database"):
        AuditStore.open(url)


async def test_a_server_that_is_not_there_is_told_without_its_password(make: Make) -> None:
    password = secrets.token_hex(12)
    with socket.socket() as bound:
        # Nobody listens there, and nobody else can.
        bound.bind(("127.0.0.1", 0))
        url = f"postgresql://u:{password}@127.0.0.1:{bound.getsockname()[1]}/d"
        store = AuditStore.open(url)
        said = await unavailable(store, make)
    assert "Connection refused" in said
    assert password not in said


async def test_a_server_that_never_answers_is_given_up(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d"
        store = AuditStore.open(url, patience=timedelta(seconds=0.5))
        assert await unavailable(store, make) == "the audit's database did not answer within 0.5 seconds"


async def test_a_server_that_stops_while_it_is_used_is_given_up_and_used_again(postgres: Postgres, make: Make) -> None:
    with postgres.database() as url:
        first = AuditStore.open(url)
        await first.migrate()
        await first.aclose()
        store = AuditStore.open(url, patience=timedelta(seconds=4))
        await store.append([make("a")])
        with psycopg.connect(url) as connection:
            pid = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'image-catalog-audit' "
                "AND datname = current_database()"
            ).fetchone()
        assert pid is not None
        os.kill(pid[0], signal.SIGSTOP)
        try:
            with pytest.raises(AuditUnavailableError, match="did not answer within 4 seconds"):
                await store.append([make("b")])
        finally:
            os.kill(pid[0], signal.SIGCONT)
        # The append went on when the server did, and is told once more.
        (kept,) = await store.append([make("b")])
        assert (kept.position, (await store.verify()).breaks) == (2, [])
        await store.aclose()


async def test_a_connection_that_breaks_is_made_anew(postgres: Postgres, make: Make) -> None:
    with postgres.database() as url:
        store = AuditStore.open(url)
        await store.append([make("a")])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'image-catalog-audit' AND datname = current_database()"
            )
        assert (await store.append([make("b")]))[0].position == 2
        await store.aclose()


async def test_another_writer_that_does_not_end_is_not_waited_for_for_ever(tmp_path: Path, make: Make) -> None:
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    store, waiting = AuditStore.open(url), AuditStore.open(url, patience=timedelta(seconds=0.5))
    await store.migrate()
    other = sqlite3.connect(tmp_path / "audit.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(AuditUnavailableError, match="did not answer"):
        await waiting.append([make("a")])
    assert await store.newest() == 0
    other.execute("ROLLBACK")
    other.close()
    assert (await store.append([make("a")]))[0].position == 1
    await waiting.aclose()
    await store.aclose()


async def test_a_store_that_was_closed_says_so(tmp_path: Path, make: Make) -> None:
    store = AuditStore.open(f"sqlite:///{tmp_path / 'audit.db'}")
    await store.append([make("a")])
    await store.aclose()
    await store.aclose()
    with pytest.raises(AuditUnavailableError, match="was closed"):
        await store.append([make("b")])
    with pytest.raises(AuditUnavailableError, match="was closed"):
        await store.verify()


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path, make: Make) -> None:
    store = AuditStore.open(f"sqlite:///{tmp_path / 'absent' / 'audit.db'}")
    assert "unable to open database file" in await unavailable(store, make)


async def test_a_file_that_is_no_database_is_named(tmp_path: Path, make: Make) -> None:
    (tmp_path / "audit.db").write_bytes(b"no database" * 1000)
    assert "not a database" in await unavailable(AuditStore.open(f"sqlite:///{tmp_path / 'audit.db'}"), make)


@pytest.fixture
def read_only(tmp_path: Path) -> str:
    """Give a database that may only be read: by its URL, because permissions do not stop root."""
    path = tmp_path / "audit.db"
    return f"sqlite:///file:{path}?mode=ro&uri=true"


async def test_a_database_that_can_only_be_read_loses_nothing(tmp_path: Path, make: Make, read_only: str) -> None:
    writer = AuditStore.open(f"sqlite:///{tmp_path / 'audit.db'}")
    await writer.append([make("before")])
    assert "readonly database" in await unavailable(AuditStore.open(read_only), make)
    reader = AuditStore.open(read_only)
    assert await reader.find("before") is not None
    await reader.aclose()
    await writer.aclose()


async def test_a_disk_that_is_full_loses_nothing_that_was_acknowledged(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "audit.db"
    store = AuditStore.open(f"sqlite:///{path}")
    await store.append([make("a")])
    # SQLite's own limit ends a file as a disk does; it is kept by the connection, so the pool's one has it.
    limited = store._worker._database
    assert limited is not None
    with limited._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(AuditUnavailableError, match="full"):
        await store.append([make(f"b{i}", data={"text": "x" * 4000}) for i in range(20)])
    assert await store.newest() == 1
    with limited._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert (await store.append([make("b")]))[0].position == 2
    assert (await store.verify()).breaks == []
    await store.aclose()
