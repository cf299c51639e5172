"""The door to AWS: boto3, and what its errors mean to the catalog."""

from __future__ import annotations

import threading
from typing import Any

import structlog

from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    RateLimitedError,
    RegistryFaultError,
    RegistryUnreachableError,
)
from image_catalog.registry.ecr import REGIONS_KEPT, AwsAnswer, EcrHost, NoIdentityError

__all__ = ["BotoDoor", "aws_failure"]

CONNECT_SECONDS, READ_SECONDS = 5, 10
"""How long AWS is waited for. Two attempts of that end before the broker gives a delivery up."""

_REMEDY = (
    "give the function's ServiceAccount a role that may call ecr:GetAuthorizationToken and ecr:BatchGetImage "
    "(annotation eks.amazonaws.com/role-arn), or name a Secret in authSecretRef"
)

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_THROTTLED = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"})
_FAULTS = frozenset({"ServerException", "InternalFailure", "ServiceUnavailable", "InternalServerError"})
_NOBODY = frozenset({"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "NoAuthTokenError"})
_UNREACHABLE = frozenset({"ConnectionError", "HTTPClientError"})

logger = structlog.get_logger(__name__)


class BotoDoor:
    """Asks AWS with boto3, which is imported when it is first needed: most catalogs have nothing on ECR."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[EcrHost, Any] = {}

    def authorization_token(self, host: EcrHost) -> AwsAnswer:
        """Return a token for the registries of a region; see `AwsDoor.authorization_token`."""
        import botocore.exceptions  # noqa: PLC0415 - see the class

        try:
            answer = self._client(host).get_authorization_token()
            data = answer["authorizationData"][0]
            return AwsAnswer(data["authorizationToken"], data["expiresAt"])
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as e:
            raise aws_failure(e, host) from e
        except (KeyError, IndexError, TypeError):
            # Not chained: the exception may quote the answer.
            raise RegistryFaultError(f"ECR in {host.region}: AWS answered without a token") from None

    def _client(self, host: EcrHost) -> Any:
        import boto3.session  # noqa: PLC0415 - see the class
        import botocore.config  # noqa: PLC0415 - see the class

        place = EcrHost("", host.region, host.fips)
        # A session makes one client at a time; the clients themselves are used by any thread.
        with self._lock:
            if place not in self._clients:
                if len(self._clients) >= REGIONS_KEPT:
                    self._clients.clear()
                self._session = self._session or boto3.session.Session()
                self._clients[place] = self._session.client(
                    "ecr",
                    region_name=host.region,
                    config=botocore.config.Config(
                        connect_timeout=CONNECT_SECONDS,
                        read_timeout=READ_SECONDS,
                        retries={"total_max_attempts": 2, "mode": "standard"},
                        use_fips_endpoint=host.fips,
                    ),
                )
            return self._clients[place]


def aws_failure(error: Any, host: EcrHost) -> CatalogError:
    """Return the catalog's error for one of botocore's, without its text: that names roles and accounts."""
    subject = f"ECR in {host.region}"
    logger.warning("ECR refused", region=host.region, error=type(error).__name__, detail=str(error)[:500])
    response = getattr(error, "response", None)
    if response is not None:
        code = str(response.get("Error", {}).get("Code", ""))[:64]
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0
        operation = error.operation_name
        if code in _THROTTLED:
            return RateLimitedError(f"{subject}: AWS asks us to slow down ({code})")
        if code in _FAULTS or status >= 500:  # noqa: PLR2004 - HTTP's server errors
            return RegistryFaultError(f"{subject}: AWS failed ({code})")
        kind = AccessDeniedError if code in _DENIED else AuthenticationError
        return kind(f"{subject}: AWS refuses {operation} ({code}); {_REMEDY}")
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _NOBODY:
        return NoIdentityError(f"{subject}: the function has no AWS identity; {_REMEDY}")
    if names & _UNREACHABLE:
        return RegistryUnreachableError(f"{subject}: AWS cannot be reached ({type(error).__name__})")
    return AuthenticationError(f"{subject}: the function's AWS identity cannot be used ({type(error).__name__})")
