"""What the README has its readers type, typed on a local stack."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import stamina

from image_catalog.local.samples import push_samples
from image_catalog.local.stack import LocalStack, StackOptions

README = Path(__file__).resolve().parents[2] / "README.md"
PATIENCE = 15.0
"""Seconds: what a command needs may still be under way, as the publication of a build is."""


def chapters() -> list[str]:
    """Return the commands below each comment of what there is to try."""
    section = README.read_text().partition("## Try it yourself")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [chapter for block in blocks for chapter in re.split(r"^# ", block, flags=re.MULTILINE) if "\n" in chapter]


async def run(chapter: str, environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-e", "-o", "pipefail", "-c", f"# {chapter}"),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, f"{chapter}\n{said}"
    return said


@pytest.mark.xdist_group("stack")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("tools", [("bash", "curl", "kubectl")], ids=["with curl and kubectl"])
async def test_every_command_does_what_it_says(tmp_path: Path, tools: tuple[str, ...]) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    said = {}
    async with LocalStack(StackOptions(folder=tmp_path / "stack")) as stack:
        await push_samples(stack.registry_url)
        environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(tmp_path),
            "KUBECONFIG": str(stack.kubeconfig),
            "CAIB_SERVER": stack.catalog_url,
            "BROKER": stack.knative.broker_url,
            "LANG": "C.UTF-8",
        }
        for chapter in chapters():
            async for attempt in stamina.retry_context(on=AssertionError, timeout=PATIENCE, wait_max=0.5):
                with attempt:
                    said[chapter.partition("\n")[0]] = await run(chapter, environment)
    assert len(said) > 6
    assert '"name": "autosd-rpi4"' in said["Look at it"]
    assert "HTTP/1.1 202" in "".join(said.values())
    assert '"nightly" deleted' in "".join(said.values())
