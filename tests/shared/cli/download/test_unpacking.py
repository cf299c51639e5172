"""Packed files: unpacked whole, within their bounds, or not at all."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame  # type: ignore[import-untyped]  # it has no types
import pytest

from image_catalog.cli.download.unpacking import unpack
from image_catalog.testing.file_server import FileServer

pytestmark = pytest.mark.story

CONTENT = os.urandom(50_000) + bytes(2_250_000)

Serve = Callable[..., dict[str, Any]]
Packer = Callable[[bytes], bytes]

PACKERS: dict[str, Packer] = {".gz": gzip.compress, ".lz4": lz4.frame.compress, ".xz": lzma.compress}


@pytest.fixture
def serve(listed: Callable[..., dict[str, Any]], offer: Any) -> Serve:
    """Return what serves a file, and has the catalog list it alone."""

    def make(name: str, content: bytes, **more: Any) -> dict[str, Any]:
        item: dict[str, Any] = listed(name, content, **more)
        offer(item)
        return item

    return make


parametrised = pytest.mark.parametrize("suffix", PACKERS)


@parametrised
def test_a_packed_file_is_there_unpacked(download: Any, serve: Serve, suffix: str) -> None:
    serve(f"disk.raw{suffix}", PACKERS[suffix](CONTENT), decompressedSizeBytes=len(CONTENT))
    ran = download("--decompress")
    assert (ran.code, ran.err) == (0, "")
    assert "unpacked 2.3 MB, checksum OK" in ran.out
    assert (download.folder / "disk.raw").read_bytes() == CONTENT
    assert download.left() == [".disk.raw.caib.json", "disk.raw"]


@parametrised
def test_without_decompress_it_stays_packed(download: Any, serve: Serve, suffix: str) -> None:
    serve(f"disk.raw{suffix}", PACKERS[suffix](CONTENT))
    assert download().code == 0
    assert download.left() == [f"disk.raw{suffix}"]


@parametrised
def test_packed_files_behind_one_another_are_one(download: Any, serve: Serve, suffix: str) -> None:
    pack = PACKERS[suffix]
    padding = b"" if suffix == ".lz4" else bytes(512)
    serve(f"disk.raw{suffix}", pack(CONTENT[:1000]) + pack(b"") + pack(CONTENT[1000:]) + padding)
    ran = download("--decompress")
    assert (ran.code, ran.err) == (0, "")
    assert (download.folder / "disk.raw").read_bytes() == CONTENT


@parametrised
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda packed: packed[: len(packed) // 2], "ends in the middle"),
        (lambda packed: packed + b"garbage" * 9, "cannot be unpacked as"),
        (lambda _: b"not packed at all", "cannot be unpacked as"),
        (lambda _: b"", "ends in the middle"),
    ],
    ids=["cut", "followed by garbage", "something else", "empty"],
)
def test_what_is_broken_leaves_no_file(download: Any, serve: Serve, suffix: str, spoil: Packer, said: str) -> None:
    serve(f"disk.raw{suffix}", spoil(PACKERS[suffix](CONTENT)))
    ran = download("--decompress")
    assert (ran.code, said in ran.err) == (1, True)
    assert not {"disk.raw", "disk.raw.part"} & {path.name for path in download.folder.iterdir()}


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1, 5], ids=["a byte more", "a byte less", "a bomb"])
def test_what_becomes_of_it_must_be_what_its_builder_said(download: Any, serve: Serve, size: int) -> None:
    serve("disk.raw.gz", gzip.compress(CONTENT), decompressedSizeBytes=size)
    ran = download("--decompress")
    assert ran.code == 1
    assert f"{size} bytes" in ran.err or f"said {size}" in ran.err
    assert "disk.raw" not in download.left()


@parametrised
def test_a_second_run_knows_what_it_was_made_of(download: Any, serve: Serve, files: FileServer, suffix: str) -> None:
    serve(f"disk.raw{suffix}", PACKERS[suffix](CONTENT))
    download("--decompress")
    ran = download("--decompress", "--output", "json")
    (item,) = json.loads(ran.out)["items"]
    assert (item["status"], item["unpackedSizeBytes"]) == ("present", len(CONTENT))
    assert len(files.requests) == 1
    (download.folder / "disk.raw").write_bytes(b"edited")
    assert download("--decompress").code == 0
    assert ((download.folder / "disk.raw").read_bytes(), len(files.requests)) == (CONTENT, 2)


def test_unpacking_that_fails_is_tried_again_without_another_download(
    download: Any, serve: Serve, files: FileServer
) -> None:
    packed = gzip.compress(CONTENT)
    serve("disk.raw.gz", packed, decompressedSizeBytes=5)
    download("--decompress")
    serve("disk.raw.gz", packed)
    assert download("--decompress").code == 0
    assert ((download.folder / "disk.raw").read_bytes(), len(files.requests)) == (CONTENT, 1)


def test_memory_does_not_grow_with_what_comes_out(tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=31)
    packed, zeros = tmp_path / "disk.gz", bytes(2**20)
    packed.write_bytes(b"".join([*(packer.compress(zeros) for _ in range(48)), packer.flush()]))
    tracemalloc.start()
    try:
        made = unpack(
            packed,
            "gzip",
            tmp_path / "disk",
            expected=None,
            stop=threading.Event(),
            progress=lambda _done, _total: None,
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.size == 48 * 2**20
    assert peak < 6 * 2**20


def test_xz_that_wants_more_memory_than_there_is_is_refused(download: Any, serve: Serve) -> None:
    head = lzma.compress(b"x", preset=0)
    # The dictionary's size stands in the block header, behind the filter's id; its checksum is made to fit.
    block = bytearray(head[12:24])
    block[4] = 40
    block[8:12] = zlib.crc32(bytes(block[:8])).to_bytes(4, "little")
    serve("disk.raw.xz", head[:12] + bytes(block) + head[24:])
    ran = download("--decompress")
    assert (ran.code, "cannot be unpacked as xz: Memory usage limit" in ran.err) == (1, True)
    assert "disk.raw" not in download.left()
