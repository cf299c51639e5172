"""What every sample is: a manifest, its blobs, its children, and the ways into a registry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from image_catalog.local.clients import trust_for
from image_catalog.local.registry._digest import digest_of
from image_catalog.local.registry._media_types import OCI_INDEX
from image_catalog.local.registry._push import RegistryWriter
from image_catalog.local.registry._store import RegistryStore

__all__ = ["Blob", "Sample", "dump"]


def dump(document: Any) -> bytes:
    """Write JSON in one way only: what is equal has one digest."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A config or a layer.

    Attributes
    ----------
    content
        The bytes as the registry keeps them.
    media_type
        For the descriptor.
    annotations
        For the descriptor.
    diff_id
        Digest of a layer's uncompressed bytes; empty for what is no layer.
    """

    content: bytes
    media_type: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    diff_id: str = ""

    @property
    def digest(self) -> str:
        """Digest of the bytes."""
        return digest_of(self.content)

    def descriptor(self) -> dict[str, Any]:
        """Return the descriptor that a manifest holds."""
        described = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}
        return described | ({"annotations": dict(self.annotations)} if self.annotations else {})


class Sample:
    """Something that can be pushed.

    Parameters
    ----------
    document
        The manifest.
    media_type
        Of the manifest.
    blobs
        Config first, then layers.
    children
        What an index names.
    platform
        For the descriptor in an index; `None` for what has no platform.

    Attributes
    ----------
    manifest
        The manifest's bytes.
    digest
        Of these bytes; what the tag resolves to.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        *,
        media_type: str,
        blobs: Sequence[Blob] = (),
        children: Sequence[Sample] = (),
        platform: Mapping[str, str] | None = None,
    ) -> None:
        self.manifest = dump(document)
        self.digest = digest_of(self.manifest)
        self.media_type = media_type
        self.blobs = tuple(blobs)
        self.children = tuple(children)
        self.platform = platform

    @property
    def size(self) -> int:
        """Bytes of config and layers; for an index the sum over its children with a platform."""
        own = sum(len(blob.content) for blob in self.blobs)
        return own + sum(child.size for child in self.children if not child.is_attestation)

    @property
    def is_attestation(self) -> bool:
        """Whether an index carries this beside its images rather than as one of them."""
        return False

    def descriptor(self) -> dict[str, Any]:
        """Return the descriptor under which an index or a referrer names this."""
        described = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.manifest)}
        return described | ({"platform": dict(self.platform)} if self.platform is not None else {})

    def walk(self) -> Iterator[Sample]:
        """Yield everything below, children first, and this last: the order that a registry wants."""
        for child in self.children:
            yield from child.walk()
        yield self

    def put(self, store: RegistryStore, repository: str, tag: str | None = None) -> str:
        """Put this straight into a store.

        Parameters
        ----------
        store
            Of an embedded registry.
        repository
            Where it goes.
        tag
            The name that it gets; none but its digest by default.

        Returns
        -------
        str
            The digest.
        """
        for sample in self.walk():
            for blob in sample.blobs:
                store.put_blob(repository, blob.content)
            name = tag if tag is not None and sample is self else sample.digest
            store.put_manifest(repository, name, sample.manifest, media_type=sample.media_type)
        return self.digest

    async def push(
        self,
        registry_url: str,
        repository: str,
        tag: str | None = None,
        *,
        auth: httpx.Auth | tuple[str, str] | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> str:
        """Push this to a registry over HTTP.

        Parameters
        ----------
        registry_url
            Scheme, host and port.
        repository
            Where it goes.
        tag
            The name that it gets; none but its digest by default.
        auth
            User and password for Basic, or any other authentication of httpx.
        client
            Used as it is, for TLS trust or an in-process transport; one is
            made and closed when absent.

        Returns
        -------
        str
            The digest.

        Raises
        ------
        PermanentError, TransientError
            When the registry refuses or cannot be reached.
        """
        if client is None:
            async with httpx.AsyncClient(verify=trust_for(registry_url)) as own:
                return await self.push(registry_url, repository, tag, auth=auth, client=own)
        writer = RegistryWriter(client, url=registry_url, repository=repository, auth=auth)
        for sample in self.walk():
            for blob in sample.blobs:
                await writer.put_blob(blob.content)
            reference = tag if sample is self and tag is not None else sample.digest
            await writer.put_manifest(reference, sample.manifest, media_type=sample.media_type)
        return self.digest

    def write_layout(self, folder: Path, tag: str) -> Path:
        """Write this as an OCI layout, which ``skopeo copy oci:<folder>:<tag>`` reads.

        Samples with Docker's media types cannot go this way: a layout holds OCI content only.

        https://github.com/opencontainers/image-spec/blob/main/image-layout.md

        Parameters
        ----------
        folder
            Made when absent; a layout that is there already is replaced.
        tag
            The name within the layout.

        Returns
        -------
        Path
            The folder.
        """
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        for sample in self.walk():
            for content in (*(blob.content for blob in sample.blobs), sample.manifest):
                (blobs / digest_of(content).removeprefix("sha256:")).write_bytes(content)
        named = self.descriptor() | {"annotations": {"org.opencontainers.image.ref.name": tag}}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [named]}
        (folder / "index.json").write_bytes(dump(index))
        (folder / "oci-layout").write_bytes(dump({"imageLayoutVersion": "1.0.0"}))
        return folder
