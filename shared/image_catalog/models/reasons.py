"""The closed sets of words that events and conditions give as reasons."""

from enum import StrEnum

__all__ = [
    "ChangeKind",
    "PhaseReason",
    "ProblemReason",
    "RejectionReason",
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


class UnpublishedReason(StrEnum):
    """Why a completed build made no entry's current version."""

    OLDER_THAN_CURRENT = "OlderThanCurrent"
    OPTED_OUT = "OptedOut"


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
    CONFLICT = "Conflict"
    INVALID_EVENT = "InvalidEvent"
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
    IMAGE_NOT_FOUND = "ImageNotFound"
    PINNED_DIGEST_MISSING = "PinnedDigestMissing"
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
    CLUSTER_UNAVAILABLE = "ClusterUnavailable"
    WRITE_CONFLICT = "WriteConflict"
    SINK_UNAVAILABLE = "SinkUnavailable"
    FUNCTION_UNAVAILABLE = "FunctionUnavailable"
    FUNCTION_REFUSED = "FunctionRefused"
    AUDIT_NOT_CONFIGURED = "AuditNotConfigured"
    AUDIT_UNAVAILABLE = "AuditUnavailable"
    INDEX_NOT_FILLED = "IndexNotFilled"
    INDEX_OUT_OF_DATE = "IndexOutOfDate"
    INTERNAL_ERROR = "InternalError"
