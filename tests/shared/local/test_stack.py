"""The stack as its users meet it: one to a folder, functions that come back, parts that are somewhere else."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from image_catalog.errors import PermanentError
from image_catalog.local.folder import exclusive
from image_catalog.local.functions import free_port
from image_catalog.local.stack import LocalStack, StackOptions


def test_a_folder_is_for_one_stack_at_a_time(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "a"),
        pytest.raises(PermanentError, match=rf"process {os.getpid()}\) runs in .*--folder"),
        exclusive(tmp_path / "a"),
    ):
        pass
    with exclusive(tmp_path / "a"), exclusive(tmp_path / "b"):
        pass


def test_a_folder_that_cannot_be_made_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermanentError, match="choose another with --folder"), exclusive(tmp_path / "file"):
        pass


async def test_a_registry_that_does_not_answer_is_told_before_anything_is_started(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    stack = LocalStack(StackOptions(folder=tmp_path / "stack", registry_url=url))
    with pytest.raises(PermanentError, match=f"no registry answers at {url}"):
        await stack.__aenter__()
    assert not stack.functions


@pytest.mark.timeout(90)
async def test_a_function_that_is_killed_is_started_again_and_leaves_nobody_behind(tmp_path: Path) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    elsewhere = {name: f"http://127.0.0.1:{free_port()}" for name in ("api", "publish", "reverify", "verify")}
    options = StackOptions(folder=tmp_path / "stack", services=elsewhere)
    async with LocalStack(options, notice=told.put_nowait) as stack:
        assert stack.functions.keys() == {"audit", "cleanup"}, "two show what six would"
        process = stack.functions["audit"]
        first = process.pid
        assert first is not None

        os.kill(first, signal.SIGKILL)
        line = await asyncio.wait_for(told.get(), 20)
        assert line.startswith("the function audit ended (exit code -9) and was started again")
        await stack.ready()
        assert process.pid not in {None, first}
        ports = [function.port for function in stack.functions.values()]
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
