"""The order of the sources, in one place: the first that has something for an image has the say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from image_catalog.catalog.credentials.asking import Found, PassedOver, Source, Wanted
from image_catalog.registry import Credential

__all__ = ["Choice", "CredentialSources"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which credential is presented, and why that one.

    Attributes
    ----------
    credential
        What is presented; `None` means to ask anonymously.
    told
        Where it comes from, for people.
    source
        The source that had the say; `None` where none had.
    passed_over
        Sources that were asked before, with what they said.
    """

    credential: Credential | None
    told: str
    source: Source | None = None
    passed_over: tuple[tuple[str, PassedOver], ...] = ()

    def explain(self, *, every: bool = False) -> str:
        """Return which source has the say and which were passed over, for people.

        Parameters
        ----------
        every
            Whether every source that was passed over is named, and not only
            those of which somebody may have expected a credential.
        """
        over = [f"{name}: {passed.why}" for name, passed in self.passed_over if every or passed.is_notable]
        return "; ".join([f"{self.told} ({self.source.name})" if self.source and every else self.told, *over])

    @property
    def notes(self) -> str:
        """Sources of which somebody may have expected a credential, and why they gave none; empty without."""
        return "; ".join(f"{name}: {passed.why}" for name, passed in self.passed_over if passed.is_notable)


class CredentialSources:
    """Chooses the credential for an image.

    Parameters
    ----------
    sources
        The sources, the first match wins.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)

    async def choose(self, wanted: Wanted) -> Choice:
        """Return the credential of the first source that has one.

        Parameters
        ----------
        wanted
            The image, and who asks.

        Raises
        ------
        CatalogError
            Raised if a source is meant to have a credential and cannot tell it.
        """
        passed_over: list[tuple[str, PassedOver]] = []
        for source in self._sources:
            found = await source.find(wanted)
            if isinstance(found, Found):
                return Choice(found.credential, found.told, source, tuple(passed_over))
            passed_over.append((source.name, found))
        return Choice(None, "none, asked anonymously", None, tuple(passed_over))

    async def drop(self, choice: Choice) -> bool:
        """Forget a credential that the registry turned down.

        Parameters
        ----------
        choice
            What was presented.

        Returns
        -------
        bool
            Whether choosing again may bring another one.

        Raises
        ------
        CatalogError
            Raised if the source looks for another one and cannot tell.
        """
        if choice.credential is None or choice.source is None:
            return False
        return await choice.source.drop(choice.credential)
