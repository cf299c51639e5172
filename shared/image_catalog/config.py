"""Settings of a function's process, read once from its environment.

Every setting has a name ``IMAGE_CATALOG_<FIELD>``; durations are written as
ISO 8601 (``PT1M``) or seconds, lists of names as JSON. Only who starts a
process reads them; every other part gets values.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from image_catalog.errors import PermanentError
from image_catalog.models.catalogregistry import BELIEVED_FOR

__all__ = ["ApiAuth", "EcrPolicy", "LogFormat", "PublishPolicy", "RegistryPolicy", "Settings"]

_PREFIX: Final = "IMAGE_CATALOG_"


def _read_names(value: Any) -> Any:
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError as e:
        raise ValueError('write a JSON list, ["one", "two"] for example') from e


_Duration = Annotated[timedelta, Field(gt=timedelta())]
_UrlLifetime = Annotated[timedelta, Field(ge=timedelta(seconds=10), le=timedelta(days=7))]
_Names = Annotated[frozenset[str], BeforeValidator(_read_names)]


class ApiAuth(StrEnum):
    """How the API learns who is calling."""

    KUBERNETES = "kubernetes"
    NONE = "none"


class PublishPolicy(StrEnum):
    """Which completed builds become entries."""

    ALL = "all"
    ANNOTATED = "annotated"


class LogFormat(StrEnum):
    """How a line of the log is written."""

    JSON = "json"
    CONSOLE = "console"


class RegistryPolicy(StrEnum):
    """Which registries may be contacted."""

    ANY = "any"
    LISTED = "listed"


class EcrPolicy(StrEnum):
    """For which hosts of ECR the process's own AWS identity is used."""

    ANY = "any"
    LISTED = "listed"


