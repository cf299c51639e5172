"""The catalog's one error tree, split by what the caller can do about it.

::

    CatalogError
    ├── TransientError                 try again later; the broker redelivers
    │   ├── RegistryUnreachableError   name, connection, time-out
    │   │   └── CircuitOpenError       not asked: it has not answered for a while
    │   ├── RegistryFaultError         5xx, or an answer that makes no sense
    │   ├── RateLimitedError           429, or 503 with Retry-After
    │   ├── RegistryBusyError          not asked: as much of it is under way as may be
    │   ├── ClusterUnavailableError    the API server did not answer, or said 5xx or 429
    │   ├── StoreFaultError            an object store that fails, or makes no sense
    │   ├── WriteConflictError         every retry on a fresh read met another writer
    │   ├── AuditUnavailableError      the audit's database did not answer, or cannot be used
    │   └── SinkUnavailableError       the broker did not take an event
    └── PermanentError                 the same request fails the same way for ever
        ├── InvalidReferenceError
        ├── InvalidExpressionError     a filter that is no CloudEvents SQL
        ├── HostNotAllowedError
        ├── TLSVerificationError
        ├── AuthenticationError        401: no credential, or a wrong one
        ├── AccessDeniedError          403: a credential without the right
        ├── ImageNotFoundError         404: manifest or repository
        ├── ManifestInvalidError       corrupt, too large, or of an unknown type
        ├── StoreInvalidError          an object store that cannot be asked as it is named
        ├── DigestMismatchError        bytes that are not what their digest says
        ├── SecretError                SecretNotFound, SecretForbidden, SecretInvalid
        ├── InvalidEventError          not a CloudEvent, not ours, or against its schema
        ├── ForbiddenError             the API server denies the verb
        ├── AlreadyExistsError         a create met an object of that name
        └── InvalidObjectError         the API server refuses the object

Doors (``registry/``, ``cluster/``, ``events/``, ``audit/``, ``artifacts/``) convert foreign exceptions into
these at their edge and chain the original. An absent object is ``None``, never
an error. No error carries a secret: messages hold names, hosts and digests only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

__all__ = [
    "AccessDeniedError",
    "AlreadyExistsError",
    "AuditUnavailableError",
    "AuthenticationError",
    "CatalogError",
    "CircuitOpenError",
    "ClusterUnavailableError",
    "DigestMismatchError",
    "ForbiddenError",
    "HostNotAllowedError",
    "ImageNotFoundError",
    "InvalidEventError",
    "InvalidExpressionError",
    "InvalidObjectError",
    "InvalidReferenceError",
    "ManifestInvalidError",
    "PermanentError",
    "RateLimitedError",
    "RegistryBusyError",
    "RegistryFaultError",
    "RegistryUnreachableError",
    "SecretError",
    "SinkUnavailableError",
    "StoreFaultError",
    "StoreInvalidError",
    "TLSVerificationError",
    "TransientError",
    "Violation",
    "WriteConflictError",
]


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which an input breaks its schema.

    Attributes
    ----------
    path
        Dotted path of the field, ``data.imageBuild.name`` for example.
    message
        What is wrong with it and, where there is one, the remedy.
    """

    path: str
    message: str


class CatalogError(Exception):
    """Root of every error that the catalog raises on purpose.

    Parameters
    ----------
    message
        One sentence for people: what failed, on which object, and the remedy
        where there is one.
    """

    reason: ClassVar[str] = "InternalError"
    """The reason that conditions, events and answers show; from a closed set."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TransientError(CatalogError):
    """Trouble that passes: the same request may succeed later.

    Parameters
    ----------
    message
        One sentence for people.
    retry_after
        How long the other side asked us to wait; `None` when it did not say.

    Attributes
    ----------
    details
        What a direct caller is told beside the message, as JSON: the ``steps``
        that led there.
    """

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.details: dict[str, object] = {}


class PermanentError(CatalogError):
    """Trouble that stays until somebody changes the request or the world.

    Parameters
    ----------
    message
        One sentence for people.

    Attributes
    ----------
    details
        What a direct caller is told beside the message, as JSON: what would have been taken.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.details: dict[str, object] = {}


class RegistryUnreachableError(TransientError):
    """The registry's name, connection or answer did not come in time."""

    reason = "RegistryUnreachable"


class CircuitOpenError(RegistryUnreachableError):
    """The registry was not asked, because the last requests to it were in vain."""


