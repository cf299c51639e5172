"""What the functions found out about an image, and keep in its entry's status."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from image_catalog.models.availability import Availability
from image_catalog.models.drift import Drift
from image_catalog.models.due import DueAt
from image_catalog.models.evidence import Evidence, TestedTarget
from image_catalog.models.kubernetes import Condition, KubernetesModel, Time
from image_catalog.models.provenance import ArtifactStore, Promotion
from image_catalog.models.reasons import NextVerificationReason
from image_catalog.models.recalls import MAX_PARTS, Recall, Restoration
from image_catalog.models.referrers import Referrer
from image_catalog.models.wording import Count

__all__ = [
    "ArtifactRef",
    "BuildManifestRef",
    "CatalogImageStatus",
    "Change",
    "ChangeEvent",
    "EffectiveMetadata",
    "Phase",
    "Platform",
    "PlatformVariant",
    "RegistryMetadata",
    "SourceImageBuild",
    "Version",
]


class Phase(StrEnum):
    """Where an entry stands in its life."""

    PENDING = "Pending"
    VERIFYING = "Verifying"
    AVAILABLE = "Available"
    UNAVAILABLE = "Unavailable"
    FAILED = "Failed"


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
    size_bytes: Count | None = None
    """Config and layers; absent when the platform's manifest could not be read."""
    layer_count: Count | None = None
    """Layers; absent when the platform's manifest could not be read."""


class RegistryMetadata(KubernetesModel):
    """What the registry says about the image; people cannot edit it."""

    resolved_digest: str
    """Digest of the reference itself: the index's digest for a multi-arch image."""
    media_type: str = ""
    """Media type of the manifest or index."""
    artifact_type: str | None = None
    """Type of an OCI artifact."""
    size_bytes: Count = 0
    """Config and layers; for an index the sum over its platforms."""
    layer_count: Count = 0
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
    platforms: Annotated[list[str], Field(max_length=MAX_PARTS)] = []
    """Digests of the platforms of an index, which are recalled with it; none where nobody kept them."""
    published_at: Time | None = None
    """When it was published."""
    source_image_build: SourceImageBuild | None = None
    """The build that made it."""
    promoted_from: Promotion | None = None
    """The entry that it was promoted from, where it was."""
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
    actor: Annotated[str, Field(max_length=512)] | None = None
    """Who caused it, where that is known."""
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
    size_bytes: Count | None = None
    """Its size as stored."""
    format: str | None = None
    """``raw``, ``qcow2`` or ``simg``, with its compression."""
    name: str | None = None
    """Its file name."""
    partition: str | None = None
    """The partition that it is for."""
    decompressed_size_bytes: Count | None = None
    """Its size on the board."""
    reference: str | None = None
    """Reference of the OCI artifact that holds it, where that is not the entry's own image."""

    @property
    def is_exported(self) -> bool:
        """Whether its build left it beside the image, so that no look at the image brings it to light."""
        return self.type != "oci" or self.reference is not None


class BuildManifestRef(KubernetesModel):
    """The ConfigMap that keeps the build's automotive-image-builder manifest."""

    name: str
    """Name of the ConfigMap, in the entry's namespace."""
    key: str
    """Its key."""


class CatalogImageStatus(KubernetesModel):
    """What the functions found out; only they write it."""

    observed_generation: Count | None = None
    """Generation of the spec that the status speaks of."""
    phase: Phase | None = None
    """Where the entry stands in its life."""
    conditions: Annotated[
        list[Condition],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = []
    """Available, Verified, DigestMatched, MetadataConsistent, Ready; Recalled once a content was recalled."""
    registry_metadata: RegistryMetadata | None = None
    """What the registry says about the image."""
    effective_metadata: EffectiveMetadata | None = None
    """What the entry is shown and found by, of what spec.metadata and the registry say."""
    last_verification_time: Time | None = None
    """When the registry was last asked."""
    next_verification_time: Time | None = None
    """When it is to be asked next."""
    next_verification_reason: NextVerificationReason | None = None
    """Why then."""
    next_verification_message: Annotated[str, Field(max_length=512)] | None = None
    """Why then, as a sentence for people."""
    effective_verification_interval: Annotated[str, Field(max_length=64)] | None = None
    """The interval in effect, ``4h`` for example, where it is not that of the spec."""
    due: DueAt | None = None
    """The same time by names that can be selected; written with it."""
    verification_failures: Count | None = None
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
    drift: Drift | None = None
    """What the tag of a pinned entry has, since it moved away from the pin."""
    artifact_refs: list[ArtifactRef] = []
    """The files that belong to the image."""
    artifact_store: ArtifactStore | None = None
    """Where the build exported its disk images to, when that is an object store."""
    promoted_from: Promotion | None = None
    """The entry that the current version was promoted from, where it was."""
    recalls: Annotated[list[Recall], Field(max_length=64)] = []
    """Contents of this entry that must not be used any more."""
    restorations: Annotated[list[Restoration], Field(max_length=16)] = []
    """The last recalls that were taken back, newest first."""
    evidence: Annotated[list[Evidence], Field(max_length=256)] = []
    """How contents of this entry did on boards, as test.reported events told."""
    targets: Annotated[list[TestedTarget], Field(max_length=128)] = []
    """What holds of each board: tested by evidence where there is any, else what spec.metadata claims."""
    availability: Availability | None = None
    """The share of time that the image was there."""
    access_count: Count | None = None
    """How often its details were asked for."""

    def condition(self, condition_type: str) -> Condition | None:
        """Return the condition of a type, or `None`."""
        return next((c for c in self.conditions if c.type == condition_type), None)
