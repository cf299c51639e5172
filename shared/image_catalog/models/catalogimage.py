"""CatalogImage: one published OS image, and what the catalog knows of it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from image_catalog.models.catalogimagestatus import CatalogImageStatus
from image_catalog.models.durations import DURATION_PATTERN, parse_duration
from image_catalog.models.kubernetes import KubernetesModel, ObjectMeta
from image_catalog.models.names import API_VERSION
from image_catalog.models.wording import Digest, LabelValue, RegistryUrl

__all__ = [
    "LONGEST_INTERVAL",
    "AuthSecretRef",
    "CatalogImage",
    "CatalogImageSpec",
    "CatalogMetadata",
    "DriftPolicy",
    "HardwareTarget",
    "normalise_architecture",
]

_OCI_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

LONGEST_INTERVAL = timedelta(days=365)
"""An entry that asks for a longer one would in effect never be checked."""


def normalise_architecture(architecture: str) -> str:
    """Return the OCI name of an architecture: ``arm64`` for ``aarch64``, ``amd64`` for ``x86_64``."""
    return _OCI_ARCHITECTURES.get(architecture, architecture)


class DriftPolicy(StrEnum):
    """What happens when the tag of a pinned entry moves."""

    ALERT = "alert"
    FOLLOW = "follow"
    QUARANTINE = "quarantine"


class AuthSecretRef(KubernetesModel):
    """The Secret with the credential for the entry's registry."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the Secret."""
    namespace: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Its namespace; the entry's own when absent. Another one must allow it by annotation."""


class HardwareTarget(KubernetesModel):
    """A board, or virtual board, that the image is for."""

    name: LabelValue
    """The board's name, ``raspberry-pi`` for example."""
    verified: bool = False
    """True only when somebody said that the image was tested on it."""
    notes: str | None = None
    """What a person wants to say about it."""


class CatalogMetadata(KubernetesModel):
    """What a person, or the image's build, says about the image."""

    architecture: Literal["amd64", "arm64", "x86_64", "aarch64"] | None = None
    """Processor architecture, kept as given and compared by its OCI name."""
    os: str = "linux"
    """Operating system by its OCI name."""
    variant: str | None = None
    """Variant of the architecture, ``v8`` for example."""
    distro: LabelValue | None = None
    """Distribution, ``cs9`` for example."""
    distro_version: str | None = None
    """Version of the distribution, ``9.4`` for example."""
    kernel_version: str | None = None
    """Version of the kernel in the image."""
    targets: Annotated[
        list[HardwareTarget],
        Field(
            max_length=64, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
        ),
    ] = []
    """The boards that the image is for."""
    bootc_capable: bool | None = None
    """Whether the image can be run by bootc."""
    bootc: bool | None = None
    """The build operator's name for bootcCapable; it means the same."""
    build_mode: Literal["bootc", "image", "package"] | None = None
    """How automotive-image-builder built it."""
    export_format: str | None = None
    """Format of the disk image, ``qcow2`` for example."""

    @property
    def is_bootc_capable(self) -> bool | None:
        """Whether bootc can run the image, under whichever name it was said."""
        return self.bootc if self.bootc_capable is None else self.bootc_capable


class CatalogImageSpec(KubernetesModel):
    """What an entry is asked to stand for."""

    registry_url: RegistryUrl
    """Image reference with an explicit host: host[:port]/repository[:tag][@digest], without a scheme."""
    digest: Digest | None = None
    """The pinned content; equal to the digest in registryUrl where that carries one."""
    tags: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = []
    """Words of our own to find the image by; not the registry's tags."""
    auth_secret_ref: AuthSecretRef | None = None
    """The Secret with the credential for the registry; absent for a public image."""
    verification_interval: Annotated[str, Field(pattern=DURATION_PATTERN, max_length=64)] = "1h"
    """How often the registry is asked, as Go writes durations: ``30m``, ``1h30m``."""
    verify_blobs: bool = False
    """Whether a check asks for every config and layer, not only for manifests."""
    drift_policy: DriftPolicy = DriftPolicy.ALERT
    """What happens when the tag of a pinned entry moves."""
    metadata: CatalogMetadata | None = None
    """What a person, or the image's build, says about the image."""

    @property
    def interval(self) -> timedelta:
        """The verification interval, `LONGEST_INTERVAL` at most."""
        try:
            return min(parse_duration(self.verification_interval), LONGEST_INTERVAL)
        except ValueError:
            # The CRD's pattern admits durations beyond what a timedelta can hold.
            return LONGEST_INTERVAL


class CatalogImage(KubernetesModel):
    """One published OS image."""

    api_version: str = API_VERSION
    kind: str = "CatalogImage"
    metadata: ObjectMeta
    spec: CatalogImageSpec
    status: CatalogImageStatus = Field(default_factory=CatalogImageStatus)

    @classmethod
    def from_object(cls, data: dict[str, Any]) -> CatalogImage:
        """Read an entry as the API server gave it.

        Raises
        ------
        pydantic.ValidationError
            Raised if the object breaks the schema.
        """
        return cls.model_validate(data)

    @property
    def subject(self) -> str:
        """The entry's ``namespace/name``, as events name it."""
        return f"{self.metadata.namespace}/{self.metadata.name}"
