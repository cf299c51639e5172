"""Who asks for what, and what it costs: what travels with every request of one operation."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from image_catalog.registry.credentials import ANONYMOUS, Credential
from image_catalog.registry.hosts import Target

__all__ = ["Access", "Tally"]


class Tally:
    """Counts the requests that one operation made.

    Parameters
    ----------
    failed
        Whether its failures count no more.

    Attributes
    ----------
    requests
        Requests sent so far, token servers and redirects included.
    tokens
        What tokens were asked for on the way: those are not old.
    failed
        Whether a request of the operation has failed for the registry's sake.
    paced
        Whether the operation has waited for its turn, where a limit is nearly used up.
    platforms
        Manifests below indexes that were asked for so far.
    """

    __slots__ = ("failed", "paced", "platforms", "requests", "tokens")

    def __init__(self, *, failed: bool = False) -> None:
        self.failed = failed
        self.paced = False
        self.platforms = 0
        self.requests = 0
        self.tokens: set[Hashable] = set()


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks for what.

    Attributes
    ----------
    target
        The registry.
    repository
        The repository; tokens are for one.
    credential
        What may be shown, `None` for anonymous access.
    subject
        What it is about, for messages.
    tally
        Counts the requests.
    """

    target: Target
    repository: str
    credential: Credential | None
    subject: str
    tally: Tally

    @property
    def identity(self) -> str:
        """Whose tokens may be used."""
        return self.credential.identity if self.credential else ANONYMOUS

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may repeat."""
        return self.credential.secrets if self.credential else ()

    @property
    def remedy(self) -> str:
        """What to do when the answer is no."""
        if self.credential is None:
            return "it needs a credential, or does not exist; name a Secret in authSecretRef"
        return f"it does not take the credential ({self.credential.source})"
