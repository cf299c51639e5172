"""What the README and the page about kubectl have their readers type, typed beside ``make up``."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import stamina

from image_catalog.testing.terminal import Terminal, stack_in_a_terminal
from image_catalog.testing.typed import commands_of

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
KUBECTL = (ROOT / "docs" / "kubectl.md").read_text()
PATIENCE = 15.0
"""Seconds: what a command needs may still be under way, as the publication of a build is."""

DIFFERENT = {
    r"sha256:[0-9a-f]{8,64}…?": "sha256:…",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z": "<time>",
    r"(?<![\w.])\d+(?:\.\d+)?(?:ms|s|m|h|d)(?:\d+s)?(?!\w)": "<age>",
}
"""What each run prints differently, and what stands for it when two are compared."""


def alike(printed: list[str]) -> list[str]:
    """Return lines as every run prints them: columns are as wide as ages need, and two streams come in any order."""
    text = "\n".join(" ".join(line.split()) for line in printed)
    for changing, word in DIFFERENT.items():
        text = re.sub(changing, word, text)
    return sorted(text.splitlines())


def chapters() -> list[str]:
    """Return the commands below each comment of the page about kubectl."""
    starts = re.compile(r"(?:^|\n\n)(?=# )")
    blocks = re.findall(r"```sh\n(.*?)```", KUBECTL, re.DOTALL)
    return [chapter for block in blocks for chapter in starts.split(block) if "\n" in chapter]


async def follow_one_image(terminal: Terminal) -> None:
    """Type what the README shows, and compare."""
    *commands, last = commands_of(README)
    assert len(commands) > 5
    for command in commands:
        code, printed = await terminal.type(command.text)
        assert (code, alike(printed.splitlines())) == (0, alike(command.expected)), command.text
    # The history is written by an event of its own, and who was given what every two seconds.
    async for attempt in stamina.retry_context(on=AssertionError, timeout=PATIENCE, wait_max=0.5):
        with attempt:
            _, printed = await terminal.type(last.text)
            assert alike(printed.splitlines()) == alike(last.expected)


@pytest.mark.xdist_group("stack")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("tools", [("bash", "curl", "kubectl")], ids=["with curl and kubectl"])
async def test_every_command_does_what_the_pages_say(tmp_path: Path, tools: tuple[str, ...]) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    said = {}
    async with stack_in_a_terminal(tmp_path) as terminal:
        anonymous = "curl -s -o answer -w '%{http_code}' $CAIB_SERVER/api/v1alpha1/catalog/images"
        assert await terminal.type(anonymous) == (0, "401"), "this stack asks the cluster about each caller"
        await follow_one_image(terminal)
        for chapter in chapters():
            async for attempt in stamina.retry_context(on=AssertionError, timeout=PATIENCE, wait_max=0.5):
                with attempt:
                    code, printed = await terminal.type(f"set -e\n{chapter}")
                    assert code == 0, f"{chapter}\n{printed}"
                    assert "--tags tested" not in chapter or "autosd-multi" in printed.partition("NAME")[2]
            said[chapter.partition("\n")[0].strip("# ")] = printed
    assert len(said) > 4
    assert "HTTP/1.1 202" in "".join(said.values())
    assert '"nightly" deleted' in "".join(said.values())
