"""Has the processes that write to one file take turns."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

__all__ = ["Turns"]


class Turns:
    """A lock beside a database's file, which writers take before SQLite's own.

    SQLite has those who wait look again every 100 ms, in no order: of several
    busy processes one can wait for as long as it has patience. The kernel wakes
    the next one at once. Without the lock, in a folder that cannot be written
    for example, all is as safe and only slower.

    Parameters
    ----------
    path
        The lock's file; `None` where the database itself sees to the order.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._threads = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for one's turn, and keep it."""
        # The file's lock is the process's; threads of one take turns among themselves.
        with self._threads:
            file = self._open()
            if file is None:
                yield
                return
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> IO[bytes] | None:
        if self._file is None and self._path is not None:
            try:
                # Open for as long as the database is: not to be closed here.
                self._file = open(self._path, "ab")  # noqa: PTH123, SIM115 - the same
            except OSError:
                self._path = None
        return self._file
