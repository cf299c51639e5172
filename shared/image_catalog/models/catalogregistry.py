"""CatalogRegistry: a registry that needs special treatment."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from image_catalog.models.kubernetes import Condition, KubernetesModel, ObjectMeta, Time
from image_catalog.models.names import API_VERSION

__all__ = [
    "CatalogRegistry",
    "CatalogRegistrySpec",
    "CatalogRegistryStatus",
    "RegistryAuth",
    "RegistryAuthType",
    "RegistryLimits",
    "RegistrySecretRef",
    "RegistryTLS",
    "RegistryType",
]

_HOST_PATTERN = r"^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$|^\[[0-9a-f:.]+\](:[0-9]{1,5})?$"


class RegistryType(StrEnum):
    """What kind of registry it is; also the value of an entry's registry-type label."""

    OPENSHIFT_INTERNAL = "openshift-internal"
    QUAY = "quay"
    DOCKER_HUB = "docker-hub"
    GHCR = "ghcr"
    ECR = "ecr"
    GENERIC = "generic"


class RegistryAuthType(StrEnum):
    """Where the registry's own credential comes from."""

    NONE = "none"
    SECRET_REF = "secretRef"
    SERVICE_ACCOUNT_TOKEN = "serviceAccountToken"
    ECR = "ecr"


class RegistrySecretRef(KubernetesModel):
    """A Secret anywhere in the cluster."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the Secret."""
    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    """Its namespace."""


class RegistryAuth(KubernetesModel):
    """The credential for entries that name none."""

    type: RegistryAuthType = RegistryAuthType.NONE
    """Where the credential comes from."""
    secret_ref: RegistrySecretRef | None = None
    """The Secret, for the type secretRef."""


class RegistryTLS(KubernetesModel):
    """How the connection is protected."""

    ca_bundle: str | None = None
    """PEM certificates to trust beside the system's."""
    insecure_skip_verify: bool = False
    """Accept any certificate. For laboratories only."""
    plain_http: Annotated[bool, Field(alias="plainHTTP")] = False
    """Speak http without TLS."""


class RegistryLimits(KubernetesModel):
    """How much is asked of the registry."""

    max_concurrent_requests: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Requests under way at once, from each function."""


class CatalogRegistrySpec(KubernetesModel):
    """Which registry, and how it is to be treated."""

    host: Annotated[str, Field(pattern=_HOST_PATTERN, max_length=261)]
    """Host as references name it: exact, or *.suffix."""
    endpoint: Annotated[str, Field(pattern=r"^https?://[^/?#@ ]+(/[^?#@ ]*)?$", max_length=1024)] | None = None
    """URL where the registry's API is really asked, a mirror for example."""
    type: RegistryType | None = None
    """What kind of registry it is; absent, its host's name says so."""
    auth: RegistryAuth | None = None
    """The credential for entries that name none."""
    tls: RegistryTLS | None = None
    """How the connection is protected."""
    allow_private_networks: bool = False
    """Whether the registry may have a loopback, private, unique-local or shared address."""
    token_realms: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=261)]],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = []
    """Hosts (host[:port]) of token servers that the registry's credential may go to."""
    limits: RegistryLimits | None = None
    """How much is asked of the registry."""


class CatalogRegistryStatus(KubernetesModel):
    """What the functions found out about the registry."""

    phase: Annotated[str, Field(json_schema_extra={"enum": ["Reachable", "Unreachable"]})] | None = None
    """Whether the last probe got an answer."""
    circuit: Annotated[str, Field(json_schema_extra={"enum": ["Closed", "Open", "HalfOpen"]})] | None = None
    """Whether requests are let through."""
    last_probe_time: Time | None = None
    """When it was last probed."""
    availability24h: Annotated[float | None, Field(ge=0, le=1, alias="availability24h")] = None
    """Share of probes that got an answer in the last 24 hours, from 0 to 1."""
    conditions: Annotated[
        list[Condition],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = []
    """Reachable."""


class CatalogRegistry(KubernetesModel):
    """A registry that needs special treatment; most need none."""

    api_version: str = API_VERSION
    kind: str = "CatalogRegistry"
    metadata: ObjectMeta
    spec: CatalogRegistrySpec
    status: CatalogRegistryStatus = Field(default_factory=CatalogRegistryStatus)
