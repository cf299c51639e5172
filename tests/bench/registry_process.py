"""A registry beside whoever downloads: a process of its own, with one large blob, which may cut connections."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from image_catalog.local.registry import EmbeddedRegistry, RegistryStore
from image_catalog.testing.registry import FakeRegistry
from image_catalog.testing.registry_faults import Cut

__all__ = ["LargeBlob", "keep_large_blob", "registry_process"]

REPOSITORY = "bench/disks"
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LargeBlob:
    """A blob in a registry's folder.

    Attributes
    ----------
    digest
        Its digest.
    size
        Its bytes.
    path
        Where they are.
    """

    digest: str
    size: int
    path: Path

    @property
    def target(self) -> str:
        """Path of its URL."""
        return f"/v2/{REPOSITORY}/blobs/{self.digest}"


def keep_large_blob(root: Path, size: int) -> LargeBlob:
    """Put a blob into a registry's folder that does not compress, without having it in memory.

    Parameters
    ----------
    root
        The folder.
    size
        Bytes.
    """
    made, digest, noise = root / "made", hashlib.sha256(), os.urandom(_PIECE)
    root.mkdir(parents=True, exist_ok=True)
    with made.open("wb") as file:
        for start in range(0, size, _PIECE):
            piece = (start.to_bytes(8) + noise[8:])[: size - start]
            digest.update(piece)
            file.write(piece)
    name = digest.hexdigest()
    place = root / "blobs" / "sha256" / name[:2] / name
    place.parent.mkdir(parents=True, exist_ok=True)
    made.rename(place)
    mark = root / "repositories" / REPOSITORY / "_blobs" / "sha256" / name
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    blob = RegistryStore(root).blob(REPOSITORY, f"sha256:{name}")
    if blob is None or blob.size != size:
        raise RuntimeError("the registry keeps its blobs in another way now")
    return LargeBlob(blob.digest, size, blob.path)


@asynccontextmanager
async def registry_process(root: Path, *, cut_after: int | None = None, cuts: int = 0) -> AsyncIterator[str]:
    """Serve a registry's folder from a process of its own, and tell its URL.

    Parameters
    ----------
    root
        The folder.
    cut_after
        Bytes after which an answer with a blob is cut.
    cuts
        How many answers are.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, str(root), str(cut_after or 0), str(cuts)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            url = await process.stdout.readline()
        yield url.decode().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _serve(root: Path, cut_after: int, cuts: int) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    if cuts:
        fake = FakeRegistry(root)
        fake.fail(Cut(after=cut_after), kind="blob", method="GET", times=cuts)
        async with fake.serve():
            print(fake.url, flush=True)  # noqa: T201 - who started it reads it
            await ended.wait()
    else:
        async with EmbeddedRegistry(root) as registry:
            print(registry.url, flush=True)  # noqa: T201 - the same
            await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
