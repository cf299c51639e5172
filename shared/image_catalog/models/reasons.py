"""The closed sets of words that events and conditions give as reasons."""

from enum import StrEnum

__all__ = [
    "ChangeKind",
    "NextVerificationReason",
    "PhaseReason",
    "ProblemReason",
    "RecallReason",
    "RejectionReason",
    "ReportRefusal",
    "ResolutionReason",
    "StepStatus",
    "UnpublishedReason",
    "VerificationReason",
]


class StepStatus(StrEnum):
    """How one step of a publication or verification ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class ChangeKind(StrEnum):
    """What a publication did to the entry."""

    CREATED = "created"
    VERSION = "version"
    METADATA = "metadata"
    UNCHANGED = "unchanged"


class VerificationReason(StrEnum):
    """Why a verification is asked for."""

    DUE = "due"
    MANUAL = "manual"
    REGISTRY_PUSH = "registryPush"


class NextVerificationReason(StrEnum):
    """Why an entry is checked next when it is."""

    INTERVAL = "Interval"
    """Its verification interval."""
    DIGEST_PINNED = "DigestPinned"
    """It is asked for by digest alone, so that nothing but its presence can change."""
    REGISTRY_BUDGET = "RegistryBudget"
    """Its registry's limits do not allow all of its entries a check in each interval."""
    BACKOFF = "Backoff"
    """The last check failed; the wait doubles with each failure."""
    RATE_LIMITED = "RateLimited"
    """The registry asked for no request before."""
    REGISTRY_BUSY = "RegistryBusy"
    """A check was asked for that had to wait: the registry was slow, or its limit used up."""
    CIRCUIT_OPEN = "CircuitOpen"
    """The registry does not answer, and is not asked at present."""
    MENDED_ELSEWHERE = "MendedElsewhere"
    """A Secret or a CatalogRegistry has to be mended, of which no event tells."""
    CHECKING = "Checking"
    """A check is under way; another function takes it over then, should it have died."""


class PhaseReason(StrEnum):
    """Why an entry is in its phase; the reasons of the condition ``Available``."""

    REGISTRY_ACCESSIBLE = "RegistryAccessible"
    PINNED_DIGEST_MISSING = "PinnedDigestMissing"
    IMAGE_NOT_FOUND = "ImageNotFound"
    BLOB_MISSING = "BlobMissing"
    QUARANTINED = "Quarantined"
    REGISTRY_UNREACHABLE = "RegistryUnreachable"
    REGISTRY_ERROR = "RegistryError"
    RATE_LIMITED = "RateLimited"
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    ACCESS_DENIED = "AccessDenied"
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_FORBIDDEN = "SecretForbidden"
    SECRET_INVALID = "SecretInvalid"
    TLS_VERIFICATION_FAILED = "TLSVerificationFailed"
    HOST_NOT_ALLOWED = "HostNotAllowed"
    INVALID_REFERENCE = "InvalidReference"
    MANIFEST_INVALID = "ManifestInvalid"
    DIGEST_MISMATCH = "DigestMismatch"
    DUPLICATE_REFERENCE = "DuplicateReference"


class RecallReason(StrEnum):
    """What of an entry's current content is recalled; the reasons of the condition ``Recalled``."""

    CONTENT_RECALLED = "ContentRecalled"
    PLATFORM_RECALLED = "PlatformRecalled"
    ARTIFACT_RECALLED = "ArtifactRecalled"
    NOT_RECALLED = "NotRecalled"


class RejectionReason(StrEnum):
    """Why a publication was refused."""

    ALREADY_EXISTS = "AlreadyExists"
    NAME_TAKEN = "NameTaken"
    OLDER_THAN_CURRENT = "OlderThanCurrent"
    PINNED_BY_USER = "PinnedByUser"
    BUILD_NOT_FOUND = "BuildNotFound"
    BUILD_NOT_COMPLETED = "BuildNotCompleted"
    NO_REGISTRY_LOCATION = "NoRegistryLocation"
    UNAUTHENTICATED = "Unauthenticated"
    FORBIDDEN = "Forbidden"
    INVALID = "Invalid"
    IMAGE_NOT_FOUND = "ImageNotFound"
    BLOB_MISSING = "BlobMissing"
    REGISTRY_UNREACHABLE = "RegistryUnreachable"
    REGISTRY_ERROR = "RegistryError"
    RATE_LIMITED = "RateLimited"
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    ACCESS_DENIED = "AccessDenied"
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_FORBIDDEN = "SecretForbidden"
    SECRET_INVALID = "SecretInvalid"
    TLS_VERIFICATION_FAILED = "TLSVerificationFailed"
    HOST_NOT_ALLOWED = "HostNotAllowed"
    INVALID_REFERENCE = "InvalidReference"
    MANIFEST_INVALID = "ManifestInvalid"
    DIGEST_MISMATCH = "DigestMismatch"


class ReportRefusal(StrEnum):
    """Why the report of a test was refused."""

    NOT_FOUND = "NotFound"
    UNKNOWN_DIGEST = "UnknownDigest"
    UNKNOWN_TARGET = "UnknownTarget"
    TIME_IN_FUTURE = "TimeInFuture"
    UNAUTHENTICATED = "Unauthenticated"


