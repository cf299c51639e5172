"""The quick start's every command, run in its order on a local stack, and what it prints held against the page."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from image_catalog.local.registry import SampleImage
from image_catalog.local.stack import LocalStack, StackOptions
from image_catalog.testing.planted import Planted, stack_leaks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quick-start.md"
PATIENCE = 60.0
"""Seconds for one command; each takes less than one."""

PLACEHOLDERS = {
    "<age>": r"\d+[smhd]\S*",
    "<digest>": r"sha256:[0-9a-f]{64}",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "<size>": r"[\d.]+ [kMGT]?B",
}
IMAGES = {
    "centos-automotive/autosd:cs9-rpi4": "arm64",
    "centos-automotive/autosd:cs9-qemu": "amd64",
    "centos-automotive/autosd:cs9-reference": "amd64",
    "my-org/custom-build:v1.0.0": "arm64",
    "my-org/release:v2.0.0": "arm64",
    "my-org/automotive-image:v1.0.0": "arm64",
}
PRIVATE = "automotive"
"""The repository of the private registry, and what the page's Secret opens."""
USER, PASSWORD = "myuser", "mypassword"
"""What the page shows; the password that the registry takes is made up for each run."""

_FILE = re.compile(r"`(?P<name>[\w.-]+)`[^`]*<!-- file -->\s*```\w+\n(?P<text>.*?)```", re.DOTALL)
_HIDDEN_FILE = re.compile(r"<!-- file: (?P<name>\S+)\n(?P<text>.*?)-->", re.DOTALL)
_STEPS = re.compile(
    r"<!-- prepare\n(?P<prepare>.*?)-->|(?:<!-- not run: (?P<reason>.*?) -->\s*)?```console\n(?P<console>.*?)```",
    re.DOTALL,
)


@dataclass
class Command:
    """A command of the page, and the lines that it is to print; none where nobody looks."""

    text: str
    expected: list[str] | None = field(default_factory=list)


def page_files(page: str) -> dict[str, str]:
    """Return the files that the page has its readers write, and those that are hidden in it."""
    found = [*_HIDDEN_FILE.finditer(page), *_FILE.finditer(page)]
    return {match["name"]: match["text"] for match in found}


def page_commands(page: str) -> Iterator[Command]:
    """Yield what is run, in the order of the page; what is not run carries its reason there."""
    for match in _STEPS.finditer(page):
        if match["prepare"] is not None:
            yield from (Command(line, None) for line in match["prepare"].splitlines())
        elif match["reason"] is None:
            yield from _console(match["console"])


def _console(block: str) -> Iterator[Command]:
    command: Command | None = None
    for line in block.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command
            command = Command(line.removeprefix("$ "))
        elif command is not None and command.text.endswith("\\"):
            command.text += f"\n{line}"
        elif command is not None and command.expected is not None:
            command.expected.append(line)
    if command is not None:
        yield command


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


@dataclass(frozen=True)
class Shell:
    """A shell in a folder of its own, with the stack's kubeconfig and nothing of whoever runs the tests."""

    folder: Path
    kubeconfig: Path

    async def run(self, command: str) -> tuple[int, str]:
        """Run a command and return its exit code, and what a terminal would show of it."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-o",
            "pipefail",
            "-c",
            command,
            cwd=self.folder,
            env={"PATH": path, "HOME": str(self.folder), "KUBECONFIG": str(self.kubeconfig), "LANG": "C.UTF-8"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(PATIENCE):
            out, _ = await process.communicate()
        return process.returncode or 0, out.decode()


@pytest.mark.xdist_group("stack")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("tools", [("bash", "kubectl", "jq")], ids=["with kubectl and jq"])
async def test_every_command_prints_what_the_page_says(tmp_path: Path, tools: tuple[str, ...]) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    password = secrets.token_urlsafe(12)
    page = PAGE.read_text().replace(PASSWORD, password)
    options = StackOptions(folder=tmp_path / "stack", accounts={USER: password}, private=(PRIVATE,))
    async with LocalStack(options) as stack:
        for image, architecture in IMAGES.items():
            repository, _, tag = image.partition(":")
            await SampleImage(architecture=architecture, name=image).push(stack.registry_url, repository, tag)
        await SampleImage().push(stack.registry_url, PRIVATE, "v1.0.0", auth=(USER, password))
        home = tmp_path / "home"
        home.mkdir()
        for name, text in page_files(page).items():
            (home / name).write_text(text)
        shell = Shell(home, stack.kubeconfig)
        wrong, printed = [], ""
        for command in page_commands(page):
            code, output = await shell.run(command.text)
            # The Secret itself shows what it holds to whoever may read it.
            printed += "" if "get secret" in command.text else output
            if command.expected is None:
                assert code == 0, f"{command.text}\n{output}"
                continue
            fails = any(line.startswith("Error: ") for line in command.expected)
            if (code != 0) != fails or not pattern(command.expected).fullmatch(squeezed(output)):
                wrong.append(f"$ {command.text}\n{output}(exit code {code})")
        assert not wrong, "the page says something else:\n\n" + "\n\n".join(wrong)
    planted = Planted()
    planted.add("the password of the private registry", password)
    planted.add("its header", base64.b64encode(f"{USER}:{password}".encode()).decode())
    assert stack_leaks(tmp_path / "stack", planted=planted, printed=printed) == []


def test_what_is_not_run_says_why() -> None:
    reasons = [match["reason"] for match in _STEPS.finditer(PAGE.read_text()) if match["reason"] is not None]
    assert len(reasons) == 3
    assert all(len(reason) > 10 for reason in reasons)
