"""One blob upload: bytes to disk, the digest computed while they come."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

__all__ = ["Upload"]


class Upload:
    """A blob that is on its way in.

    Parameters
    ----------
    identifier
        The last part of the upload's URL.
    repository
        Where the blob goes.
    path
        Where its bytes are kept until the digest has been checked.
    """

    def __init__(self, *, identifier: str, repository: str, path: Path) -> None:
        self.identifier = identifier
        self.repository = repository
        self.path = path
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._one_sender = asyncio.Lock()
        path.touch()

    async def receive(self, chunks: AsyncIterator[bytes]) -> None:
        """Append what comes.

        When the sender goes away in the middle, `size` tells how much is kept
        and the sender may go on from there.
        """
        async with self._one_sender:
            await self._append(chunks)

    async def _append(self, chunks: AsyncIterator[bytes]) -> None:
        with self.path.open("r+b") as file:
            # A sender that was cut off may have left bytes that were never counted.
            file.truncate(self.size)
            file.seek(self.size)
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
                self._sha256.update(chunk)
                self.size += len(chunk)

    def digest(self, algorithm: str) -> str:
        """Return the digest of what has come."""
        if algorithm == "sha256":
            return f"sha256:{self._sha256.hexdigest()}"
        # Nobody knows at the first chunk that the last one will ask for another algorithm.
        with self.path.open("rb") as file:
            return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"

    def discard(self) -> None:
        """Drop what has come."""
        self.path.unlink(missing_ok=True)
