"""Media types of manifests and configurations, and what the catalog makes of them."""

from __future__ import annotations

__all__ = [
    "ACCEPT_MANIFESTS",
    "EMPTY_CONFIG",
    "IMAGE_CONFIGS",
    "IMAGE_MANIFESTS",
    "INDEXES",
    "OCI_INDEX",
    "OCI_MANIFEST",
    "OLD_MANIFESTS",
    "essence",
]

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEXES = frozenset({OCI_INDEX, _DOCKER_LIST})
IMAGE_MANIFESTS = frozenset({OCI_MANIFEST, _DOCKER_MANIFEST})

OLD_MANIFESTS = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
"""Docker's schema 1: signed, so that its digest is not that of its bytes; engines have dropped it."""

IMAGE_CONFIGS = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
"""Configurations that describe a container image; no other blob is read as one."""

EMPTY_CONFIG = "application/vnd.oci.empty.v1+json"

ACCEPT_MANIFESTS = f"{OCI_INDEX}, {_DOCKER_LIST}, {OCI_MANIFEST}, {_DOCKER_MANIFEST}".encode()
"""The same for HEAD and GET: registries convert what is not accepted, and a converted manifest has another digest."""


def essence(content_type: str | None) -> str:
    """Return a media type without parameters, in lower case; empty for none.

    Parameters
    ----------
    content_type
        Value of a ``Content-Type`` header or of a ``mediaType`` field.
    """
    return (content_type or "").partition(";")[0].strip().lower()
