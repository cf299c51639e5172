"""What the README has its readers type, typed beside ``make up``."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import stamina

from image_catalog.testing.terminal import stack_in_a_terminal

README = Path(__file__).resolve().parents[2] / "README.md"
PATIENCE = 15.0
"""Seconds: what a command needs may still be under way, as the publication of a build is."""


def chapters() -> list[str]:
    """Return the commands below each comment of what there is to try."""
    section = README.read_text().partition("## Try it yourself")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    starts = re.compile(r"(?:^|\n\n)(?=# )")
    return [chapter for block in blocks for chapter in starts.split(block) if "\n" in chapter]


@pytest.mark.xdist_group("stack")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("tools", [("bash", "curl", "kubectl")], ids=["with curl and kubectl"])
async def test_every_command_does_what_it_says(tmp_path: Path, tools: tuple[str, ...]) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    said = {}
    async with stack_in_a_terminal(tmp_path) as terminal:
        for chapter in chapters():
            async for attempt in stamina.retry_context(on=AssertionError, timeout=PATIENCE, wait_max=0.5):
                with attempt:
                    code, printed = await terminal.type(f"set -e\n{chapter}")
                    assert code == 0, f"{chapter}\n{printed}"
                    assert "--tags tested" not in chapter or "autosd-dev" in printed.partition("[")[0]
            said[chapter.partition("\n")[0].strip("# ")] = printed
    assert len(said) > 6
    assert "autosd-cs9-rpi4" in said["See what is there"]
    assert '"name": "autosd-dev"' in said["Look at it"]
    assert "HTTP/1.1 202" in "".join(said.values())
    assert '"nightly" deleted' in "".join(said.values())
