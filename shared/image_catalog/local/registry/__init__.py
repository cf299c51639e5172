"""The embedded OCI registry of the local stack: small, on disk, and true to the distribution specification."""

from __future__ import annotations

from image_catalog.local.registry._access import BasicAccess, read_basic
from image_catalog.local.registry._answers import error
from image_catalog.local.registry._app import create_registry_app
from image_catalog.local.registry._embedded import EmbeddedRegistry
from image_catalog.local.registry._push import RegistryWriter
from image_catalog.local.registry._server import LoopbackServer, close_connection
from image_catalog.local.registry._store import RegistryStore, StoredBlob, StoredManifest
from image_catalog.local.registry.samples import (
    Sample,
    SampleArtifact,
    SampleAttestation,
    SampleImage,
    SampleIndex,
)

__all__ = [
    "BasicAccess",
    "EmbeddedRegistry",
    "LoopbackServer",
    "RegistryStore",
    "RegistryWriter",
    "Sample",
    "SampleArtifact",
    "SampleAttestation",
    "SampleImage",
    "SampleIndex",
    "StoredBlob",
    "StoredManifest",
    "close_connection",
    "create_registry_app",
    "error",
    "read_basic",
]
