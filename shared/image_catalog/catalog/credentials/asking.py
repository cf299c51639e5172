"""What a source of credentials is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from image_catalog.models import AuthSecretRef, CatalogRegistrySpec, Reference
from image_catalog.registry import Credential

__all__ = ["Found", "PassedOver", "Source", "Wanted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """For what a credential is wanted.

    Attributes
    ----------
    reference
        The image.
    namespace
        Namespace of the entry that asks; what another namespace keeps is not for it.
    secret_ref
        The Secret that the entry names.
    registry
        What a CatalogRegistry says of the image's host.
    """

    reference: Reference
    namespace: str
    secret_ref: AuthSecretRef | None = None
    registry: CatalogRegistrySpec | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A source has the say.

    Attributes
    ----------
    credential
        What is presented; `None` where the source wants nothing presented.
    told
        Where it comes from, for people: ``Secret team-a/quay, key quay.io``.
    """

    credential: Credential | None
    told: str

    @classmethod
    def of(cls, credential: Credential) -> Found:
        """Tell of a credential what it tells itself."""
        return cls(credential, credential.source)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A source has nothing for the image.

    Attributes
    ----------
    why
        For people, one clause.
    is_notable
        Whether somebody may have expected otherwise. That an image is not on
        ECR is nothing to tell each time.
    """

    why: str
    is_notable: bool = True


class Source(Protocol):
    """Where credentials come from."""

    @property
    def name(self) -> str:
        """What people call it."""

    async def find(self, wanted: Wanted) -> Found | PassedOver:
        """Return what the source has for an image.

        Parameters
        ----------
        wanted
            The image, and who asks.

        Raises
        ------
        CatalogError
            Raised if the source is meant to have a credential and cannot tell
            it. No later source is asked then: a wrong credential is mended,
            not papered over.
        """

    async def drop(self, credential: Credential) -> bool:
        """Forget a credential that a registry turned down.

        Parameters
        ----------
        credential
            What `find` returned.

        Returns
        -------
        bool
            Whether it had been kept for a while, so that asking again may
            bring another one.

        Raises
        ------
        CatalogError
            Raised if the source looks for another one and cannot tell.
        """
