"""The folder of a stack: one stack at a time, because its files are what the others are told to use."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from image_catalog.errors import PermanentError

__all__ = ["exclusive"]

_LOCK = "lock"


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Make a folder and keep every other stack out of it.

    The lock goes with the process, however that ends.

    Parameters
    ----------
    folder
        Made when it is absent.

    Raises
    ------
    PermanentError
        Raised if another stack runs in the folder, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as e:
        raise PermanentError(f"the folder {folder} cannot be used ({e.strerror}); choose another with --folder") from e
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            owner = lock.read().strip() or "unknown"
            raise PermanentError(
                f"another stack (process {owner}) runs in {folder}; end it, or choose another folder with --folder"
            ) from e
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
