"""Sets the stage: a stack with a subscriber, and the people of the story in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from image_catalog.local.demo.commands import Caib
from image_catalog.local.demo.registries import EmbeddedControl, PushOnlyControl, RegistryControl
from image_catalog.local.demo.story import PRIVATE_ACCOUNT
from image_catalog.local.demo.subscriber import EventSubscriber
from image_catalog.local.demo.world import World
from image_catalog.local.figures import scrape
from image_catalog.local.stack import LocalStack, StackOptions

__all__ = ["staged"]


@asynccontextmanager
async def staged(
    folder: Path,
    *,
    kubeconfig: Path | None = None,
    registry_url: str | None = None,
    registry: RegistryControl | None = None,
) -> AsyncIterator[World]:
    """Run a stack to play the story on.

    Parameters
    ----------
    folder
        Where everything of the stack goes.
    kubeconfig
        A real cluster in place of the embedded API.
    registry_url
        A real registry in place of the embedded one.
    registry
        What may be done to that; only pushing to it when absent.

    Raises
    ------
    PermanentError
        Raised if a part does not start.
    """
    user, password = PRIVATE_ACCOUNT
    async with EventSubscriber() as subscriber:
        options = StackOptions(
            folder=folder,
            kubeconfig=kubeconfig,
            registry_url=registry_url,
            accounts={user: password},
            documents=subscriber.documents,
            services=subscriber.services,
        )
        async with LocalStack(options) as stack:
            if stack.registry is not None:
                registry = EmbeddedControl(stack.registry, account=PRIVATE_ACCOUNT)
            yield World(
                api=stack.api,
                registry=registry or PushOnlyControl(stack.registry_url),
                broker_url=stack.knative.broker_url,
                subscriber=subscriber,
                settle=stack.knative.wait_idle,
                caib=Caib(server=stack.catalog_url, kubeconfig=stack.kubeconfig),
                figures=lambda: scrape(stack.figure_urls.values()),
            )
