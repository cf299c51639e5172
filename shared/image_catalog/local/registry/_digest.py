"""The grammar of names and digests, as the distribution specification has it.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["DIGEST_PATTERN", "REPOSITORY_PATTERN", "TAG_PATTERN", "digest_of", "is_digest", "is_repository", "is_tag"]

DIGEST_PATTERN = r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}"
REPOSITORY_PATTERN = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
TAG_PATTERN = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"

_DIGEST = re.compile(DIGEST_PATTERN)
_REPOSITORY = re.compile(REPOSITORY_PATTERN)
_TAG = re.compile(TAG_PATTERN)


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of bytes.

    Parameters
    ----------
    content
        The bytes.
    algorithm
        ``sha256`` or ``sha512``.
    """
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest of an algorithm that the registry knows.

    Nothing else ever becomes part of a path on disk.
    """
    return _DIGEST.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    """Tell whether a text is a repository name."""
    return _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Tell whether a text is a tag."""
    return _TAG.fullmatch(text) is not None