class RegistryFaultError(TransientError):
    """The registry answered 5xx, or something that no registry should say."""

    reason = "RegistryError"


class RateLimitedError(TransientError):
    """The registry asked us to slow down (429, or 503 with ``Retry-After``)."""

    reason = "RateLimited"


class RegistryBusyError(TransientError):
    """The registry was not asked, because it is slow and as much of it is under way as may be.

    It says nothing about any image: whoever asked for a check asks again later.
    """

    reason = "RegistryBusy"


class StoreFaultError(TransientError):
    """An object store failed, or answered something that no store should say."""

    reason = "StoreError"


class ClusterUnavailableError(TransientError):
    """The API server did not answer in time, or answered 5xx or 429."""

    reason = "ClusterUnavailable"


class WriteConflictError(TransientError):
    """Every retry on a fresh read met another writer (409)."""

    reason = "WriteConflict"


class AuditUnavailableError(TransientError):
    """The audit's database did not answer in time, or cannot be used as it is.

    Transient also where only an operator can help (a full disk, a database
    that is newer than the code): what is to be recorded comes again until then.
    """

    reason = "AuditUnavailable"


class SinkUnavailableError(TransientError):
    """The broker did not take an event.

    Parameters
    ----------
    message
        What happened.
    delivered
        Ids of the events that it took all the same, as far as that is known.
    """

    reason = "SinkUnavailable"

    def __init__(self, message: str, *, delivered: Collection[str] = ()) -> None:
        super().__init__(message)
        self.delivered = frozenset(delivered)


class InvalidReferenceError(PermanentError):
    """A string is not a container image reference with an explicit host."""

    reason = "InvalidReference"


class InvalidExpressionError(PermanentError):
    """A text is no CloudEvents SQL expression.

    Parameters
    ----------
    message
        One sentence for people.
    position
        Where it goes wrong: the number of the character, counted from 1.
    """

    reason = "InvalidExpression"

    def __init__(self, message: str, *, position: int) -> None:
        super().__init__(message)
        self.position = position


class HostNotAllowedError(PermanentError):
    """Policy or the address guard forbids to contact this host."""

    reason = "HostNotAllowed"


class TLSVerificationError(PermanentError):
    """The registry's certificate is not trusted or names another host."""

    reason = "TLSVerificationFailed"


class AuthenticationError(PermanentError):
    """The registry, or its token server, answered 401 to what we hold."""

    reason = "AuthenticationFailed"


class AccessDeniedError(PermanentError):
    """The registry, or its token server, answered 403 or DENIED."""

    reason = "AccessDenied"


class ImageNotFoundError(PermanentError):
    """The registry answered 404 for the manifest or its repository."""

    reason = "ImageNotFound"


class ManifestInvalidError(PermanentError):
    """A manifest or config that is corrupt, too large, or of an unknown type."""

    reason = "ManifestInvalid"


class DigestMismatchError(PermanentError):
    """The bytes that came are not what the digest that was asked for says."""

    reason = "DigestMismatch"


class StoreInvalidError(PermanentError):
    """An object store's endpoint or bucket is not there, or cannot be asked as it is named."""

    reason = "StoreInvalid"


class SecretError(PermanentError):
    """A Secret with credentials that is missing, forbidden or unusable.

    Parameters
    ----------
    message
        One sentence that names the Secret and the remedy.
    reason
        ``SecretNotFound``, ``SecretForbidden`` or ``SecretInvalid``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        # The three differ in remedy, not in what the code does about them.
        self.reason = reason  # type: ignore[misc]  # a constant of the class everywhere else


class InvalidEventError(PermanentError):
    """An incoming event that no retry can mend.

    Parameters
    ----------
    message
        One sentence for people.
    status
        The answer: 400 for what is no CloudEvent or not ours, 413 for a body
        over the limit, 422 for data that breaks its schema.
    violations
        Every broken field with its path.
    """

    reason = "InvalidEvent"

    def __init__(self, message: str, *, status: int = 400, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.violations = tuple(violations)


class ForbiddenError(PermanentError):
    """The API server denies the verb to this process's ServiceAccount."""

    reason = "Forbidden"


class AlreadyExistsError(PermanentError):
    """A create met an object of the same name."""

    reason = "AlreadyExists"


class InvalidObjectError(PermanentError):
    """The API server refuses the object (422).

    Parameters
    ----------
    message
        The API server's sentence.
    violations
        Each cause with the path of its field.
    """

    reason = "Invalid"

    def __init__(self, message: str, *, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)
