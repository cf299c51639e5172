"""CatalogRegistry: a registry that needs special treatment."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from image_catalog.models.kubernetes import Condition, KubernetesModel, ObjectMeta, Time
from image_catalog.models.names import API_VERSION

__all__ = [
    "BELIEVED_FOR",
    "CatalogRegistry",
    "CatalogRegistrySpec",
    "CatalogRegistryStatus",
    "CircuitState",
    "ProbeHour",
    "RegistryAuth",
    "RegistryAuthType",
    "RegistryLimits",
    "RegistryPhase",
    "RegistrySecretRef",
    "RegistryTLS",
    "RegistryType",
]

_HOST_PATTERN = r"^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$|^\[[0-9a-f:.]+\](:[0-9]{1,5})?$"


BELIEVED_FOR = timedelta(minutes=5)
"""How long an open circuit in a status is believed at least: whoever wrote it probes more often, or is gone."""


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


class RegistryPhase(StrEnum):
    """Whether the registry answers."""

    REACHABLE = "Reachable"
    UNREACHABLE = "Unreachable"


class CircuitState(StrEnum):
    """Whether requests are let through to the registry."""

    CLOSED = "Closed"
    """All of them."""
    OPEN = "Open"
    """None: the last ones were in vain."""
    HALF_OPEN = "HalfOpen"
    """One, whose outcome decides."""


class RegistrySecretRef(KubernetesModel):
    """A Secret anywhere in the cluster."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the Secret."""
    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    """Its namespace."""


class RegistryAuth(KubernetesModel):
    """The credential for entries that name none."""

    type: RegistryAuthType = RegistryAuthType.NONE
    """Where the credential comes from; none asks anonymously, on purpose."""
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


class ProbeHour(KubernetesModel):
    """The probes of one hour."""

    hour: Time
    """When the hour began."""
    probes: Annotated[int, Field(ge=0)] = 0
    """Probes that were made."""
    answered: Annotated[int, Field(ge=0)] = 0
    """Those that got an answer."""


class CatalogRegistryStatus(KubernetesModel):
    """What the functions found out about the registry."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """Generation of the spec that the status speaks of."""
    phase: RegistryPhase | None = None
    """Whether it answers."""
    circuit: CircuitState | None = None
    """Whether requests are let through."""
    circuit_since: Time | None = None
    """When `circuit` last changed."""
    last_probe_time: Time | None = None
    """When it was last probed, as far as the status was written since."""
    availability24h: Annotated[float | None, Field(ge=0, le=1, alias="availability24h")] = None
    """Share of the probes in `probes` that got an answer, from 0 to 1."""
    probes: Annotated[
        list[ProbeHour],
        Field(max_length=24, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = []
    """Probes by the hour, of this hour and the 23 before it."""
    conditions: Annotated[
        list[Condition],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = []
    """Accepted, Reachable."""

    def condition(self, condition_type: str) -> Condition | None:
        """Return the condition of a type, or `None`."""
        return next((c for c in self.conditions if c.type == condition_type), None)


class CatalogRegistry(KubernetesModel):
    """A registry that needs special treatment; most need none."""

    api_version: str = API_VERSION
    kind: str = "CatalogRegistry"
    metadata: ObjectMeta
    spec: CatalogRegistrySpec
    status: CatalogRegistryStatus = Field(default_factory=CatalogRegistryStatus)

    def is_shut(self, *, now: datetime, believed_for: timedelta = BELIEVED_FOR) -> bool:
        """Tell whether the status says that the registry is not to be asked.

        Parameters
        ----------
        now
            The time.
        believed_for
            How long that is believed after it was last written. A status that
            speaks of an older spec says nothing either.
        """
        status = self.status
        if status.circuit in {None, CircuitState.CLOSED} or status.observed_generation != self.metadata.generation:
            return False
        renewed = max((at for at in (status.circuit_since, status.last_probe_time) if at is not None), default=None)
        return renewed is not None and now - renewed < believed_for