class Settings(BaseModel):
    """Settings of one function's process; `from_environment` reads them."""

    # A plain model: to import pydantic-settings takes a cold start longer than to read every variable here.
    model_config = ConfigDict(extra="forbid", frozen=True)

    kubeconfig: Path | None = None
    """Kubeconfig of the cluster; absent means the Pod's own ServiceAccount."""

    publish_policy: PublishPolicy = PublishPolicy.ALL
    """``all`` publishes every completed build that was pushed, ``annotated`` only builds that ask for it."""

    accept_unauthenticated: bool = True
    """Whether requests posted to the broker's own ingress, where nobody can be known, are taken."""

    believe_unauthenticated_tests: bool = False
    """Whether tests reported at the broker's own ingress count; they are kept and shown all the same."""

    registry_policy: RegistryPolicy = RegistryPolicy.ANY
    """``listed`` contacts only the hosts of CatalogRegistry objects."""

    allow_private_networks: bool = False
    """Whether any registry may have a private or loopback address. For the local stack alone."""

    service_account: Annotated[str, Field(pattern="^[a-z0-9.-]+/[a-z0-9.-]+$")] | None = None
    """``namespace/name`` of the function's own ServiceAccount, whose tokens OpenShift's registry is shown, if any."""

    pod_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Pod that the function runs in: those tokens end with it."""

    shared_namespaces: _Names = frozenset()
    """Namespaces of OpenShift's registry whose images entries of every namespace may use."""

    ecr_policy: EcrPolicy = EcrPolicy.ANY
    """``listed`` asks AWS for tokens of ECR only where a CatalogRegistry says ``ecr``."""

    auth_files: bool = True
    """Whether the process's own ``auth.json`` and docker's ``config.json`` are used, where they are mounted."""

    min_verification_interval: _Duration = timedelta(minutes=1)
    """Shortest interval in effect: an entry that asks for less would cost its registry a request a second."""

    digest_interval_factor: Annotated[int, Field(ge=1, le=24)] = 4
    """How many times more rarely an entry is checked whose reference is a digest without a tag, a day at most."""

    retry_initial: _Duration = timedelta(seconds=30)
    """Wait before an Unavailable entry is checked again; doubled by each failure, up to its interval."""

    retry_credentials: _Duration = timedelta(minutes=5)
    """Wait before an entry is checked again whose credential, host or certificate was refused: nobody tells us."""

    probe_interval: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(hours=1))] = timedelta(minutes=1)
    """Time between probes of a registry that has a CatalogRegistry."""

    circuit_recovery: _Duration = timedelta(seconds=30)
    """How long a registry that has stopped answering is not asked before one request tries again."""

    reverify_batch: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Verifications, or builds that fell through, that one tick asks for at most, so that it ends before the next."""

    reverify_page: Annotated[int, Field(ge=1, le=5000)] = 500
    """Rows asked of the API server at once; its own clients use 500."""

    @property
    def circuit_believed_for(self) -> timedelta:
        """How long an open circuit in a CatalogRegistry's status is believed: a few probes may be late."""
        return max(BELIEVED_FOR, 3 * self.probe_interval)

    default_namespace: Annotated[str, Field(min_length=1, max_length=63)] = "default"
    """Namespace of an entry for which a request names none."""

    trusted_callers: _Names = frozenset({"system:serviceaccount:image-catalog:api"})
    """Users, as TokenReview names them, that may say on whose behalf a request is made."""

    database_url: SecretStr | None = None
    """Database of the audit, ``postgresql://user:password@host/name`` or ``sqlite:////path``; none keeps no history."""

    audit_retention: _Duration | None = None
    """How long records of the audit are kept; absent keeps them for ever."""

    log_format: LogFormat = LogFormat.JSON
    """``json`` for collectors, ``console`` for people."""

    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    """Least severe level that is logged."""

    metrics_exemplars: bool = False
    """Whether figures in OpenMetrics name the trace of an event that they counted, for a Prometheus that keeps it."""

    api_host: str = "127.0.0.1"
    """Address that the API listens on."""

    api_port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """Port that the API listens on, where ``PORT`` names none; 0 takes a free one."""

    api_auth: ApiAuth = ApiAuth.KUBERNETES
    """``kubernetes`` asks the API server about every caller, ``none`` lets everybody on this machine in."""

    publish_url: Annotated[str, Field(pattern="^https?://")] = "http://publish.image-catalog.svc.cluster.local"
    """Where the API calls the publish function."""

    verify_url: Annotated[str, Field(pattern="^https?://")] = "http://verify.image-catalog.svc.cluster.local"
    """Where the API calls the verify function."""

    token_file: Path = Path("/var/run/secrets/image-catalog/token")
    """The API's own token with the audience image-catalog, which the kubelet renews."""

    artifact_url_lifetime: _UrlLifetime = timedelta(minutes=15)
    """How long a URL opens a file that a build exported to an object store; AWS allows a week at most."""

    removal_wait: Annotated[timedelta, Field(ge=timedelta(), le=timedelta(seconds=15))] = timedelta(seconds=5)
    """How long a call that removes an entry waits until ``cleanup`` has let go of it; 0 answers at once."""

    access_write_interval: _Duration = timedelta(hours=1)
    """How often counted accesses are written to the entries; a crash loses what was counted since."""

    access_allowed_for: _Duration = timedelta(seconds=10)
    """How long the API goes on believing that a caller may do something."""

    access_denied_for: _Duration = timedelta(seconds=3)
    """How long the API goes on believing that a caller may not."""

    notification_interval: _Duration = timedelta(seconds=10)
    """Shortest time between two checks of an entry that its registry's pushes ask for; the last push is not lost."""

    notification_rate: Annotated[float, Field(gt=0, le=10_000)] = 20.0
    """Checks a second that the pushes of one registry ask for at most; what comes faster waits its turn."""

    index_stale_limit: _Duration = timedelta(minutes=5)
    """How long the API's watch may be broken before the API stops being ready."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings of a process.

        Parameters
        ----------
        environment
            The process's variables; a setting without one has its default, a
            variable that no setting has is somebody else's.

        Raises
        ------
        PermanentError
            Raised if a setting makes no sense; the message names the variable
            and says what it may be.
        """
        variables = {name: f"{_PREFIX}{name.upper()}" for name in cls.model_fields}
        try:
            return cls.model_validate(
                {name: environment[variable] for name, variable in variables.items() if variable in environment}
            )
        except ValidationError as e:
            wrong = "; ".join(f"{variables[str(error['loc'][0])]}: {error['msg']}" for error in e.errors())
            raise PermanentError(wrong) from e
