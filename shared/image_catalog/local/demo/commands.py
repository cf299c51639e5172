"""The commands that people run, as processes: what the story shows of them is what they print."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import orjson
from rich.console import Console
from rich.text import Text

from image_catalog.errors import PermanentError
from image_catalog.local.demo.telling import Teller
from image_catalog.local.demo.world import NAMESPACE, World
from image_catalog.local.registry import SampleImage
from image_catalog.models import Phase

__all__ = ["Caib", "command_line", "run", "show_catalog", "written"]

_LIMIT = timedelta(seconds=60)
"""A command takes a fraction of a second; `add` waits for the registry too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caib:
    """The installed ``caib``, run as a person would.

    Parameters
    ----------
    server
        The catalog's API.
    kubeconfig
        Whose token it shows there.
    """

    server: str
    kubeconfig: Path

    async def __call__(self, *arguments: str) -> str:
        """Run ``caib catalog`` and return what it prints.

        Parameters
        ----------
        arguments
            The command and its flags.

        Raises
        ------
        PermanentError
            Raised if it ends with anything but 0; with what it says.
        TimeoutError
            Raised if it does not end.
        """
        # Nothing that the caller has set for a catalog of their own.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("CAIB_")}
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("caib")),
            "catalog",
            *arguments,
            env=inherited | {"CAIB_SERVER": self.server, "KUBECONFIG": str(self.kubeconfig)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_LIMIT.total_seconds()):
            out, err = await process.communicate()
        if process.returncode != 0:
            raise PermanentError(f"`{written(arguments)}` ended with {process.returncode}: {err.decode().strip()}")
        return out.decode()


def written(arguments: tuple[str, ...]) -> str:
    """Return a command as it is typed."""
    return shlex.join(["caib", "catalog", *arguments])


async def command_line(world: World, tell: Teller) -> None:
    """Add an image from elsewhere with ``caib``, have it checked, and find it."""
    await world.registry.push(SampleImage(architecture="arm64", name="cockpit"), "acme/cockpit", "2.1")
    url = "quay.io/acme/cockpit:2.1"
    await run(world, tell, "add", "cockpit", url, "--architecture", "arm64", "--distro", "autosd", "--target", "rpi4")
    image = await world.entry("cockpit")
    tell.holds(image and image.status.phase is Phase.AVAILABLE, "the entry is there and Available when add has ended")
    await run(world, tell, "verify", "cockpit")
    tell.holds(
        await world.subscriber.first("image.verified", f"{NAMESPACE}/cockpit"),
        "the registry was asked again, and image.verified tells everybody who listens",
    )
    arguments = ("list", "--architecture", "aarch64", "--distro", "autosd", "--output", "json")
    found = [item["metadata"]["name"] for item in orjson.loads(await world.caib(*arguments))["items"]]
    tell.does(f"$ {written(arguments)} | jq '.items[].metadata.name'")
    tell.holds(found == ["cockpit"], "the list has it at once, and aarch64 finds arm64", f"{found}")


async def show_catalog(world: World, console: Console) -> None:
    """Show the whole catalog and one entry of it, as a person sees them.

    Parameters
    ----------
    world
        The running stack.
    console
        Where they are shown.
    """
    for arguments in (("list", "--namespace", NAMESPACE), ("get", "autosd-rpi4")):
        console.print(Text(f"$ {written(arguments)}", style="bold"))
        console.print(Text(await world.caib(*arguments)))


async def run(world: World, tell: Teller, *arguments: str) -> None:
    """Show a command, and what it prints.

    Parameters
    ----------
    world
        The running stack.
    tell
        Who shows it.
    arguments
        What stands behind ``caib catalog``.
    """
    tell.does(f"$ {written(arguments)}")
    for line in (await world.caib(*arguments)).splitlines():
        tell.does(f"  {line}")
