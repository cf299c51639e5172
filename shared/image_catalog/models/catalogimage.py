"""CatalogImage: one published OS image, and what the catalog knows of it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from image_catalog.models.durations import DURATION_PATTERN, parse_duration
from image_catalog.models.kubernetes import Condition, KubernetesModel, ObjectMeta, Time
from image_catalog.models.names import API_VERSION
from image_catalog.models.reference import DIGEST_PATTERN
from image_catalog.models.referrers import Referrer
from image_catalog.models.wording import LABEL_VALUE_PATTERN, RegistryUrl

__all__ = [
    "LONGEST_INTERVAL",
    "ArtifactRef",
    "AuthSecretRef",
    "Availability",
    "BuildManifestRef",
    "CatalogImage",
    "CatalogImageSpec",
    "CatalogImageStatus",
    "CatalogMetadata",
    "Change",
    "ChangeEvent",
    "Digest",
    "DriftPolicy",
    "EffectiveMetadata",
    "HardwareTarget",
    "LabelValue",
    "Phase",
    "Platform",
    "PlatformVariant",
    "RegistryMetadata",
    "SourceImageBuild",
    "Version",
    "normalise_architecture",
]

_OCI_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

LONGEST_INTERVAL = timedelta(days=365)
"""An entry that asks for a longer one would in effect never be checked."""

LabelValue = Annotated[str, Field(min_length=1, max_length=63, pattern=LABEL_VALUE_PATTERN)]
"""Text that can be a label value: entries are found by it with label selectors."""

Digest = Annotated[str, Field(pattern=DIGEST_PATTERN)]

_Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]


def normalise_architecture(architecture: str) -> str:
    """Return the OCI name of an architecture: ``arm64`` for ``aarch64``, ``amd64`` for ``x86_64``."""
    return _OCI_ARCHITECTURES.get(architecture, architecture)


class Phase(StrEnum):
    """Where an entry stands in its life."""

    PENDING = "Pending"
    VERIFYING = "Verifying"
    AVAILABLE = "Available"
    UNAVAILABLE = "Unavailable"
    FAILED = "Failed"


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


class Platform(KubernetesModel):
    """The platform that an image runs on, by OCI names."""

    architecture: str = ""
    """Processor architecture, ``arm64`` for example."""
    os: str = ""
    """Operating system, ``linux`` for example."""
    variant: str | None = None
    """Variant of the architecture."""


class PlatformVariant(KubernetesModel):
    """One platform image of a multi-arch index, with its own sizes."""

    architecture: str = ""
    """Processor architecture, ``arm64`` for example."""
    os: str = ""
    """Operating system, ``linux`` for example."""
    variant: str | None = None
    """Variant of the architecture."""
    digest: str
    """Digest of the platform's manifest."""
    size_bytes: _Count | None = None
    """Config and layers; absent when the platform's manifest could not be read."""
    layer_count: _Count | None = None
    """Layers; absent when the platform's manifest could not be read."""


class RegistryMetadata(KubernetesModel):
    """What the registry says about the image; people cannot edit it."""

    resolved_digest: str
    """Digest of the reference itself: the index's digest for a multi-arch image."""
    media_type: str = ""
    """Media type of the manifest or index."""
    artifact_type: str | None = None
    """Type of an OCI artifact."""
    size_bytes: _Count = 0
    """Config and layers; for an index the sum over its platforms."""
    layer_count: _Count = 0
    """Layers; for an index the sum over its platforms."""
    platform: Platform | None = None
    """Platform of a single-arch image."""
    created_at: Time | None = None
    """When the image was built, by its own word."""
    is_multi_arch: bool = False
    """Whether it is an index with more than one platform."""
    platform_variants: list[PlatformVariant] = []
    """The platforms of an index."""
    annotations: dict[str, str] = {}
    """The automotive annotations of manifest and config."""
    referrers: Annotated[list[Referrer], Field(max_length=64)] = []
    """Signatures, SBOMs and attestations that refer to the image."""
    referrers_time: Time | None = None
    """When they were last listed."""
    last_verified: Time | None = None
    """When the registry was last asked and answered."""


class EffectiveMetadata(KubernetesModel):
    """What holds of the image: the registry's word where it contradicts spec.metadata, unless that overrides."""

    architecture: str | None = None
    """Every architecture by its OCI name, ``arm64,amd64`` for a multi-arch image."""
    distro: str | None = None
    """Distribution."""
    targets: list[str] = []
    """Names of the boards that the image is for."""
    bootc_capable: bool | None = None
    """Whether the image can be run by bootc."""
    export_format: str | None = None
    """Format of the disk image."""


