"""Typed forms of every object that the catalog reads or writes, and the schemas made from them."""

from image_catalog.models.catalogimage import (
    ArtifactRef,
    AuthSecretRef,
    Availability,
    BuildManifestRef,
    CatalogImage,
    CatalogImageSpec,
    CatalogImageStatus,
    CatalogMetadata,
    Change,
    ChangeEvent,
    DriftPolicy,
    HardwareTarget,
    Phase,
    Platform,
    PlatformVariant,
    RegistryMetadata,
    SourceImageBuild,
    Version,
    normalise_architecture,
)
from image_catalog.models.catalogregistry import (
    CatalogRegistry,
    CatalogRegistrySpec,
    CatalogRegistryStatus,
    RegistryType,
)
from image_catalog.models.durations import parse_duration
from image_catalog.models.imagebuild import BuildManifest, ImageBuild
from image_catalog.models.kubernetes import Condition, KubernetesModel, ObjectMeta, format_time, parse_time
from image_catalog.models.reference import Reference

__all__ = [
    "ArtifactRef",
    "AuthSecretRef",
    "Availability",
    "BuildManifest",
    "BuildManifestRef",
    "CatalogImage",
    "CatalogImageSpec",
    "CatalogImageStatus",
    "CatalogMetadata",
    "CatalogRegistry",
    "CatalogRegistrySpec",
    "CatalogRegistryStatus",
    "Change",
    "ChangeEvent",
    "Condition",
    "DriftPolicy",
    "HardwareTarget",
    "ImageBuild",
    "KubernetesModel",
    "ObjectMeta",
    "Phase",
    "Platform",
    "PlatformVariant",
    "Reference",
    "RegistryMetadata",
    "RegistryType",
    "SourceImageBuild",
    "Version",
    "format_time",
    "normalise_architecture",
    "parse_duration",
    "parse_time",
]
