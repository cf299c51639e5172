"""The command lines as processes, as a shell runs them, and what is left when they end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import stamina

from image_catalog import __version__
from image_catalog.testing.terminal import ENDS_WITHIN, alive, children

BIN = Path(sys.executable).parent
_SETTINGS = {"KUBECONFIG", "CAIB_SERVER", "CAIB_TOKEN"}
"""What somebody who runs the tests may have set for a catalog of their own."""

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the process tree is read from /proc (Linux)"),
]


@contextlib.asynccontextmanager
async def started(*arguments: str, cwd: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k not in _SETTINGS} | {"PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def read_until(process: asyncio.subprocess.Process, pattern: str) -> str:
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(60):
        while not re.search(pattern, said):
            line = await process.stdout.readline()
            assert line, f"it ended without saying {pattern!r}:\n{said}"
            said += line.decode()
    return said


@pytest.mark.parametrize("name", ["caib", "image-catalog"])
async def test_a_command_is_installed_and_says_its_version(name: str, tmp_path: Path) -> None:
    async with started(str(BIN / name), "--version", cwd=tmp_path) as process:
        out, _ = await process.communicate()
    assert (process.returncode, out.decode()) == (0, f"{name} {__version__}\n")


async def test_a_wrong_flag_ends_with_2_and_no_traceback(tmp_path: Path) -> None:
    async with started(str(BIN / "image-catalog"), "local", "up", "--nope", cwd=tmp_path) as process:
        out, _ = await process.communicate()
    assert process.returncode == 2
    assert len(out.decode().splitlines()) == 1


async def test_the_stack_does_what_it_tells_and_ends_with_every_process_when_it_is_asked_to(tmp_path: Path) -> None:
    """What Ctrl-C does is shown beside the pages that are typed, and so is what a caller without a token is told."""
    async with started(str(BIN / "image-catalog"), "local", "up", "--auth", "none", cwd=tmp_path) as process:
        said = await read_until(process, "Ctrl-C ends everything")
        kubeconfig, broker, server = (
            re.findall(rf"export {name}=(\S+)", said)[0] for name in ("KUBECONFIG", "BROKER", "CAIB_SERVER")
        )
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{server}/api/v1alpha1/catalog/images")).status_code == 200, (
                "whoever is on this machine"
            )
            shown = dict(re.findall(r"^  (http://\S+/metrics)  (\w+)$", said, re.MULTILINE))
            assert sorted(shown.values()) == ["api", "audit", "cleanup", "publish", "reverify", "verify"]
            for figures in shown:
                assert "image_catalog_build_info" in (await client.get(figures)).text
            event = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/me", "content-type": "application/json"}
            event["ce-type"] = re.findall(r"ce-type: (\S+)'", said)[0]
            data = re.findall(r"-d '(.+)'", said)[0]
            assert (await client.post(broker, headers=event, content=data)).status_code == 202
        # The entries of the sample builds may still be told of meanwhile, and either delivery may end first.
        both = ("published", "available")
        told = await read_until(process, rf"image\.({'|'.join(both)}) +default/autosd-cs9-minimal")
        for name in both:
            if not re.search(pattern := rf"image\.{name} +default/autosd-cs9-minimal", told):
                await read_until(process, pattern)
        command = re.findall(r"export PATH=(.+):\$PATH", said)[0] + "/caib"
        for where in (("--server", server), ()):
            arguments = ("catalog", "list", "--kubeconfig", kubeconfig, *where)
            async with started(command, *arguments, cwd=tmp_path) as listing:
                out, _ = await listing.communicate()
            assert {"autosd-cs9-rpi4", "autosd-cs9-minimal"} <= set(out.decode().split()), (
                where or "the kubeconfig says where the server is"
            )

        tree = children(process.pid)
        assert len(tree) >= 6, "each function is a process, and so is the API"
        started_at = asyncio.get_running_loop().time()
        process.send_signal(signal.SIGTERM)
        rest, _ = await process.communicate()
        took = asyncio.get_running_loop().time() - started_at

    assert process.returncode == 0
    assert rest.decode().endswith("stopped\n")
    assert [pid for pid in tree if alive(pid)] == []
    assert took < ENDS_WITHIN
    assert {path.name for path in (tmp_path / "build" / "local").iterdir()} <= {
        "audit.db", "audit.db-turn", "kubeconfig", "kubeconfigs", "lock", "logs", "registry",
    }  # fmt: skip


async def test_a_stack_that_is_interrupted_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    async with started(str(BIN / "image-catalog"), "local", "up", cwd=tmp_path) as process:
        await read_until(process, "starting the catalog")
        tree: set[int] = set()
        async for attempt in stamina.retry_context(
            on=AssertionError, attempts=None, timeout=60, wait_initial=0.005, wait_max=0.01
        ):
            with attempt:
                tree = children(process.pid)
                assert tree
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert [pid for pid in tree if alive(pid)] == []
