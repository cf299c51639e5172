"""The registry client: it tells whether an image is there, and what it is."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from image_catalog.errors import ManifestInvalidError, RegistryFaultError, RegistryUnreachableError
from image_catalog.models.reference import Reference, is_digest
from image_catalog.registry.answers import Answer, failure
from image_catalog.registry.authorization import Access, AuthorizedTransport
from image_catalog.registry.connections import ConnectionFactory, connect
from image_catalog.registry.credentials import Credential
from image_catalog.registry.facts import Child, Configuration, image_facts, index_facts, read_configuration
from image_catalog.registry.hosts import HostPolicy
from image_catalog.registry.inspection import Facts, Inspection
from image_catalog.registry.limits import (
    CONFIG_BYTES,
    DEEP_TIMEOUT,
    ERROR_BYTES,
    FACTS_KEPT,
    INDEX_CHILDREN,
    INDEX_DEPTH,
    INSPECTION_TIMEOUT,
    MANIFEST_BYTES,
)
from image_catalog.registry.manifests import (
    Descriptor,
    ImageManifest,
    Index,
    check_digest,
    digest_of,
    parse_manifest,
)
from image_catalog.registry.media_types import ACCEPT_MANIFESTS, IMAGE_CONFIGS, IMAGE_MANIFESTS, INDEXES, essence
from image_catalog.registry.proxies import ProxyTable
from image_catalog.registry.tokens import TokenSource
from image_catalog.registry.transport import RawHeaders, RegistryTransport, Tally

__all__ = ["RegistryClient"]

_OK = 200
_NOT_FOUND = 404

_BLOB_HEADERS: RawHeaders = [(b"User-Agent", b"image-catalog"), (b"Accept-Encoding", b"identity")]
_MANIFEST_HEADERS: RawHeaders = [*_BLOB_HEADERS, (b"Accept", ACCEPT_MANIFESTS)]

_MANIFEST_TYPES = INDEXES | IMAGE_MANIFESTS
_FACT_NAMES = tuple(field.name for field in fields(Facts))

_T = TypeVar("_T")


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
    requests
        Sends requests and answers challenges.
    """

    def __init__(
        self,
        *,
        hosts: HostPolicy,
        transport: RegistryTransport,
        tokens: TokenSource,
        requests: AuthorizedTransport,
    ) -> None:
        self._hosts = hosts
        self._transport = transport
        self._tokens = tokens
        self._requests = requests
        self._facts: OrderedDict[str, Facts] = OrderedDict()

    @classmethod
    def create(
        cls,
        *,
        hosts: HostPolicy,
        environment: Mapping[str, str] | None = None,
        connect: ConnectionFactory = connect,
        clock: Callable[[], float] = time.monotonic,
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
        """
        transport = RegistryTransport(hosts=hosts, connect=connect, proxies=ProxyTable(environment))
        tokens = TokenSource(transport=transport, clock=clock)
        requests = AuthorizedTransport(transport=transport, tokens=tokens, hosts=hosts)
        return cls(hosts=hosts, transport=transport, tokens=tokens, requests=requests)

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

    async def exists(self, reference: Reference, *, credential: Credential | None = None) -> bool:
        """Tell whether content is still there, by its digest.

        Parameters
        ----------
        reference
            A reference whose digest counts.
        credential
            What may be shown to its registry.

        Raises
        ------
        ValueError
            Raised if the reference has no digest.
        PermanentError
            Raised if the registry denies the answer.
        TransientError
            Raised if the registry cannot tell at present.
        """
        if reference.digest is None:
            raise ValueError(f"{reference} has no digest")
        access = self._access(reference.with_digest(reference.digest), credential)
        return await _within(INSPECTION_TIMEOUT, access.subject, self._exists(access, reference.digest))

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
            facts = self._facts.get(known)
            if not deep:
                return self._report(access, reference, known, facts or Facts(), unchanged=True)
            if facts is not None:
                missing = await self._missing(access, (*facts.manifests, *facts.blobs), facts)
                return self._report(access, reference, known, facts, unchanged=True, missing=missing, deep=True)
        answer = await self._get_manifest(access, identifier)
        digest, warnings = _resolve(answer, identifier, access.subject, like=known)
        unchanged = known is not None and digest == known
        facts, missing = await self._find_facts(access, digest, answer)
        if deep:
            missing = (*missing, *await self._missing(access, facts.blobs, facts, but=missing))
        facts = replace(facts, warnings=(*warnings, *facts.warnings))
        return self._report(access, reference, digest, facts, unchanged=unchanged, missing=missing, deep=deep)

    async def _is_unchanged(self, access: Access, identifier: str, known: str) -> bool:
        """Ask with one HEAD; whatever is less than a clear answer is no."""
        answer = await self._head_manifest(access, identifier)
        if answer.status != _OK or essence(answer.headers.get("content-type")) not in _MANIFEST_TYPES | {""}:
            return False
        found = answer.headers.get("docker-content-digest", "").strip()
        return found == known or (not found and identifier == known)

    async def _exists(self, access: Access, digest: str) -> bool:
        answer = await self._head_manifest(access, digest)
        if answer.status == _OK and answer.headers.get("docker-content-digest", digest).strip() == digest:
            return True
        answer = await self._send(access, "GET", f"manifests/{digest}", _MANIFEST_HEADERS, MANIFEST_BYTES)
        if answer.status == _NOT_FOUND:
            return False
        if answer.status != _OK:
            raise failure(answer, access.subject, secrets=access.secrets)
        check_digest(answer.body, digest, access.subject)
        return True

    async def _head_manifest(self, access: Access, identifier: str) -> Answer:
        answer = await self._send(access, "HEAD", f"manifests/{identifier}", _MANIFEST_HEADERS, ERROR_BYTES)
        if answer.status in _HEAD_IS_FINAL:
            raise failure(answer, access.subject, secrets=access.secrets)
        return answer

    async def _get_manifest(self, access: Access, identifier: str) -> Answer:
        answer = await self._send(access, "GET", f"manifests/{identifier}", _MANIFEST_HEADERS, MANIFEST_BYTES)
        if answer.status != _OK:
            raise failure(answer, access.subject, remedy=_remedy(access), secrets=access.secrets)
        return answer

    async def _find_facts(self, access: Access, digest: str, answer: Answer) -> tuple[Facts, tuple[str, ...]]:
        """Return the facts of a manifest that was just read, and what of it is missing.

        Only now is the memory of facts looked into: having read the manifest
        is the proof that whoever asks may know them.
        """
        kept = self._facts.get(digest)
        if kept is not None:
            self._facts.move_to_end(digest)
            return kept, ()
        manifest = parse_manifest(answer.body, answer.headers.get("content-type"), access.subject)
        if isinstance(manifest, Index):
            children = await self._children(access, manifest, digest)
            facts = index_facts(manifest, [child for child, _ in children])
            missing = tuple(dict.fromkeys(gone for _, lacking in children for gone in lacking))
        else:
            facts, missing = await self._image(access, manifest, digest)
        if not missing:
            self._facts[digest] = facts
            while len(self._facts) > FACTS_KEPT:
                self._facts.popitem(last=False)
        return facts, missing

    async def _image(self, access: Access, manifest: ImageManifest, digest: str) -> tuple[Facts, tuple[str, ...]]:
        if manifest.config.media_type not in IMAGE_CONFIGS:
            return image_facts(manifest, None), ()
        configuration = await self._configuration(access, manifest.config)
        facts = image_facts(manifest, configuration)
        if configuration is None:
            gone = f"the configuration {manifest.config.digest} of {digest} is missing from the registry"
            return replace(facts, warnings=(gone,)), (manifest.config.digest,)
        return facts, ()

    async def _configuration(self, access: Access, config: Descriptor) -> Configuration | None:
        subject = f"{access.subject}, configuration {config.digest}"
        answer = await self._send(access, "GET", f"blobs/{config.digest}", _BLOB_HEADERS, CONFIG_BYTES)
        if answer.status == _NOT_FOUND:
            return None
        if answer.status != _OK:
            raise failure(answer, subject, secrets=access.secrets)
        check_digest(answer.body, config.digest, subject)
        return read_configuration(answer.body, subject)

    async def _children(
        self, access: Access, index: Index, digest: str, depth: int = 1
    ) -> list[tuple[Child, tuple[str, ...]]]:
        """Read the platforms of an index, all at once, with what is missing of each."""
        if depth > INDEX_DEPTH:
            raise ManifestInvalidError(f"{access.subject}: indexes nest deeper than {INDEX_DEPTH} levels")
        wanted = {child.digest: child for child in index.children if not child.is_attestation}
        read = await _together(self._child(access, child, depth) for child in wanted.values())
        found = dict(zip(wanted, read, strict=True))
        children = []
        for entry in index.children:
            for child, missing in found.get(entry.digest, ()):
                # The same manifest may be there for two platforms, and is read once.
                same = child.descriptor.digest == entry.digest
                children.append((replace(child, descriptor=entry) if same else child, missing))
        if len(children) > INDEX_CHILDREN:
            raise ManifestInvalidError(f"{access.subject}: more than {INDEX_CHILDREN} platforms below {digest}")
        return children

    async def _child(self, access: Access, child: Descriptor, depth: int) -> list[tuple[Child, tuple[str, ...]]]:
        subject = f"{access.subject}, platform {child.platform or child.digest}"
        answer = await self._send(access, "GET", f"manifests/{child.digest}", _MANIFEST_HEADERS, MANIFEST_BYTES)
        if answer.status == _NOT_FOUND:
            return [(Child(child), (child.digest,))]
        if answer.status != _OK:
            raise failure(answer, subject, secrets=access.secrets)
        check_digest(answer.body, child.digest, subject)
        manifest = parse_manifest(answer.body, answer.headers.get("content-type"), subject)
        if isinstance(manifest, Index):
            return await self._children(access, manifest, child.digest, depth + 1)
        if manifest.is_attestation:
            return []
        facts, missing = await self._image(access, manifest, child.digest)
        return [(Child(child, manifest, facts), missing)]

    async def _missing(
        self, access: Access, digests: Iterable[str], facts: Facts, *, but: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Ask for content by HEAD and return what is not there."""
        known = frozenset(but)
        asked = [digest for digest in digests if digest not in known]
        there = await _together(self._is_there(access, digest, digest in facts.manifests) for digest in asked)
        return tuple(digest for digest, found in zip(asked, there, strict=True) if not found)

    async def _is_there(self, access: Access, digest: str, is_manifest: bool) -> bool:  # noqa: FBT001 (private, one caller)
        path, headers = ("manifests", _MANIFEST_HEADERS) if is_manifest else ("blobs", _BLOB_HEADERS)
        answer = await self._send(access, "HEAD", f"{path}/{digest}", headers, ERROR_BYTES)
        if answer.status == _OK:
            return True
        if answer.status == _NOT_FOUND:
            return False
        if answer.origin != access.target.origin and answer.status in _STORE_TAKES_NO_HEAD:
            # The registry looked for the blob before it pointed to its store, whose
            # URL is signed for GET alone.
            return True
        raise failure(answer, f"{access.subject}, {digest}", secrets=access.secrets)

    async def _send(self, access: Access, method: str, path: str, headers: RawHeaders, limit: int) -> Answer:
        return await self._requests.send(
            access,
            method,
            f"{access.target.api}{access.repository}/{path}",
            headers,
            body_limit=limit,
            oversize=ManifestInvalidError if method == "GET" else RegistryFaultError,
        )

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


_HEAD_IS_FINAL = frozenset({429, *range(500, 600)} - {501})
"""Answers to HEAD that a GET would only repeat; every other may be an answer to the method alone."""

_STORE_TAKES_NO_HEAD = frozenset({400, 403, 405})


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


def _remedy(access: Access) -> str:
    if access.credential is None:
        return "; it needs a credential, or does not exist: name a Secret in authSecretRef"
    return f"; asked with {access.credential.source}"


async def _within(limit: timedelta, subject: str, work: Coroutine[Any, Any, _T]) -> _T:
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return await work
    except TimeoutError as e:
        raise RegistryUnreachableError(f"{subject}: it took longer than {limit.total_seconds():.0f} s in all") from e


async def _together(work: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Await all at once; the first failure ends the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as e:
        raise e.exceptions[0] from None
    return [task.result() for task in tasks]
