"""What the pages have their readers type, typed beside ``make up``.

One stack is there for all of them, and each page leaves it as it has found it.
"""

from __future__ import annotations

import base64
import re
import shutil
import textwrap
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
import stamina

from image_catalog.local.registry import SampleImage
from image_catalog.testing.planted import Planted, stack_leaks
from image_catalog.testing.terminal import Terminal, stack_in_a_terminal
from image_catalog.testing.typed import commands_of, reasons_not_to_run

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
KUBECTL = (ROOT / "docs" / "kubectl.md").read_text()
QUICK_START = (ROOT / "docs" / "quick-start.md").read_text()
EVIDENCE = (ROOT / "docs" / "evidence.md").read_text()
RECALLS = (ROOT / "docs" / "recalls.md").read_text()
FILES = ROOT / "docs" / "quick-start"
PATIENCE = 15.0
"""Seconds: what a command needs may still be under way, as the publication of a build is."""

DIFFERENT = {
    r"sha256:[0-9a-f]{8,64}…?": "sha256:…",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z": "<time>",
    r"(?<![\w.])\d+(?:\.\d+)?(?:ms|s|m|h|d)(?:\d+s)?(?!\w)": "<age>",
}
"""What each run prints differently, and what stands for it when two are compared."""

PLACEHOLDERS = {
    "<age>": r"\d+[smhd]\S*",
    "<digest>": r"sha256:[0-9a-f]{64}",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "<size>": r"[\d.]+ [kMGT]?B",
    "<number>": r"\d+",
}


@dataclass
class Reader:
    """Somebody who types what the pages show, and what that prints."""

    terminal: Terminal
    printed: list[str] = field(default_factory=list)

    async def type(self, command: str, *, folder: Path | None = None) -> tuple[int, str]:
        """Type a command, see `Terminal.type`."""
        code, output = await self.terminal.type(command, folder=folder)
        # The Secret itself shows what it holds to whoever may read it.
        self.printed.append("" if "get secret" in command else output)
        return code, output


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reader]:
    """Run the stack for all pages; none of the secrets that they use may be left anywhere."""
    folder = tmp_path_factory.mktemp("pages")
    async with stack_in_a_terminal(folder) as terminal:
        reader = Reader(terminal)
        yield reader
        password = terminal.exports["REGISTRY_PASSWORD"]
    planted = Planted()
    planted.add("the password of the private registry", password)
    planted.add("its header", base64.b64encode(f"myuser:{password}".encode()).decode())
    printed = "".join([*reader.printed, *terminal.events])
    assert stack_leaks(folder / "stack", planted=planted, printed=printed) == []


