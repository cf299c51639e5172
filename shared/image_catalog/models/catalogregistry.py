"""CatalogRegistry: a registry that needs special treatment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from image_catalog.models.durations import DURATION_PATTERN, parse_duration
from image_catalog.models.kubernetes import Condition, KubernetesModel, ObjectMeta, Time
from image_catalog.models.names import API_VERSION

__all__ = [
    "BELIEVED_FOR",
    "BudgetSlice",
    "CatalogRegistry",
    "CatalogRegistrySpec",
    "CatalogRegistryStatus",
    "CircuitState",
    "NotificationType",
    "ProbeHour",
    "RegistryAuth",
    "RegistryAuthType",
    "RegistryBudget",
    "RegistryLimits",
    "RegistryNotifications",
    "RegistryPhase",
    "RegistrySecretRef",
    "RegistryTLS",
    "RegistryType",
]

_HOST_PATTERN = r"^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$|^\[[0-9a-f:.]+\](:[0-9]{1,5})?$"


BELIEVED_FOR = timedelta(minutes=5)
"""How long an open circuit in a status is believed at least: whoever wrote it probes more often, or is gone."""


SHORTEST_PERIOD = timedelta(minutes=1)
"""Parts of a shorter period would be shorter than a check may take."""
LONGEST_PERIOD = timedelta(days=1)
"""Quotas of registries are for six hours at most, as far as is known."""


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


class NotificationType(StrEnum):
    """Who tells of pushes, and so in which form and with which proof."""

    DISTRIBUTION = "distribution"
    """The registry of the CNCF's distribution project, and what is made of it."""
    QUAY = "quay"
    HARBOR = "harbor"
    DOCKER_HUB = "dockerhub"


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
    requests: Annotated[int, Field(ge=10, le=1_000_000_000)] | None = None
    """Requests that all functions together make in any `period`; absent, as many as are needed."""
    period: Annotated[str, Field(pattern=DURATION_PATTERN, max_length=64)] = "1h"
    """What `requests` is counted over, as Go writes durations; a minute at least, a day at most."""

    @property
    def window(self) -> timedelta:
        """The period, within its bounds."""
        try:
            return min(max(parse_duration(self.period), SHORTEST_PERIOD), LONGEST_PERIOD)
        except ValueError:
            return LONGEST_PERIOD


class RegistryNotifications(KubernetesModel):
    """How the registry tells of what is pushed to it."""

    type: NotificationType
    """Who sends: distribution, quay, harbor or dockerhub."""
    secret_ref: RegistrySecretRef
    """The Secret with the token that a notification must carry, under the key token."""


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
    notifications: RegistryNotifications | None = None
    """How the registry tells of what is pushed to it; absent, it is heard of by asking alone."""


class ProbeHour(KubernetesModel):
    """The probes of one hour."""

    hour: Time
    """When the hour began."""
    probes: Annotated[int, Field(ge=0)] = 0
    """Probes that were made."""
    answered: Annotated[int, Field(ge=0)] = 0
    """Those that got an answer."""


class BudgetSlice(KubernetesModel):
    """What the functions took of a limit in a part of its period."""

    since: Time
    """When the part began."""
    requests: Annotated[int, Field(ge=0)] = 0
    """Requests that were taken, to be made within a moment."""
    checks: Annotated[int, Field(ge=0)] = 0
    """Checks that were begun with what had been taken."""


class RegistryBudget(KubernetesModel):
    """What of a registry's limit is used, and how far it goes."""

    entries: Annotated[int, Field(ge=0)] | None = None
    """Entries that the registry has, as last counted."""
    ratio: Annotated[float | None, Field(ge=0)] = None
    """What the limit allows of the checks that the entries ask for: below 1 it does not suffice."""
    interval: Annotated[str, Field(max_length=64)] | None = None
    """Shortest time between two checks of an entry that the limit allows, where it does not suffice."""
    taken: Annotated[
        list[BudgetSlice],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = []
    """What was taken of the limit, by parts of its period, as far as it still counts."""
    remaining: Annotated[int, Field(ge=0)] | None = None
    """Requests that are left by the registry's own word, where it says so and little is left."""
    remaining_until: Time | None = None
    """How long that word is believed."""


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
    budget: RegistryBudget | None = None
    """What of `spec.limits` is used, and how far it goes; absent without limits."""
    conditions: Annotated[
        list[Condition],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = []
    """Accepted, Reachable; LimitsSuffice where there are limits."""

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

    def seniority(self) -> tuple[bool, datetime, str]:
        """Return what orders objects by age, what is not created yet last: nobody takes over another one's host."""
        created = self.metadata.creation_timestamp
        return created is None, created or datetime.max.replace(tzinfo=UTC), self.metadata.name

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
