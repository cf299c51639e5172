"""The registry as an ASGI application."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from image_catalog.local.registry._answers import HeadWithoutBody, empty
from image_catalog.local.registry._blobs import Blobs, BlobUploads
from image_catalog.local.registry._digest import DIGEST_PATTERN, REPOSITORY_PATTERN, TAG_PATTERN
from image_catalog.local.registry._listings import Listings
from image_catalog.local.registry._manifests import Manifests
from image_catalog.local.registry._store import RegistryStore

__all__ = ["create_registry_app"]


class _Repository(Convertor[str]):
    regex = REPOSITORY_PATTERN

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Reference(_Repository):
    regex = f"(?:{DIGEST_PATTERN}|{TAG_PATTERN})"


register_url_convertor("oci_repository", _Repository())
register_url_convertor("oci_reference", _Reference())


async def _nobody_listens(_request: Request, _error: Exception) -> Response:
    # A sender that goes away in the middle of an upload is everyday life and no fault to log.
    return empty(400)


def create_registry_app(store: RegistryStore | Path) -> Starlette:
    """Build the registry over a store.

    Parameters
    ----------
    store
        The content, or the folder for it.

    Returns
    -------
    Starlette
        Speaks the distribution specification; works behind a socket and inside
        ``httpx.ASGITransport``. A path whose repository, tag or digest breaks
        the grammar is 404 without a code, as the distribution server has it.
    """
    content = store if isinstance(store, RegistryStore) else RegistryStore(store)
    manifests, blobs, uploads, listings = Manifests(content), Blobs(content), BlobUploads(content), Listings(content)
    name = "/v2/{repository:oci_repository}"
    app = Starlette(
        routes=[
            Route("/v2", listings.ping),
            Route("/v2/", listings.ping),
            Route("/v2/_catalog", listings.repositories),
            Route(name + "/tags/list", listings.tags),
            Route(name + "/referrers/{digest}", listings.referrers),
            Route(name + "/manifests/{reference:oci_reference}", manifests.endpoint, methods=manifests.methods),
            Route(name + "/blobs/uploads/", uploads.start, methods=["POST"]),
            Route(name + "/blobs/uploads", uploads.start, methods=["POST"]),
            Route(name + "/blobs/uploads/{upload}", uploads.endpoint, methods=uploads.methods),
            Route(name + "/blobs/{digest}", blobs.endpoint, methods=blobs.methods),
        ],
        middleware=[Middleware(HeadWithoutBody)],
        exception_handlers={ClientDisconnect: _nobody_listens},
    )
    app.router.redirect_slashes = False
    return app