@pytest.fixture
def tools(request: pytest.FixtureRequest) -> None:
    """Skip where a tool that a page's readers need is absent."""
    missing = [tool for tool in request.param if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


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


async def follow_one_image(reader: Reader) -> None:
    """Type what the README shows, and compare."""
    *commands, last = commands_of(README)
    assert len(commands) > 5
    for command in commands:
        code, printed = await reader.type(command.text)
        assert (code, alike(printed.splitlines())) == (0, alike(command.expected)), command.text
    # The history is written by an event of its own, and who was given what every two seconds.
    async for attempt in stamina.retry_context(on=AssertionError, timeout=PATIENCE, wait_max=0.5):
        with attempt:
            _, printed = await reader.type(last.text)
            assert alike(printed.splitlines()) == alike(last.expected)


async def put_back(reader: Reader, *, entries: tuple[str, ...], builds: tuple[str, ...] = ()) -> None:
    """Take away what the commands of a page have made, for the page that is typed next."""
    for command in (
        *(f"kubectl delete imagebuild {name}" for name in builds),
        *(f"caib catalog restore {name} --reason typed --force || true" for name in entries),
        f"kubectl delete catimg {' '.join(entries)}",
    ):
        code, printed = await reader.type(command)
        assert code == 0, printed
    async for attempt in stamina.retry_context(on=AssertionError, timeout=PATIENCE, wait_max=0.5):
        with attempt:
            _, printed = await reader.type("caib catalog list -o name")
            assert {line.rpartition("/")[2] for line in printed.split()}.isdisjoint(entries)


@pytest.mark.parametrize("tools", [("bash", "curl", "kubectl")], ids=["with curl and kubectl"], indirect=True)
@pytest.mark.usefixtures("tools")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(180)
async def test_every_command_does_what_the_readme_and_the_page_about_kubectl_say(reader: Reader) -> None:
    said = {}
    anonymous = "curl -s -o answer -w '%{http_code}' $CAIB_SERVER/api/v1alpha1/catalog/images"
    assert await reader.type(anonymous) == (0, "401"), "this stack asks the cluster about each caller"
    await follow_one_image(reader)
    for chapter in chapters():
        async for attempt in stamina.retry_context(on=AssertionError, timeout=PATIENCE, wait_max=0.5):
            with attempt:
                code, printed = await reader.type(f"set -e\n{chapter}")
                assert code == 0, f"{chapter}\n{printed}"
                assert "--tags tested" not in chapter or "autosd-multi" in printed.partition("NAME")[2]
        said[chapter.partition("\n")[0].strip("# ")] = printed
    assert len(said) > 4
    assert "HTTP/1.1 202" in "".join(said.values())
    assert '"nightly" deleted' in "".join(said.values())
    await put_back(reader, entries=("release-build", "autosd-multi"), builds=("nightly",))


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


@pytest.mark.parametrize("tools", [("bash", "kubectl", "jq")], ids=["with kubectl and jq"], indirect=True)
@pytest.mark.usefixtures("tools")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(180)
async def test_every_command_of_the_quick_start_prints_what_it_says(reader: Reader) -> None:
    shutil.copytree(FILES, reader.terminal.home / "docs" / "quick-start")
    folder, wrong = reader.terminal.home, []
    for command in commands_of(QUICK_START):
        if command.text.startswith("cd "):
            folder /= command.text.removeprefix("cd ")
        code, output = await reader.type(command.text, folder=None if command.text.startswith("cd ") else folder)
        if (code != 0) != command.fails or not pattern(command.expected).fullmatch(squeezed(output)):
            wrong.append(f"$ {command.text}\n{output}(exit code {code})")
    assert not wrong, "the page says something else:\n\n" + "\n\n".join(wrong)


async def add(reader: Reader, name: str, *, target: str) -> None:
    """Push an image, and type what adds it to the catalog."""
    await SampleImage(name=name).push(reader.terminal.exports["REGISTRY"], f"acme/{name}", "1")
    said = f"--architecture arm64 --distro cs9 --target {target}"
    code, printed = await reader.type(f"caib catalog add {name} quay.io/acme/{name}:1 {said}")
    assert code == 0, printed


@pytest.mark.parametrize("tools", [("bash", "curl", "kubectl")], ids=["with curl and kubectl"], indirect=True)
@pytest.mark.usefixtures("tools")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_laboratory_reports_as_the_page_says(reader: Reader) -> None:
    await add(reader, "autosd", target="raspberry-pi")
    commands = "".join(re.findall(r"```sh\n(.*?)```", EVIDENCE, flags=re.DOTALL))
    token = "$(kubectl config view --raw -o jsonpath={.users[0].user.token})"
    code, out = await reader.type(f"set -e\nCATALOG=$CAIB_SERVER TOKEN={token}\n{commands}")
    assert code == 0, out
    shown = re.search(r"```\n(✓.*?)```", EVIDENCE, flags=re.DOTALL)
    assert shown is not None
    assert pattern(shown[1].splitlines()).match(squeezed(out)), out
    assert re.search(r"^Target: +raspberry-pi ✗ 50 % \(2 runs, ", out, re.MULTILINE)
    assert '"outcome":"recorded"' in out
    assert '"verified":true' in out
    assert re.search(r" raspberry-pi✓66%/3/\d+s\b", out), out
    await put_back(reader, entries=("autosd",))


@pytest.mark.parametrize("tools", [("bash", "jq", "kubectl")], ids=["with kubectl and jq"], indirect=True)
@pytest.mark.usefixtures("tools")
@pytest.mark.asyncio(loop_scope="module")
async def test_an_image_is_promoted_and_a_recall_drill_goes_as_the_page_says(reader: Reader) -> None:
    async def typed(commands: str) -> str:
        code, out = await reader.type(f"set -eu\n{commands}")
        assert code == 0, out
        return out

    await typed("kubectl create namespace staging\nkubectl create namespace production")
    await add(reader, "drill", target="drill")
    promotion, drill = RECALLS.partition("## Promotion")[2], RECALLS.partition("## A drill")[2]
    drill = drill.partition("## Being told")[0]
    commands = "\n".join(re.findall(r"^```sh\n(.*?)```", promotion, re.DOTALL | re.MULTILINE))
    out = await typed(commands.replace("autosd-cs9-rpi4", "drill").replace("-n development", "-n default"))
    assert out.count("✓ Promoted successfully") == 2
    steps = [textwrap.dedent(step) for step in re.findall(r"^ *```sh\n(.*?)```", drill, re.DOTALL | re.MULTILINE)]
    wanted = "export NAME=drill NAMESPACE=default BOARD=drill DISTRO=cs9 WHY='no brakes'; cd \"$HOME\"\n"
    recalled = [line for line in (await typed(wanted + "".join(steps[:3]))).splitlines() if "Recalled" in line]
    spaces = sorted(line.split()[0] for line in recalled if " drill " in line)
    assert spaces == ["default", "production", "staging"]
    assert "true" in await typed('jq .recall.told "$HOME/recall.json"')
    code, out = await reader.type("caib catalog promote drill --to staging")
    assert (code, out.splitlines()[-1].partition(":")[0]) == (5, "Error")
    await typed("caib catalog restore drill --reason 'a drill' --force")
    assert "no images" in await typed("caib catalog list -A --recalled -q drill")
    await typed("kubectl delete namespace staging production")
    await put_back(reader, entries=("drill",))


def test_what_is_not_run_says_why() -> None:
    reasons = reasons_not_to_run(QUICK_START)
    assert len(reasons) == 3
    assert all(len(reason) > 10 for reason in reasons)


def test_nothing_is_done_that_a_reader_does_not_see() -> None:
    hidden = re.findall(r"<!--(.*?)-->", QUICK_START, re.DOTALL)
    assert [text for text in hidden if not text.startswith(" not run: ")] == []


def test_the_files_that_are_shown_are_those_beside_the_page() -> None:
    shown = re.findall(r"\]\(quick-start/([\w.-]+)\)[^`]*```\w+\n(.*?)```", QUICK_START, re.DOTALL)
    assert dict(shown) == {path.name: path.read_text() for path in FILES.iterdir()}
