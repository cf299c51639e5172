"""The registry client: it tells whether an image is there, and what it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from image_catalog.errors import CircuitOpenError, RegistryUnreachableError
from image_catalog.models.catalogregistry import BELIEVED_FOR
from image_catalog.models.reference import Reference, is_digest
from image_catalog.registry.access import Access, Tally
from image_catalog.registry.answers import Answer, failure
from image_catalog.registry.authorization import AuthorizedTransport
from image_catalog.registry.blobs import BlobKeys
from image_catalog.registry.circuit import RECOVERY, Circuits, is_failure
from image_catalog.registry.connections import ConnectionFactory, connect
from image_catalog.registry.credentials import Credential
from image_catalog.registry.hosts import HostPolicy
from image_catalog.registry.inspection import Facts, Inspection
from image_catalog.registry.limits import DEEP_TIMEOUT, INSPECTION_TIMEOUT, REFERRERS_TIMEOUT, Timeouts
from image_catalog.registry.manifests import check_digest, digest_of
from image_catalog.registry.media_types import IMAGE_MANIFESTS, INDEXES, essence
from image_catalog.registry.outgoing import OutgoingRequests
from image_catalog.registry.proxies import ProxyTable
from image_catalog.registry.questions import ping
from image_catalog.registry.reader import ContentReader
from image_catalog.registry.referrers import Referrer, ReferrerReader
from image_catalog.registry.tokens import TokenSource
from image_catalog.registry.transport import RegistryTransport

__all__ = ["RegistryClient"]

_OK = 200

_MANIFEST_TYPES = INDEXES | IMAGE_MANIFESTS
_FACT_NAMES = tuple(field.name for field in fields(Facts))

_T = TypeVar("_T")


def _now() -> datetime:
    return datetime.now(UTC)


class RegistryClient:
    """Asks registries about images, with the fewest requests that give a true answer.

    Parameters
    ----------
    hosts
        What may be contacted, and how.
    transport
        Sends requests.
    tokens
        Gets and keeps bearer tokens.
    reader
        Reads manifests and what they name.
    referrers
        Reads what refers to an image.
    outgoing
        Sends requests to hosts that are no registries.
    blobs
        Opens blobs for who reads them by other means.

    Attributes
    ----------
    circuits
        Which registries are not asked at present.
    throttle
        How much was asked of each, and what it lets us ask.
    outgoing
        Sends requests to hosts that are no registries.
    blobs
        Opens blobs for who reads them by other means.
    """

    def __init__(
        self,
        *,
        hosts: HostPolicy,
        transport: RegistryTransport,
        tokens: TokenSource,
        reader: ContentReader,
        referrers: ReferrerReader,
        outgoing: OutgoingRequests,
        blobs: BlobKeys,
    ) -> None:
        self.circuits = transport.circuits
        self.throttle = transport.throttle
        self.outgoing = outgoing
        self.blobs = blobs
        self._hosts = hosts
        self._transport = transport
        self._tokens = tokens
        self._reader = reader
        self._referrers = referrers

    @classmethod
    def create(
        cls,
        *,
        hosts: HostPolicy,
        environment: Mapping[str, str] | None = None,
        connect: ConnectionFactory = connect,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _now,
        recovery: timedelta = RECOVERY,
        believed_for: timedelta = BELIEVED_FOR,
        timeouts: Timeouts | None = None,
    ) -> Self:
        """Build a client with its parts.

        Parameters
        ----------
        hosts
            What may be contacted, and how.
        environment
            Where the egress proxies are named; none without it.
        connect
            Makes connections.
        clock
            Seconds that only go forward.
        now
            Tells the time.
        recovery
            How long a registry that has stopped answering is not asked.
        believed_for
            How long it is not asked because a CatalogRegistry's status says so.
        timeouts
            Limits of time of each request.
        """
        transport = RegistryTransport(
            hosts=hosts,
            connect=connect,
            proxies=ProxyTable(environment),
            timeouts=timeouts or Timeouts(),
            circuits=Circuits(now=now, rule=hosts.rule, recovery=recovery, believed_for=believed_for),
            now=now,
        )
        tokens = TokenSource(transport=transport, clock=clock)
        requests = AuthorizedTransport(transport=transport, tokens=tokens, hosts=hosts)
        return cls(
            hosts=hosts,
            transport=transport,
            tokens=tokens,
            reader=ContentReader(requests=requests),
            referrers=ReferrerReader(requests=requests),
            outgoing=OutgoingRequests(hosts=hosts, transport=transport),
            blobs=BlobKeys(requests=requests, hosts=hosts),
        )

    async def inspect(
        self,
        reference: Reference,
        *,
        credential: Credential | None = None,
        known: str | None = None,
        deep: bool = False,
    ) -> Inspection:
        """Look at an image: one request if nothing changed, else as few as tell all.

        A reference with a tag and a digest is asked for by its tag; ask for
        ``reference.with_digest(…)`` where the digest is meant.

        Parameters
        ----------
        reference
            The image.
        credential
            What may be shown to its registry, `None` for anonymous access.
        known
            The digest that it had before; a first look has none.
        deep
            Whether every configuration and layer is asked for, too.

        Raises
        ------
        PermanentError
            Raised if the image is not there, may not be seen, or is not one.
        TransientError
            Raised if the registry cannot tell at present.
        """
        access = self._access(reference, credential)
        limit = DEEP_TIMEOUT if deep else INSPECTION_TIMEOUT
        return await _within(limit, access.subject, self._inspect(access, reference, known, deep=deep))

    def refusal(self, reference: Reference) -> CircuitOpenError | None:
        """Return why a registry is not asked at present; `None` if it would be.

        Parameters
        ----------
        reference
            An image in it.

        Raises
        ------
        HostNotAllowedError
            Raised if it may not be asked at all.
        """
        return self.circuits.refusal(self._hosts.target(reference.registry))

    def admit(self, reference: Reference) -> None:
        """Make sure that a registry would be asked.

        Parameters
        ----------
        reference
            An image in it.

        Raises
        ------
        CircuitOpenError
            Raised if it is not asked at present.
        HostNotAllowedError
            Raised if it may not be asked at all.
        """
        self.circuits.admit(self._hosts.target(reference.registry))

    def place(self, reference: Reference) -> AbstractAsyncContextManager[None]:
        """Hold a place of an image's registry, which is to be had before it is asked.

        A registry that is slow has few, so that a process has the rest of its
        own for others.

        Parameters
        ----------
        reference
            The image.

        Raises
        ------
        RegistryBusyError
            Raised on entry if there is none, and none is about to come free.
        HostNotAllowedError
            Raised if it may not be asked at all.
        """
        return self._transport.places.take(self._hosts.target(reference.registry))

    async def probe(self, registry: str) -> None:
        """Find out whether a registry answers, with one request, whatever its circuit says.

        Any answer of its API will do, a 401 for example: only a server in
        trouble (5xx) has not answered.

        Parameters
        ----------
        registry
            ``host[:port]`` as references name it.

        Raises
        ------
        RegistryUnreachableError
            Raised if no answer came.
        RegistryFaultError
            Raised if the server is in trouble, or is no registry.
        RateLimitedError
            Raised if it has asked for no request at present, and none was made.
        CatalogError
            Raised if the registry may not be asked, or is not trusted.
        """
        target = self._hosts.target(registry)
        access = Access(target=target, repository="", credential=None, subject=target.api, tally=Tally())
        answer = await self._transport.send(access, ping(target), probe=True)
        if is_failure(answer.status):
            raise failure(answer, target.api)

    async def referrers(
        self, reference: Reference, digest: str, *, credential: Credential | None = None
    ) -> tuple[Referrer, ...]:
        """List what refers to an image that is there: one request, two where the registry has no API for it.

        Parameters
        ----------
        reference
            The image.
        digest
            The content that is meant.
        credential
            What may be shown to its registry, `None` for anonymous access.

        Raises
        ------
        CatalogError
            Raised if the registry does not tell.
        """
        access = self._access(reference.with_digest(digest), credential)
        return await _within(REFERRERS_TIMEOUT, access.subject, self._referrers.read(access, digest))

    async def aclose(self) -> None:
        """Stop what is under way and close every connection."""
        await self._tokens.aclose()
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _access(self, reference: Reference, credential: Credential | None) -> Access:
        return Access(
            target=self._hosts.target(reference.registry),
            repository=reference.repository,
            credential=credential,
            # The content that is asked for; of a tag and a digest that is the tag's.
            subject=f"{reference.name}{':' if reference.tag or not reference.digest else '@'}{reference.identifier}",
            tally=Tally(),
        )

    async def _inspect(self, access: Access, reference: Reference, known: str | None, *, deep: bool) -> Inspection:
        identifier = reference.identifier
        if known is not None and await self._is_unchanged(access, identifier, known):
            facts = self._reader.recall(known)
            if not deep:
                return self._report(access, reference, known, facts or Facts(), unchanged=True)
            if facts is not None:
                missing = await self._reader.missing(access, (*facts.manifests, *facts.blobs), facts)
                return self._report(access, reference, known, facts, unchanged=True, missing=missing, deep=True)
        answer = await self._reader.get_manifest(access, identifier)
        digest, warnings = _resolve(answer, identifier, access.subject, like=known)
        unchanged = known is not None and digest == known
        if unchanged and not deep:
            # A registry without digests in its answers: this GET was its HEAD.
            facts = self._reader.recall(digest) or Facts()
            return self._report(access, reference, digest, replace(facts, warnings=warnings), unchanged=True)
        facts, missing = await self._reader.find_facts(access, digest, answer)
        if deep:
            missing = (*missing, *await self._reader.missing(access, facts.blobs, facts, but=missing))
        facts = replace(facts, warnings=(*warnings, *facts.warnings))
        return self._report(access, reference, digest, facts, unchanged=unchanged, missing=missing, deep=deep)

    async def _is_unchanged(self, access: Access, identifier: str, known: str) -> bool:
        """Ask with one HEAD; whatever is less than a clear answer is no."""
        answer = await self._reader.head_manifest(access, identifier)
        if answer.status != _OK or essence(answer.headers.get("content-type")) not in _MANIFEST_TYPES | {""}:
            return False
        found = answer.headers.get("docker-content-digest", "").strip()
        return found == known or (not found and identifier == known)

    @staticmethod
    def _report(
        access: Access,
        reference: Reference,
        digest: str,
        facts: Facts,
        *,
        unchanged: bool,
        missing: tuple[str, ...] = (),
        deep: bool = False,
    ) -> Inspection:
        found = {name: getattr(facts, name) for name in _FACT_NAMES}
        blobs = f"{access.target.api}{access.repository}/blobs/"
        found["artifacts"] = tuple(replace(layer, url=blobs + layer.digest) for layer in facts.artifacts)
        platforms = [gone for gone in missing if gone in facts.manifests]
        found["warnings"] = (
            *facts.warnings,
            *(f"the platform {gone} is missing from the registry" for gone in platforms),
        )
        return Inspection(
            reference=reference,
            resolved_digest=digest,
            unchanged=unchanged,
            complete=not missing,
            missing=missing,
            deep=deep,
            requests=access.tally.requests,
            **found,
        )


def _resolve(answer: Answer, identifier: str, subject: str, *, like: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the digest of what was read, with a warning where the registry says another."""
    if is_digest(identifier):
        check_digest(answer.body, identifier, subject)
        return identifier, ()
    digest = digest_of(answer.body, like=like or "sha256:")
    said = answer.headers.get("docker-content-digest", "").strip()
    if is_digest(said) and said != digest_of(answer.body, like=said):
        return digest, (f"the registry says that its digest is {said}, but its bytes are {digest}",)
    return digest, ()


async def _within(limit: timedelta, subject: str, work: Coroutine[Any, Any, _T]) -> _T:
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return await work
    except TimeoutError as e:
        raise RegistryUnreachableError(f"{subject}: it took longer than {limit.total_seconds():.0f} s in all") from e
