"""The embedded OCI registry of the local stack: small, on disk, and true to the distribution specification.

It is for laptops and tests. Left out, because nothing here needs them: garbage
collection (what is deleted leaves its bytes in the folder), schema 1 and the
choice of a platform for clients that do not accept a Docker manifest list,
uploads that go on after a restart, and more than one process on one folder.
Where it differs from the distribution server of Debian 12 it follows the newer
specification: tags are sorted and come in pages, there are referrers, a
manifest can be untagged, and a chunk out of order is 416.
"""

from __future__ import annotations

from image_catalog.local.registry._access import BasicAccess, read_basic
from image_catalog.local.registry._answers import HeadWithoutBody, error_answer
from image_catalog.local.registry._app import create_registry_app
from image_catalog.local.registry._embedded import EmbeddedRegistry
from image_catalog.local.registry._push import RegistryWriter
from image_catalog.local.registry._store import RegistryStore, StoredBlob, StoredManifest
from image_catalog.local.registry.samples import (
    SAMPLE_CREATED,
    Blob,
    Sample,
    SampleArtifact,
    SampleAttestation,
    SampleImage,
    SampleIndex,
    disk_layer,
    file_layer,
)

__all__ = [
    "SAMPLE_CREATED",
    "BasicAccess",
    "Blob",
    "EmbeddedRegistry",
    "HeadWithoutBody",
    "RegistryStore",
    "RegistryWriter",
    "Sample",
    "SampleArtifact",
    "SampleAttestation",
    "SampleImage",
    "SampleIndex",
    "StoredBlob",
    "StoredManifest",
    "create_registry_app",
    "disk_layer",
    "error_answer",
    "file_layer",
    "read_basic",
]
