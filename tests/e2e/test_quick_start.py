"""The quick start's every command, run in its order beside ``make up``, and what it prints held against the page."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import pytest

from image_catalog.testing.planted import Planted, stack_leaks
from image_catalog.testing.terminal import stack_in_a_terminal
from image_catalog.testing.typed import commands_of, reasons_not_to_run

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "quick-start.md"
FILES = ROOT / "docs" / "quick-start"

PLACEHOLDERS = {
    "<age>": r"\d+[smhd]\S*",
    "<digest>": r"sha256:[0-9a-f]{64}",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "<size>": r"[\d.]+ [kMGT]?B",
    "<number>": r"\d+",
}


def pattern(expected: list[str]) -> re.Pattern[str]:
    """Return what an output has to match: a line ``…`` is any lines, other placeholders are within a line."""
    parts = []
    for line in expected:
        if line == "…":
            parts.append(r"(?:.*\n)*")
            continue
        text = re.escape(" ".join(line.split())).replace("…", ".*")
        for placeholder, meaning in PLACEHOLDERS.items():
            text = text.replace(re.escape(placeholder), meaning)
        parts.append(f"{text}\n")
    return re.compile("".join(parts))


def squeezed(output: str) -> str:
    """Return an output with one space where columns have several: ages make them wider and narrower."""
    return "".join(f"{' '.join(line.split())}\n" for line in output.splitlines())


@pytest.mark.xdist_group("stack")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("tools", [("bash", "kubectl", "jq")], ids=["with kubectl and jq"])
async def test_every_command_prints_what_the_page_says(tmp_path: Path, tools: tuple[str, ...]) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    async with stack_in_a_terminal(tmp_path) as terminal:
        shutil.copytree(FILES, terminal.home / "docs" / "quick-start")
        folder, wrong, printed = terminal.home, [], ""
        for command in commands_of(PAGE.read_text()):
            if command.text.startswith("cd "):
                folder /= command.text.removeprefix("cd ")
            code, output = await terminal.type(command.text, folder=None if command.text.startswith("cd ") else folder)
            # The Secret itself shows what it holds to whoever may read it.
            printed += "" if "get secret" in command.text else output
            if (code != 0) != command.fails or not pattern(command.expected).fullmatch(squeezed(output)):
                wrong.append(f"$ {command.text}\n{output}(exit code {code})")
        assert not wrong, "the page says something else:\n\n" + "\n\n".join(wrong)
        password = terminal.exports["REGISTRY_PASSWORD"]
    planted = Planted()
    planted.add("the password of the private registry", password)
    planted.add("its header", base64.b64encode(f"myuser:{password}".encode()).decode())
    assert stack_leaks(tmp_path / "stack", planted=planted, printed=printed + "".join(terminal.events)) == []


def test_what_is_not_run_says_why() -> None:
    reasons = reasons_not_to_run(PAGE.read_text())
    assert len(reasons) == 3
    assert all(len(reason) > 10 for reason in reasons)


def test_nothing_is_done_that_a_reader_does_not_see() -> None:
    hidden = re.findall(r"<!--(.*?)-->", PAGE.read_text(), re.DOTALL)
    assert [text for text in hidden if not text.startswith(" not run: ")] == []


def test_the_files_that_are_shown_are_those_beside_the_page() -> None:
    shown = re.findall(r"\]\(quick-start/([\w.-]+)\)[^`]*```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert dict(shown) == {path.name: path.read_text() for path in FILES.iterdir()}
