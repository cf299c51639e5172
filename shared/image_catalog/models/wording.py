"""Texts and numbers that many models have, and what people are told of those that a pattern refuses.

Nobody reads 400 characters of regular expression.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from image_catalog.models.durations import AGE_PATTERN, DURATION_PATTERN
from image_catalog.models.reference import DIGEST_PATTERN, MAX_REFERENCE_LENGTH, REFERENCE_PATTERN

__all__ = [
    "LABEL_PATTERN",
    "LABEL_VALUE_PATTERN",
    "LOOSE_LABEL_PATTERN",
    "LOOSE_NAME_PATTERN",
    "NAME_PATTERN",
    "WORDS",
    "Count",
    "Digest",
    "LabelValue",
    "RegistryUrl",
]

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
LABEL_PATTERN = rf"^{_LABEL}$"
"""A namespace's name (`RFC 1123 label <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>`__)."""
NAME_PATTERN = rf"^{_LABEL}(?:\.{_LABEL})*$"
"""An entry's name (RFC 1123 subdomain)."""
LOOSE_LABEL_PATTERN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
"""A namespace's name as events have always had it."""
LOOSE_NAME_PATTERN = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
"""A name as events have always had it; the API server has the last word on two dots in a row."""
LABEL_VALUE_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
"""Text that can be a label's value."""

_ENDS = "starting and ending with a letter or digit"
_REFERENCE = (
    "must be a registry host and a repository, host[:port]/repository[:tag][@sha256:digest], "
    "for example quay.io/org/image:tag"
)

WORDS: Mapping[str, str] = {
    LABEL_PATTERN: f"must be lower-case letters, digits and '-', {_ENDS}",
    NAME_PATTERN: f"must be lower-case letters, digits, '-' and '.', {_ENDS}",
    LOOSE_LABEL_PATTERN: f"must be lower-case letters, digits and '-', {_ENDS}",
    LOOSE_NAME_PATTERN: f"must be lower-case letters, digits, '-' and '.', {_ENDS}",
    LABEL_VALUE_PATTERN: f"must be letters, digits, '-', '_' and '.', {_ENDS}",
    DIGEST_PATTERN: "must be sha256: and 64 lower-case hexadecimal digits",
    AGE_PATTERN: "must be an age, 30d, 12h or P30D for example",
    DURATION_PATTERN: "must be a duration as Go writes it, 30m or 1h30m for example",
    REFERENCE_PATTERN: _REFERENCE,
}
"""What a text must be, by the pattern that it must match."""

# For `kubectl`, in the place of the pattern, which it would print.
_REFERENCE_RULES = [
    {"rule": "!self.contains('://')", "message": "leave out the scheme: write host/repository:tag"},
    {"rule": f"self.contains('://') || self.matches(r'{REFERENCE_PATTERN}')", "message": _REFERENCE},
]

RegistryUrl = Annotated[
    str,
    Field(
        pattern=REFERENCE_PATTERN,
        min_length=1,
        max_length=MAX_REFERENCE_LENGTH,
        json_schema_extra={"x-kubernetes-validations": _REFERENCE_RULES},
    ),
]
"""A reference as the spec of an entry holds it."""

LabelValue = Annotated[str, Field(min_length=1, max_length=63, pattern=LABEL_VALUE_PATTERN)]
"""Text that can be a label value: entries are found by it with label selectors."""

Digest = Annotated[str, Field(pattern=DIGEST_PATTERN)]
"""A SHA-256 digest."""

Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
"""How many, or how many bytes."""
