"""What a check is asked to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from image_catalog.models import AuthSecretRef, RegistryMetadata

__all__ = ["CHECK_TIMEOUT", "CheckTarget"]

CHECK_TIMEOUT = timedelta(seconds=110)
"""Longest that a check may take in all: `verify` is given 120 s for a delivery, and must write what it found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTarget:
    """What is to be checked.

    Attributes
    ----------
    registry_url
        The reference, as it was typed.
    namespace
        Namespace of the entry, whose Secrets it may use.
    auth_secret_ref
        The Secret with the credential.
    pin
        The content that is meant; `None` when the tag alone counts.
    follow
        Whether a tag that moved is followed, so that its content is looked at
        and not the pin's.
    known
        What is known from before; the same digest needs no second look.
    deep
        Whether every blob is asked for.
    referrers
        Whether what refers to the image is listed, too.
    explain
        Whether every source of credentials is told, those without a say too.
    anonymous
        Whether no credential is used, because nobody knows who asks, or for
        whose namespace.
    limit
        Longest that all of it may take: the choice of a credential, and an
        inspection each of the tag and of the pin.
    """

    registry_url: str
    namespace: str
    auth_secret_ref: AuthSecretRef | None = None
    pin: str | None = None
    follow: bool = False
    known: RegistryMetadata | None = None
    deep: bool = False
    referrers: bool = False
    explain: bool = False
    anonymous: bool = False
    limit: timedelta = CHECK_TIMEOUT
