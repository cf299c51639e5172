"""Wires the API."""

import os

from image_catalog.config import ApiAuth
from image_catalog.context import Context
from image_catalog.tracing import start_tracing, stop_tracing
from image_catalog_functions.api.app import create_app, running
from image_catalog_functions.api.assembly import assemble
from image_catalog_functions.api.serving import serve


async def main(*, host: str, port: int, auth: ApiAuth) -> None:
    """Serve the API until the process is told to stop.

    Parameters
    ----------
    host, port
        Where to listen.
    auth
        Whether the API server is asked about callers.
    """
    context = await Context.from_environment()
    start_tracing(os.environ, service="api")
    services = assemble(context, auth=auth)
    try:
        async with running(services):
            await serve(create_app(services), host=host, port=port, stopping=services.stopping)
    finally:
        await stop_tracing()
