"""Text without the secrets in it: what is shown to people passes through here where somebody else wrote it."""

from __future__ import annotations

import re

__all__ = ["REDACTED", "redact_text"]

REDACTED = "[redacted]"
"""What stands where a secret would."""

_SECRETS = (
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/_.~-]{8,}=*", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"(https?://)[^/\s@]+@"), rf"\1{REDACTED}@"),
    # A presigned URL is a credential: it opens the object to whoever reads it.
    (
        re.compile(r"([?&](?:X-Amz-[\w-]+|Signature|sig|(?:access_)?token|AWSAccessKeyId)=)[^&\s\"']+", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    # A JSON Web Token begins with the base64 of {" in both of its first parts. The second one is looked for, from the
    # beginning of a word alone: a registry's error of 64 KiB that begins a token everywhere would take seconds.
    (re.compile(r"(?<![\w-])[\w-]++\.eyJ[\w-]{8,}+\.[\w-]*+"), REDACTED),
)


def redact_text(text: str) -> str:
    """Return a text without what looks like a credential.

    Parameters
    ----------
    text
        Anything that somebody else wrote, or that quotes it.
    """
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
