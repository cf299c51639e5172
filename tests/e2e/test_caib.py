"""``caib`` as a shell runs it: streams, signals, terminals, start-up, the next ``caib``."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog
from image_catalog.testing.forked_caib import run_caib
from image_catalog.testing.kubectl import Completed

CAIB = Path(sys.executable).with_name("caib")
ENTRY = {
    "metadata": {"name": "cs9", "namespace": "default", "uid": "u", "resourceVersion": "1"},
    "spec": {"registryUrl": "quay.io/acme/cs9:1.0"},
    "status": {"phase": "Available"},
}

Caib = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def catalog() -> Iterator[ScriptedCatalog]:
    """Serve a catalog with one entry."""
    with ScriptedCatalog() as served:
        served.answers["GET", "/images"] = ScriptedAnswer(200, {"items": [ENTRY], "metadata": {}})
        yield served


@pytest.fixture
def environment(catalog: ScriptedCatalog, tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "CAIB_SERVER": catalog.url}


@pytest.fixture
def caib(environment: dict[str, str]) -> Caib:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CAIB, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_data_is_on_stdout_and_everything_else_on_stderr(caib: Caib, catalog: ScriptedCatalog) -> None:
    found = caib("catalog", "list", "-v")
    assert [line.split()[0] for line in found.stdout.splitlines()] == ["NAME", "cs9"]
    assert found.stderr.startswith("GET http://127.0.0.1")
    catalog.answers["GET", "/images"] = ScriptedAnswer(200, {"items": [], "metadata": {}})
    assert caib("catalog", "list").stdout == ""
    failed = caib("catalog", "get", "x")
    assert (failed.returncode, failed.stdout) == (4, "")


async def test_a_caib_that_is_forked_tells_and_ends_with_what_the_installed_one_does(
    caib: Caib, environment: dict[str, str]
) -> None:
    for arguments in (("catalog", "list"), ("catalog", "get", "absent"), ("catalog", "lst")):
        forked, installed = await run_caib(arguments, environment=environment), caib(*arguments)
        assert forked == Completed(installed.stdout, installed.stderr, installed.returncode)


def test_whoever_reads_only_the_beginning_is_not_told_of_a_broken_pipe(
    environment: dict[str, str], catalog: ScriptedCatalog
) -> None:
    catalog.answers["GET", "/images"] = ScriptedAnswer(200, {"items": [ENTRY] * 5000, "metadata": {}})
    with subprocess.Popen(
        [CAIB, "catalog", "list"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (0, b"")


@pytest.mark.parametrize("arguments", [("catalog", "list", "--watch")], ids=["watch"])
def test_a_watch_that_is_interrupted_is_done(environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [CAIB, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().split()[0] for _ in range(2)] == ["NAME", "cs9"]
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def on_a_terminal(arguments: list[str | Path], environment: dict[str, str]) -> str:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(arguments, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        # Linux ends the reading with an error when nobody has the terminal any more.
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 65536):
                said += piece
        assert process.wait(60) == 0
    os.close(ours)
    return said.decode()


@pytest.mark.parametrize(
    ("settings", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_a_terminal_gets_colours_unless_it_says_no(
    environment: dict[str, str], settings: dict[str, str], *, coloured: bool
) -> None:
    said = on_a_terminal([CAIB, "catalog", "list"], environment | settings)
    assert ("\x1b[32mAvailable\x1b[0m" in said) is coloured
    assert "Available" in said


def test_another_group_is_the_next_caibs_with_its_whole_command_line(
    caib: Caib, environment: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "bin" / "caib"
    other.parent.mkdir()
    other.write_text('#!/bin/sh\necho "other: $*"\nexit 7\n')
    other.chmod(0o755)
    environment["PATH"] = f"{CAIB.parent}{os.pathsep}{other.parent}"
    ran = caib("--server", "https://x", "build", "--push", "a b")
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "other: --server https://x build --push a b\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_completion_of_its_own(caib: Caib, environment: dict[str, str], shell: str) -> None:
    environment["_CAIB_COMPLETE"] = f"source_{shell}"
    ran = caib()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "_CAIB_COMPLETE=complete_" in ran.stdout


HEAVY = {"httpx", "pydantic", "rich", "kubernetes", "aiohttp", "click", "orjson", "structlog", "fastapi"}


@pytest.mark.parametrize(
    ("arguments", "left_out"),
    [
        (("--version",), HEAVY | {"typer", "ssl", "yaml", "json", "http"}),
        (("catalog", "list", "-o", "name", "--distro", "cs9", "--phase", "Available"), HEAVY | {"yaml"}),
        (("catalog", "get", "cs9", "-o", "json"), HEAVY | {"yaml"}),
    ],
    ids=["version", "list", "get"],
)
def test_a_command_imports_nothing_that_it_does_not_use(
    catalog: ScriptedCatalog, arguments: tuple[str, ...], left_out: set[str]
) -> None:
    catalog.answers["GET", "/images/cs9"] = ScriptedAnswer(200, ENTRY)
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", CAIB, *arguments],
        env={"HOME": "/nonexistent", "PATH": os.environ["PATH"], "CAIB_SERVER": catalog.url},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines()}
    assert names & left_out == set()
