"""What opens a blob for who reads it by other means: a file of gigabytes is streamed to a disk, not into an answer."""

from __future__ import annotations

from http import HTTPStatus

from image_catalog.models.reference import Reference
from image_catalog.registry.access import Access, Tally
from image_catalog.registry.answers import failure
from image_catalog.registry.authorization import AuthorizedTransport
from image_catalog.registry.credentials import Credential
from image_catalog.registry.hosts import HostPolicy
from image_catalog.registry.limits import ERROR_BYTES
from image_catalog.registry.questions import HEADERS, Question

__all__ = ["BlobKeys"]


class BlobKeys:
    """Answers a registry's challenge for a blob, and leaves the reading to others.

    Parameters
    ----------
    requests
        Sends requests and answers challenges.
    hosts
        What may be contacted, and how.
    """

    def __init__(self, *, requests: AuthorizedTransport, hosts: HostPolicy) -> None:
        self._requests = requests
        self._hosts = hosts

    async def authorization(self, blob: Reference, *, credential: Credential | None = None) -> str | None:
        """Return the ``Authorization`` that a registry wants to see with a request for a blob.

        Parameters
        ----------
        blob
            The repository, with the blob's digest.
        credential
            What may be shown to the registry, `None` for anonymous access.

        Returns
        -------
        str or None
            The header's value, a secret; `None` where the registry wants none.

        Raises
        ------
        ImageNotFoundError
            Raised if the registry does not have the blob.
        AuthenticationError, AccessDeniedError
            Raised if the registry does not give it to whoever asks.
        CatalogError
            Raised if the registry cannot be asked, or does not answer.
        """
        target = self._hosts.target(blob.registry)
        access = Access(
            target=target,
            repository=blob.repository,
            credential=credential,
            subject=f"{blob.name}@{blob.identifier}",
            tally=Tally(),
        )
        # Where the registry redirects to, its own authorization is shown to nobody: the redirect is the answer.
        question = Question(
            "HEAD",
            f"{target.api}{blob.repository}/blobs/{blob.identifier}",
            HEADERS,
            access.subject,
            ERROR_BYTES,
            security=target.security,
        )
        answer = await self._requests.send(access, question)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise failure(answer, access.subject, remedy=f"; {access.remedy}", secrets=access.secrets)
        return answer.shown.decode("latin-1") if answer.shown else None
