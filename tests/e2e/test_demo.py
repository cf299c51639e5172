"""The demonstration as newcomers run it: a process that tells its chapters and ends with 0."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
import yaml

from image_catalog.local.demo.story import CHAPTERS
from image_catalog.testing.planted import stack_leaks

pytestmark = [pytest.mark.timeout(180)]


async def test_the_demo_tells_every_chapter_and_cleans_up(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("image-catalog")),
        "local",
        "demo",
        "--folder",
        str(tmp_path / "stack"),
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        out, _ = await process.communicate()
    told = out.decode()
    assert process.returncode == 0, told

    for letter, (title, _) in zip("abcdefghijkl", CHAPTERS, strict=True):
        chapter = told.split(f"({letter}) {title}\n", 1)[1].split("\n\n", 1)[0]
        assert "✓" in chapter
    table = told.split("\n$ caib catalog list", 1)[1].split("\nNAME ", 1)[1].split("\n\n", 1)[0]
    assert {"autosd-rpi4", "autosd-multi", "reference-cs9", "firmware", "pinned", "cockpit"} <= set(table.split())
    entry = yaml.safe_load(told.split("\n$ caib catalog get autosd-rpi4\n", 1)[1].split("\n\n", 1)[0])
    assert (entry["kind"], entry["metadata"]["name"]) == ("CatalogImage", "autosd-rpi4")
    counts = dict(re.findall(r"^((?:image|publish|verification)\.[a-z]+) +(\d+)$", told, flags=re.MULTILINE))
    assert counts["image.removed"] == "1"
    assert int(counts["image.published"]) >= 20
    figures = told.split("\nWhat the dashboard shows", 1)[1]
    assert {"audit", "cleanup", "publish", "reverify", "verify"} <= set(figures.split())
    assert re.search(r"^Available, RegistryAccessible +[1-9]", figures, re.MULTILINE)
    assert re.search(r"^quay\.io +[1-9]\d* +[1-9]", figures, re.MULTILINE), "while it was down it gave no answer"
    assert re.search(r"^DEAD LETTERS +none *$", figures, re.MULTILINE)
    assert re.search(r"The story took \d+\.\d s\.$", told.strip())
    assert "not played" not in told
    assert os.listdir(tmp_path) == ["stack"], "temporary folders are gone"  # noqa: PTH208 - pathlib's blocks as much
    assert stack_leaks(tmp_path / "stack", printed=told) == []
