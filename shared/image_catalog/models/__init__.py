"""Typed forms of every object that the catalog reads or writes, and the schemas made from them."""

from image_catalog.models.catalogimage import (
    AuthSecretRef,
    CatalogImage,
    CatalogImageSpec,
    CatalogMetadata,
    DriftPolicy,
    HardwareTarget,
    normalise_architecture,
)
from image_catalog.models.catalogimagestatus import (
    ArtifactRef,
    Availability,
    BuildManifestRef,
    CatalogImageStatus,
    Change,
    ChangeEvent,
    EffectiveMetadata,
    Phase,
    Platform,
    PlatformVariant,
    RegistryMetadata,
    SourceImageBuild,
    Version,
)
from image_catalog.models.catalogregistry import (
    BudgetSlice,
    CatalogRegistry,
    CatalogRegistrySpec,
    CatalogRegistryStatus,
    CircuitState,
    ProbeHour,
    RegistryAuth,
    RegistryAuthType,
    RegistryBudget,
    RegistryLimits,
    RegistryPhase,
    RegistryType,
)
from image_catalog.models.drift import Drift
from image_catalog.models.due import DueAt, LaterNames
from image_catalog.models.durations import parse_duration
from image_catalog.models.evidence import Evidence, TestedTarget, TestResult, TestRun
from image_catalog.models.imagebuild import BuildExports, BuildManifest, ImageBuild
from image_catalog.models.kubernetes import Condition, KubernetesModel, ObjectMeta, format_time, parse_time
from image_catalog.models.provenance import ArtifactStore, Promotion, PromotionStage
from image_catalog.models.recalls import Recall, Restoration
from image_catalog.models.reference import Reference
from image_catalog.models.referrers import Referrer, ReferrerKind

__all__ = [
    "ArtifactRef",
    "ArtifactStore",
    "AuthSecretRef",
    "Availability",
    "BudgetSlice",
    "BuildExports",
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
    "CircuitState",
    "Condition",
    "Drift",
    "DriftPolicy",
    "DueAt",
    "EffectiveMetadata",
    "Evidence",
    "HardwareTarget",
    "ImageBuild",
    "KubernetesModel",
    "LaterNames",
    "ObjectMeta",
    "Phase",
    "Platform",
    "PlatformVariant",
    "ProbeHour",
    "Promotion",
    "PromotionStage",
    "Recall",
    "Reference",
    "Referrer",
    "ReferrerKind",
    "RegistryAuth",
    "RegistryAuthType",
    "RegistryBudget",
    "RegistryLimits",
    "RegistryMetadata",
    "RegistryPhase",
    "RegistryType",
    "Restoration",
    "SourceImageBuild",
    "TestResult",
    "TestRun",
    "TestedTarget",
    "Version",
    "format_time",
    "normalise_architecture",
    "parse_duration",
    "parse_time",
]