class SourceImageBuild(KubernetesModel):
    """The build that made a version."""

    name: str
    """Name of the ImageBuild."""
    namespace: str
    """Namespace of the ImageBuild."""
    uid: str = ""
    """Uid of the ImageBuild."""
    completion_time: Time | None = None
    """When the build completed."""


class Version(KubernetesModel):
    """What the entry pointed to before."""

    digest: str
    """Digest of the version."""
    published_at: Time | None = None
    """When it was published."""
    source_image_build: SourceImageBuild | None = None
    """The build that made it."""
    superseded_at: Time
    """When the next version took its place."""


class ChangeEvent(KubernetesModel):
    """A catalog event that a change emitted."""

    type: str
    """Type of the event, without the catalog's prefix."""
    id: str
    """Id of the event."""


class Change(KubernetesModel):
    """A status write and the events that it owes, so that a redelivered cause emits them again."""

    cause: str
    """Id of the event that caused the write."""
    events: list[ChangeEvent] = []
    """The events that it owes."""
    time: Time
    """When it was written."""


class ArtifactRef(KubernetesModel):
    """A file that belongs to the image: a disk image, for example."""

    type: str
    """Where it lies: ``oci``, ``s3`` or ``http``."""
    url: str
    """Its address, without credentials."""
    digest: str | None = None
    """Its digest, where the store has one."""
    size_bytes: _Count | None = None
    """Its size as stored."""
    format: str | None = None
    """``raw``, ``qcow2`` or ``simg``, with its compression."""
    name: str | None = None
    """Its file name."""
    partition: str | None = None
    """The partition that it is for."""
    decompressed_size_bytes: _Count | None = None
    """Its size on the board."""


class Availability(KubernetesModel):
    """The share of time that the image was there, from 0 to 1."""

    last24h: Annotated[float | None, Field(ge=0, le=1, alias="last24h")] = None
    """Over the last 24 hours."""
    last30d: Annotated[float | None, Field(ge=0, le=1, alias="last30d")] = None
    """Over the last 30 days."""


class BuildManifestRef(KubernetesModel):
    """The ConfigMap that keeps the build's automotive-image-builder manifest."""

    name: str
    """Name of the ConfigMap, in the entry's namespace."""
    key: str
    """Its key."""


class CatalogImageStatus(KubernetesModel):
    """What the functions found out; only they write it."""

    observed_generation: _Count | None = None
    """Generation of the spec that the status speaks of."""
    phase: Phase | None = None
    """Where the entry stands in its life."""
    conditions: Annotated[
        list[Condition],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = []
    """Available, Verified, DigestMatched, MetadataConsistent, Ready."""
    registry_metadata: RegistryMetadata | None = None
    """What the registry says about the image."""
    effective_metadata: EffectiveMetadata | None = None
    """What the entry is shown and found by, of what spec.metadata and the registry say."""
    last_verification_time: Time | None = None
    """When the registry was last asked."""
    next_verification_time: Time | None = None
    """When it is to be asked next."""
    verification_failures: _Count | None = None
    """Checks that failed one after another."""
    verified_inputs: str | None = None
    """Hash of what a check depends on: equal means that a new generation needs no check."""
    published_at: Time | None = None
    """When the current version was published."""
    source_image_build: SourceImageBuild | None = None
    """The build that made the current version."""
    source_image: str | None = None
    """The build operator's Image resource, where there is one."""
    build_manifest_ref: BuildManifestRef | None = None
    """The ConfigMap that keeps the recipe of the current version."""
    recent_changes: Annotated[list[Change], Field(max_length=9)] = []
    """The last eight status writes that owe events, and the check that is under way."""
    history: Annotated[list[Version], Field(max_length=10)] = []
    """The ten versions before the current one, newest first."""
    artifact_refs: list[ArtifactRef] = []
    """The files that belong to the image."""
    availability: Availability | None = None
    """The share of time that the image was there."""
    access_count: _Count | None = None
    """How often its details were asked for."""

    def condition(self, condition_type: str) -> Condition | None:
        """Return the condition of a type, or `None`."""
        return next((c for c in self.conditions if c.type == condition_type), None)


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
