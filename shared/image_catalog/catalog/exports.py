"""What a build left beside its image: the files in its bucket, in another artifact, at its operator's route."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from image_catalog.artifacts import ObjectStores, StoreCredential, StoredFiles, format_of
from image_catalog.catalog.credentials import find_secret
from image_catalog.cluster import Secrets
from image_catalog.errors import StoreFaultError
from image_catalog.models import ArtifactRef, ArtifactStore, BuildExports, CatalogImageStatus
from image_catalog.redaction import redact_text

__all__ = ["BuildFiles", "Exported", "SignedUrls", "refs_of", "served_file"]

LIST_TIMEOUT: Final = timedelta(seconds=10)
"""Longest that listing a bucket may take: a publication waits for it, and is published without."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was found of a build's exports.

    Attributes
    ----------
    store
        The bucket that it exported to.
    refs
        Its files, those of the image itself not among them.
    failed
        Types of the files that could not be listed: what is known of them stays.
    """

    store: ArtifactStore | None = None
    refs: tuple[ArtifactRef, ...] = ()
    failed: frozenset[str] = frozenset()

    def added_to(self, status: CatalogImageStatus, *, same_build: bool) -> CatalogImageStatus:
        """Return a status that tells of the exports, beside the files of the image itself.

        Parameters
        ----------
        status
            The status after the registry's word was taken over.
        same_build
            Whether the status told of the same build before. What could not be
            listed now then stays as it was listed; another build's files go.
        """
        own = [ref for ref in status.artifact_refs if not ref.is_exported]
        known = {ref.url for ref in own}
        kept = [ref for ref in status.artifact_refs if same_build and ref.is_exported and ref.type in self.failed]
        refs = [*own, *(ref for ref in (*self.refs, *kept) if ref.url not in known)]
        if refs == status.artifact_refs and self.store == status.artifact_store:
            return status
        return status.model_copy(update={"artifact_refs": refs, "artifact_store": self.store})


@dataclass(frozen=True, slots=True)
class SignedUrls:
    """URLs that open files for a while.

    Attributes
    ----------
    urls
        By the file's name in the store. Each is a secret.
    expires_at
        When they cease to.
    """

    urls: dict[str, SecretStr]
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFiles:
    """Lists and opens the files that builds exported to object stores.

    Parameters
    ----------
    stores
        Asks object stores.
    secrets
        Reads the Secrets that builds exported with.
    prepare
        Brings what may be contacted up to date.
    clock
        Tells the time.
    """

    stores: ObjectStores
    secrets: Secrets
    prepare: Callable[[], Awaitable[object]]
    clock: Callable[[], datetime]

    async def list_files(self, store: ArtifactStore, *, namespace: str) -> StoredFiles:
        """List the files of a build.

        Parameters
        ----------
        store
            Where it left them.
        namespace
            Namespace of the entry that asks, which must be allowed to use the Secret.

        Raises
        ------
        CatalogError
            Raised if they cannot be listed; the message says why, and what to do.
        """
        try:
            async with asyncio.timeout(LIST_TIMEOUT.total_seconds()):
                await self.prepare()
                return await self.stores.list_files(store, await self._credential(store, namespace))
        except TimeoutError as e:
            seconds = LIST_TIMEOUT.total_seconds()
            raise StoreFaultError(f"{store.title}: it took longer than {seconds:.0f} s to list") from e

    async def sign(
        self, store: ArtifactStore, names: Iterable[str], *, namespace: str, lifetime: timedelta
    ) -> SignedUrls:
        """Return URLs that open files of a build to whoever has them.

        Parameters
        ----------
        store
            Where the build left them.
        names
            The files.
        namespace
            Namespace of the entry that asks, which must be allowed to use the Secret.
        lifetime
            How long they open them.

        Raises
        ------
        CatalogError
            Raised if there is nothing to sign with, or nothing that can be signed.
        """
        expires_at = self.clock() + lifetime
        credential = await self._credential(store, namespace)
        urls = await self.stores.presign(store, credential, names, lifetime=lifetime)
        return SignedUrls({name: SecretStr(url) for name, url in urls.items()}, expires_at)

    async def _credential(self, store: ArtifactStore, namespace: str) -> StoreCredential | None:
        if store.credentials_secret is None:
            return None
        secret = await find_secret(
            self.secrets,
            store.credentials_secret,
            owner=store.namespace,
            namespace=namespace,
            named_in="the build's spec.export.disk.s3.credentialsSecret",
        )
        return StoreCredential.of_secret(secret)


def refs_of(files: StoredFiles) -> list[ArtifactRef]:
    """Return what an entry keeps of the files in a store."""
    return [
        ArtifactRef(
            type="s3",
            url=file.url,
            digest=file.sha256,
            size_bytes=file.size_bytes,
            format=file.format,
            name=file.name,
        )
        for file in files.files
    ]


def served_file(exports: BuildExports) -> ArtifactRef | None:
    """Return the download that a build's operator served; `None` where it served none that may be told."""
    try:
        parts = urlsplit(exports.url or "")
    except ValueError:
        return None
    if parts.scheme not in {"https", "http"} or not parts.netloc or "@" in parts.netloc:
        return None
    # Everybody who may read the entry reads its status: what opens the file is left out.
    url = parts._replace(fragment="").geturl()
    if redact_text(url) != url:
        url = parts._replace(fragment="", query="").geturl()
    name = exports.file_name or parts.path.rsplit("/", 1)[-1] or None
    return ArtifactRef(type="http", url=url, name=name, format=format_of(name or ""))
