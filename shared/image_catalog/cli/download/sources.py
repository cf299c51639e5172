"""Where a file comes from, and what opens it there: a URL that the catalog signed, or a credential of the user's."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from image_catalog.cli.download.streams import Client, Stream, TransferError, origin_of
from image_catalog.cli.download.wanted import WantedFile
from image_catalog.cli.errors import CommandError

if TYPE_CHECKING:
    from image_catalog.models import Reference
    from image_catalog.registry import Credential

__all__ = ["CatalogSource", "RegistryKeys", "Source"]

_DENIED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""How a store turns down a URL that has expired, and a registry a token that has: AWS says 403, others 400 or 401."""

_HUB = {"registry-1.docker.io": "docker.io"}
"""Hosts of APIs by whose name no credential is kept."""


class Source(Protocol):
    """Where a file's bytes come from."""

    def open(self, *, offset: int, etag: str | None) -> Stream:
        """Ask for the file from an offset on, if it is still what the ETag names."""


class CatalogSource:
    """A file as the catalog tells where it is.

    Parameters
    ----------
    file
        The file.
    client
        Opens streams.
    locate
        Asks the catalog for the file's address once more: the URL of a file
        in a bucket is good for some minutes.
    keys
        Opens blobs of registries.
    """

    def __init__(
        self, file: WantedFile, *, client: Client, locate: Callable[[WantedFile], str], keys: RegistryKeys
    ) -> None:
        self._file = file
        self._client = client
        self._locate = locate
        self._keys = keys
        self._url: str | None = None
        self._authorization: str | None = None

    def open(self, *, offset: int, etag: str | None) -> Stream:
        """Ask for the file from an offset on.

        Raises
        ------
        TransferError
            Raised if there is no answer, or one that may be another next time.
        CommandError
            Raised if the file is not to be had.
        """
        if self._url is None:
            self._renew()
        stream = self._get(offset, etag)
        if stream.status in _DENIED:
            stream.close()
            self._renew()
            stream = self._get(offset, etag)
        return stream

    def _renew(self) -> None:
        self._url = self._locate(self._file)
        if self._file.type == "oci":
            self._authorization = self._keys.authorization(self._url)

    def _get(self, offset: int, etag: str | None) -> Stream:
        headers = {}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            # A weak name says that the bytes may differ: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5.
            if etag is not None and not etag.startswith("W/"):
                headers["If-Range"] = etag
        if self._authorization is not None:
            headers["Authorization"] = self._authorization
        if self._url is None:
            raise TransferError("the catalog did not say where the file is")
        return self._client.get(self._url, headers=headers)


class RegistryKeys:
    """Opens blobs with the credentials that docker and podman keep for this user.

    Parameters
    ----------
    environment
        Names the auth files, and egress proxies.
    certificate_authority
        File with certificates that are trusted beside the system's own.
    """

    def __init__(
        self, *, environment: Mapping[str, str] = os.environ, certificate_authority: Path | None = None
    ) -> None:
        self._environment = environment
        self._authority = certificate_authority
        # Several files of one repository would each ask for a token of its own.
        self._lock = threading.Lock()
        self._known: dict[str, bool] = {}

    def authorization(self, url: str) -> str | None:
        """Return the ``Authorization`` that a blob's registry wants to see; `None` where it wants none.

        A credential is looked up by the host that the URL really names, so
        that none goes to a host which it is not for.

        Parameters
        ----------
        url
            The blob's, ``https://host/v2/repository/blobs/sha256:…``.

        Raises
        ------
        CommandError
            Raised if the registry does not give it.
        """
        # Imported here: files of buckets need no registry.
        from image_catalog.errors import CatalogError, TransientError  # noqa: PLC0415 - see above
        from image_catalog.models import Reference  # noqa: PLC0415 - the same
        from image_catalog.registry import AuthFiles  # noqa: PLC0415 - the same

        base, _, path = url.partition("/v2/")
        repository, separator, digest = path.partition("/blobs/")
        host = urlsplit(url).netloc
        if not separator:
            raise CommandError(f"the artifact's address at {host} is no blob's of a registry")
        try:
            blob = Reference.parse(f"{_HUB.get(host, host)}/{repository}@{digest}")
            credential = AuthFiles.from_environment(self._environment).find(blob).credential
            if credential is not None:
                _refuse_plain(url)
            with self._lock:
                return asyncio.run(self._ask(blob, base, credential))
        except TransientError as e:
            raise TransferError(e.message, retry_after=e.retry_after) from e
        except CatalogError as e:
            remedy = f"log in with: podman login {_HUB.get(host, host)}" if credential_is_missing(e) else ""
            raise CommandError(e.message, hint=getattr(e, "hint", "") or remedy) from e

    async def _ask(self, blob: Reference, base: str, credential: Credential | None) -> str | None:
        from image_catalog.models import CatalogRegistry  # noqa: PLC0415 - as above
        from image_catalog.registry import HostPolicy, RegistryClient  # noqa: PLC0415 - the same

        tls: dict[str, Any] = {}
        if self._authority is not None:
            tls["caBundle"] = self._authority.read_text()
        rule = CatalogRegistry.model_validate(
            {"metadata": {"name": "artifact"}, "spec": {"host": blob.registry, "endpoint": base, "tls": tls}}
        )
        # Whose machine this is may ask whom they like.
        hosts = HostPolicy([rule], allow_private=True)
        async with RegistryClient.create(hosts=hosts, environment=self._environment) as client:
            return await client.blobs.authorization(blob, credential=credential)


def credential_is_missing(error: Exception) -> bool:
    """Return whether another credential would help."""
    return getattr(error, "reason", "") in {"AuthenticationFailed", "AccessDenied"}


def _refuse_plain(url: str) -> None:
    """Refuse to send a credential where everybody on the way can read it, but for this machine."""
    scheme, host, _ = origin_of(url)
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if scheme != "https" and not local:
        raise CommandError(
            f"the credential for {host} is not sent over plain http",
            hint="have the registry served with TLS, or take its credential out of the auth files",
        )
