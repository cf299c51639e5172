"""The embedded registry behind a socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import trustme
from starlette.types import ASGIApp

from image_catalog.local.registry._access import BasicAccess
from image_catalog.local.registry._app import create_registry_app
from image_catalog.local.registry._events import PushEvents
from image_catalog.local.registry._store import RegistryStore
from image_catalog.local.serving import LoopbackServer

__all__ = ["EmbeddedRegistry"]


class EmbeddedRegistry(LoopbackServer):
    """An OCI registry of this process: start, stop, start again at the same address.

    Parameters
    ----------
    root
        Folder of its content; made when absent, kept when the registry ends.
    host
        The address to listen on.
    port
        0 takes a free one and keeps it over restarts.
    certificate
        TLS with a certificate of this authority; plain HTTP without.
    accounts
        Passwords by user; may be changed only by a new registry.
    private
        First path components, or whole repositories, that need an account.

    Attributes
    ----------
    store
        The content, for putting samples in or taking blobs out directly.
    events
        Tells its listeners of what is pushed and deleted.
    app
        The ASGI application, for use without a socket.

    Examples
    --------
    >>> async with EmbeddedRegistry(tmp_path) as registry:
    ...     await SampleImage().push(registry.url, "demo/os", "1.0")
    """

    def __init__(
        self,
        root: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: trustme.CA | None = None,
        accounts: Mapping[str, str] | None = None,
        private: Iterable[str] = (),
    ) -> None:
        self.store = RegistryStore(root)
        self.events = PushEvents(create_registry_app(self.store))
        self.app: ASGIApp = self.events
        if accounts:
            self.app = BasicAccess(self.app, accounts=accounts, private=private)
        super().__init__(self.app, host=host, port=port, certificate=certificate)
