"""``image-catalog local demo``: starts a stack, plays the story, stops everything."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from image_catalog.errors import PermanentError
from image_catalog.local.console import plain_console
from image_catalog.local.demo import StoryFailedError, play, staged

__all__ = ["run_demo"]


async def run_demo(*, kubeconfig: Path | None, registry_url: str | None, folder: Path | None = None) -> None:
    """Play the story.

    Parameters
    ----------
    kubeconfig
        A real cluster in place of the embedded API.
    registry_url
        A real registry in place of the embedded one.
    folder
        Keeps kubeconfigs and logs; a temporary one without.

    Raises
    ------
    PermanentError
        Raised if a step is not as it should be, or a part does not start.
    """
    out = plain_console()
    started = time.monotonic()
    out.print("Starting a Kubernetes API, an OCI registry, a broker, five functions and the catalog's API …")
    with tempfile.TemporaryDirectory(prefix="image-catalog-") as temporary:
        place = folder or Path(temporary)
        async with staged(place, kubeconfig=kubeconfig, registry_url=registry_url) as world:
            seconds = time.monotonic() - started
            out.print(f"They run after {seconds:.1f} s. Events go through {world.broker_url}")
            try:
                await play(world, out)
            except StoryFailedError as e:
                raise PermanentError(str(e)) from e
