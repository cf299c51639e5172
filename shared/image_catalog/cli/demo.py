"""``image-catalog local demo``: starts the stack, plays the story, stops everything."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from image_catalog.errors import PermanentError
from image_catalog.local.console import plain_console
from image_catalog.local.demo import (
    EmbeddedControl,
    EventSubscriber,
    PushOnlyControl,
    StoryFailedError,
    World,
    play,
)
from image_catalog.local.demo.story import PRIVATE_ACCOUNT
from image_catalog.local.stack import LocalStack, StackOptions

__all__ = ["run_demo"]


async def run_demo(*, kubeconfig: Path | None, registry_url: str | None) -> None:
    """Play the story.

    Parameters
    ----------
    kubeconfig
        A real cluster in place of the embedded API.
    registry_url
        A real registry in place of the embedded one.

    Raises
    ------
    PermanentError
        Raised if a step is not as it should be, or a part does not start.
    """
    out = plain_console()
    started = time.monotonic()
    out.print("Starting a Kubernetes API, an OCI registry, a broker and five functions on this machine …")
    user, password = PRIVATE_ACCOUNT
    with tempfile.TemporaryDirectory(prefix="image-catalog-") as folder:
        async with EventSubscriber() as subscriber:
            options = StackOptions(
                folder=Path(folder),
                kubeconfig=kubeconfig,
                registry_url=registry_url,
                accounts={user: password},
                documents=subscriber.documents,
                services=subscriber.services,
            )
            async with LocalStack(options) as stack:
                out.print(
                    f"They run after {time.monotonic() - started:.1f} s. Events go through {stack.knative.broker_url}"
                )
                control = EmbeddedControl(stack.registry, account=PRIVATE_ACCOUNT) if stack.registry else None
                world = World(
                    api=stack.api,
                    registry=control or PushOnlyControl(stack.registry_url),
                    broker_url=stack.knative.broker_url,
                    subscriber=subscriber,
                    settle=stack.knative.wait_idle,
                )
                try:
                    await play(world, out)
                except StoryFailedError as e:
                    raise PermanentError(str(e)) from e