class UnpublishedReason(StrEnum):
    """Why a completed build made no entry's current version."""

    OLDER_THAN_CURRENT = "OlderThanCurrent"
    OPTED_OUT = "OptedOut"


class ResolutionReason(StrEnum):
    """Why an image is not the one for a board, in the order in which the rules are asked."""

    DISTRO_MISMATCH = "DistroMismatch"
    DISTRO_VERSION_MISMATCH = "DistroVersionMismatch"
    ARCHITECTURE_MISMATCH = "ArchitectureMismatch"
    TAG_MISSING = "TagMissing"
    BUILD_MODE_MISMATCH = "BuildModeMismatch"
    BOOTC_MISMATCH = "BootcMismatch"
    BEING_REMOVED = "BeingRemoved"
    RECALLED = "Recalled"
    QUARANTINED = "Quarantined"
    NOT_AVAILABLE = "NotAvailable"
    NOT_CHECKED = "NotChecked"
    DIGEST_UNKNOWN = "DigestUnknown"
    ARCHITECTURE_AMBIGUOUS = "ArchitectureAmbiguous"
    NOT_VERIFIED = "NotVerified"
    AVAILABILITY_UNKNOWN = "AvailabilityUnknown"
    AVAILABILITY_TOO_LOW = "AvailabilityTooLow"
    TOO_OLD = "TooOld"
    SUPERSEDED = "Superseded"
    TIE_BREAK = "TieBreak"


class ProblemReason(StrEnum):
    """Why the API refuses or fails a request; where a publication or a registry has a word for it, that word."""

    INVALID_PARAMETER = "InvalidParameter"
    INVALID_NAME = "InvalidName"
    INVALID_BODY = "InvalidBody"
    INVALID_CONTINUE = "InvalidContinue"
    CONTINUE_EXPIRED = "ContinueExpired"
    NOT_FOUND = "NotFound"
    METHOD_NOT_ALLOWED = "MethodNotAllowed"
    BODY_TOO_SLOW = "BodyTooSlow"
    BODY_TOO_LARGE = "BodyTooLarge"
    UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType"
    NOT_ACCEPTABLE = "NotAcceptable"
    CONFLICT = "Conflict"
    INVALID_EVENT = "InvalidEvent"
    INVALID_EXPRESSION = "InvalidExpression"
    INVALID = "Invalid"
    UNAUTHENTICATED = "Unauthenticated"
    FORBIDDEN = "Forbidden"
    ALREADY_EXISTS = "AlreadyExists"
    NAME_TAKEN = "NameTaken"
    OLDER_THAN_CURRENT = "OlderThanCurrent"
    PINNED_BY_USER = "PinnedByUser"
    BUILD_NOT_FOUND = "BuildNotFound"
    BUILD_NOT_COMPLETED = "BuildNotCompleted"
    NO_REGISTRY_LOCATION = "NoRegistryLocation"
    UNKNOWN_DIGEST = "UnknownDigest"
    UNKNOWN_TARGET = "UnknownTarget"
    TIME_IN_FUTURE = "TimeInFuture"
    IMAGE_NOT_FOUND = "ImageNotFound"
    PINNED_DIGEST_MISSING = "PinnedDigestMissing"
    BLOB_MISSING = "BlobMissing"
    QUARANTINED = "Quarantined"
    REGISTRY_UNREACHABLE = "RegistryUnreachable"
    REGISTRY_ERROR = "RegistryError"
    RATE_LIMITED = "RateLimited"
    REGISTRY_BUSY = "RegistryBusy"
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    ACCESS_DENIED = "AccessDenied"
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_FORBIDDEN = "SecretForbidden"
    SECRET_INVALID = "SecretInvalid"
    TLS_VERIFICATION_FAILED = "TLSVerificationFailed"
    HOST_NOT_ALLOWED = "HostNotAllowed"
    INVALID_REFERENCE = "InvalidReference"
    MANIFEST_INVALID = "ManifestInvalid"
    DIGEST_MISMATCH = "DigestMismatch"
    DUPLICATE_REFERENCE = "DuplicateReference"
    DIGEST_UNKNOWN = "DigestUnknown"
    RECALLED = "Recalled"
    RECALLED_ELSEWHERE = "RecalledElsewhere"
    TOO_MANY_RECALLS = "TooManyRecalls"
    NOT_AVAILABLE = "NotAvailable"
    NO_IMAGE_FITS = "NoImageFits"
    STORE_ERROR = "StoreError"
    STORE_INVALID = "StoreInvalid"
    CLUSTER_UNAVAILABLE = "ClusterUnavailable"
    WRITE_CONFLICT = "WriteConflict"
    SINK_UNAVAILABLE = "SinkUnavailable"
    FUNCTION_UNAVAILABLE = "FunctionUnavailable"
    FUNCTION_REFUSED = "FunctionRefused"
    AUDIT_NOT_CONFIGURED = "AuditNotConfigured"
    AUDIT_UNAVAILABLE = "AuditUnavailable"
    EVENT_ID_GONE = "EventIdGone"
    TOO_MANY_STREAMS = "TooManyStreams"
    TOO_SLOW = "TooSlow"
    STOPPING = "Stopping"
    INDEX_NOT_FILLED = "IndexNotFilled"
    INDEX_OUT_OF_DATE = "IndexOutOfDate"
    INTERNAL_ERROR = "InternalError"
