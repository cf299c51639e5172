"""Wires the API."""

from image_catalog.config import ApiAuth
from image_catalog.context import Context
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
    services = assemble(context, auth=auth)
    async with running(services):
        await serve(create_app(services), host=host, port=port, stopping=services.stopping)
