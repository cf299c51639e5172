"""How fast `caib catalog download` is beside curl, and what two gigabytes that are cut ten times cost it."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.figures import Figure, spread
from tests.bench.registry_process import LargeBlob, keep_large_blob, registry_process

from image_catalog.cli.download.running import Downloader, Watcher
from image_catalog.cli.download.sources import CatalogSource, RegistryKeys
from image_catalog.cli.download.streams import Client
from image_catalog.cli.download.wanted import WantedFile
from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog
from image_catalog.testing.peaks import peak_of

__all__ = ["measure_downloads"]

_MIB = 1024 * 1024
_CUTS = 10


async def measure_downloads(folder: Path, *, size: int, large: int, pairs: int) -> list[Figure]:
    """Download a blob in turns with curl, then a larger one from a registry that cuts.

    Parameters
    ----------
    folder
        Takes the registry's content and what is downloaded.
    size
        Bytes of the blob that curl fetches too.
    large
        Bytes of the one that is cut.
    pairs
        How often each fetches it.
    """
    ratio = await _beside_curl(folder / "beside", size=size, pairs=pairs)
    return [ratio, *await _cut(folder / "cut", large)]


async def _beside_curl(folder: Path, *, size: int, pairs: int) -> Figure:
    name = "download_ratio_curl"
    if shutil.which("curl") is None:
        return Figure(name=name, value=None, unit="ratio", better="higher", note="needs curl", bar=0.7)
    blob = keep_large_blob(folder / "registry", size)
    ratios, seconds = [], []
    async with registry_process(folder / "registry") as url:
        for number in range(pairs + 1):
            ours = await asyncio.to_thread(_download, blob, url + blob.target, folder / "ours")
            curl = await asyncio.to_thread(_curl, url + blob.target, folder / "curl")
            # The first of each finds no file in the system's memory, and imports what the others have.
            if number:
                ratios.append(curl / ours)
                seconds.append(ours)
    shutil.rmtree(folder)
    note = (
        f"median of {pairs} alternating pairs: a blob of {size // _MIB} MiB from the embedded registry, asked for its "
        f"credential, hashed, compared and renamed, beside `curl -s -o file`; {spread(ratios)}; "
        f"{size / _MIB / statistics.median(seconds):.0f} MiB/s"
    )
    return Figure(name=name, value=statistics.median(ratios), unit="ratio", better="higher", note=note, bar=0.7)


def _download(blob: LargeBlob, url: str, folder: Path) -> float:
    """Fetch the blob as the command does, and return the seconds that it took."""
    path = folder / "disk.raw"
    file = WantedFile(
        name=path.name, path=path, artifact=path.name, type="oci", url=url, digest=blob.digest, size=blob.size
    )
    keys = RegistryKeys(environment={})
    downloader = Downloader(
        source=lambda wanted: CatalogSource(wanted, client=Client(), locate=lambda each: each.url, keys=keys),
        watcher=Watcher(),
    )
    started = time.perf_counter()
    (outcome,) = downloader.run([file])
    took = time.perf_counter() - started
    if outcome.error is not None or not outcome.verified:
        raise RuntimeError(f"not downloaded: {outcome.error}")
    path.unlink()
    return took


def _curl(url: str, path: Path) -> float:
    started = time.perf_counter()
    subprocess.run(["curl", "-s", "-f", "-o", path, url], check=True)
    took = time.perf_counter() - started
    path.unlink()
    return took


async def _cut(folder: Path, size: int) -> list[Figure]:
    blob = keep_large_blob(folder / "registry", size)
    how = f"{size // _MIB} MiB from the embedded registry with `caib catalog download`"
    async with registry_process(folder / "registry", cut_after=size // (_CUTS + 1), cuts=_CUTS) as url:
        started = time.perf_counter()
        code, peak = await asyncio.to_thread(_caib, blob, url, folder / "whole")
        took = time.perf_counter() - started
        kept = sum(path.stat().st_size for path in (folder / "whole").rglob("*") if path.is_file())
        if code or kept != size:
            raise RuntimeError(f"caib ended with {code}, and {kept} bytes are there")
        shutil.rmtree(folder / "whole")
        # It has cut as often as it was told to, and gives the whole file from now on.
        _flip(blob.path, size // 2)
        refused, _ = await asyncio.to_thread(_caib, blob, url, folder / "flipped")
    left = [path for path in (folder / "flipped").rglob("*") if path.is_file()]
    shutil.rmtree(folder)
    return [
        Figure(
            name="download_cut_peak_mib",
            value=peak / _MIB,
            unit="MiB",
            better="lower",
            bar=96,
            note=f"largest resident set of the process: {how}, cut {_CUTS} times; {size / _MIB / took:.0f} MiB/s",
        ),
        Figure(
            name="download_flipped_byte_files",
            value=len(left) + (refused != 1),
            unit="files",
            better="lower",
            bar=0,
            note=f"{how}, one byte flipped in the store: files that are left of it; it ended with {refused}",
        ),
    ]


def _flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def _caib(blob: LargeBlob, url: str, folder: Path) -> tuple[int, int]:
    """Run the command, and return its exit code and the most memory that it took, in bytes."""
    address = url + blob.target
    item = {"type": "oci", "name": "disk.raw", "url": address, "downloadUrl": address}
    item |= {"checksum": blob.digest, "digest": blob.digest}
    caib = Path(sys.executable).with_name("caib")
    with ScriptedCatalog() as catalog:
        body = {"items": [{**item, "sizeBytes": blob.size}], "metadata": {"registryUrl": "quay.io/bench/disks:1"}}
        catalog.answers["GET", "/images/bench/artifacts"] = ScriptedAnswer(200, body)
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "CAIB_SERVER": catalog.url}
        return peak_of([caib, "catalog", "download", "bench", "-o", folder], environment)
