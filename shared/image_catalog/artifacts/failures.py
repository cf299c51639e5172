"""What boto3's errors mean to the catalog."""

from __future__ import annotations

from typing import Any

import structlog

from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    RateLimitedError,
    StoreFaultError,
    StoreInvalidError,
)
from image_catalog.models import ArtifactStore

__all__ = ["store_failure"]

_log = structlog.get_logger(__name__)

_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "403", "Forbidden"})
_UNKNOWN = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "401",
        "Unauthorized",
    }
)
_MISSING = frozenset({"NoSuchBucket", "InvalidBucketName", "404", "NotFound"})
_THROTTLED = frozenset({"SlowDown", "TooManyRequests", "RequestLimitExceeded", "Throttling", "429"})

_MEANINGS: tuple[tuple[frozenset[str], type[CatalogError], str], ...] = (
    (_DENIED, AccessDeniedError, "the store denies access"),
    (_UNKNOWN, AuthenticationError, "the store does not take the credential"),
    (_MISSING, StoreInvalidError, "the store has no such bucket"),
    (_THROTTLED, RateLimitedError, "the store asks us to slow down"),
)
_MENDED_BY_SECRET = (AccessDeniedError, AuthenticationError)


def store_failure(error: Exception, store: ArtifactStore) -> CatalogError:
    """Return the catalog's error for one that boto3 raised; one of the catalog's own comes back as it is.

    Parameters
    ----------
    error
        What was raised. Its text is logged and not told: it can quote keys,
        and whatever a server of the user's choice has answered.
    store
        What was asked.
    """
    if isinstance(error, CatalogError):
        return error
    _log.info("object store refused", bucket=store.bucket, endpoint=store.endpoint, error=type(error).__name__)
    response: dict[str, Any] | None = getattr(error, "response", None)
    if response is None:
        return StoreInvalidError(
            f"{store.title}: it cannot be asked as it is named ({type(error).__name__}); "
            "mend the build's spec.export.disk.s3"
        )
    code = str(response.get("Error", {}).get("Code", ""))[:64]
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0
    remedy = (
        f"mend the Secret {store.namespace}/{store.credentials_secret}"
        if store.credentials_secret
        else "name a Secret in the build's spec.export.disk.s3.credentialsSecret"
    )
    for codes, kind, words in _MEANINGS:
        if code in codes:
            return kind(f"{store.title}: {words} ({code})" + (f"; {remedy}" if kind in _MENDED_BY_SECRET else ""))
    return StoreFaultError(f"{store.title}: the store answered {status} {code}".rstrip())
