"""Reading manifests, configurations and platforms: the part of an inspection that costs requests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from image_catalog.errors import ManifestInvalidError, RegistryFaultError
from image_catalog.registry.access import Access
from image_catalog.registry.answers import Answer, failure
from image_catalog.registry.authorization import AuthorizedTransport
from image_catalog.registry.facts import Child, Configuration, image_facts, index_facts, read_configuration
from image_catalog.registry.inspection import Facts
from image_catalog.registry.limits import (
    BLOBS,
    CONFIG_BYTES,
    ERROR_BYTES,
    INDEX_CHILDREN,
    INDEX_DEPTH,
    MANIFEST_BYTES,
)
from image_catalog.registry.manifests import Descriptor, ImageManifest, Index, check_digest, parse_manifest
from image_catalog.registry.media_types import ACCEPT_MANIFESTS, IMAGE_CONFIGS
from image_catalog.registry.memory import FactMemory
from image_catalog.registry.questions import HEADERS, Question, RawHeaders

__all__ = ["ContentReader"]

_OK = 200
_NOT_FOUND = 404

_MANIFEST_HEADERS: RawHeaders = [*HEADERS, (b"Accept", ACCEPT_MANIFESTS)]

_HEAD_IS_FINAL = frozenset({429, *range(500, 600)} - {501})
"""Answers to HEAD that a GET would only repeat; every other may be an answer to the method alone."""

_STORE_TAKES_NO_HEAD = frozenset({400, 403, 405})
"""How object stores refuse a HEAD to a URL that is signed for GET."""

_T = TypeVar("_T")


class ContentReader:
    """Reads what a repository holds, and remembers what digests say.

    Parameters
    ----------
    requests
        Sends requests and answers challenges.
    """

    def __init__(self, *, requests: AuthorizedTransport) -> None:
        self._requests = requests
        self._facts = FactMemory()

    def recall(self, digest: str) -> Facts | None:
        """Return what a digest says, if it was read before.

        Parameters
        ----------
        digest
            A manifest that whoever asks has just proven to have access to.
        """
        return self._facts.get(digest)

    async def head_manifest(self, access: Access, identifier: str) -> Answer:
        """Ask for a manifest's head.

        Parameters
        ----------
        access
            Who asks for what.
        identifier
            Tag or digest.

        Raises
        ------
        TransientError
            Raised for answers that a GET would only repeat; every other may
            be an answer to the method alone, and is returned.
        """
        answer = await self._send(access, "HEAD", f"manifests/{identifier}", _MANIFEST_HEADERS, ERROR_BYTES)
        if answer.status in _HEAD_IS_FINAL:
            raise failure(answer, access.subject, secrets=access.secrets)
        return answer

    async def get_manifest(self, access: Access, identifier: str) -> Answer:
        """Read a manifest.

        Parameters
        ----------
        access
            Who asks for what.
        identifier
            Tag or digest; the bytes are not checked here.

        Raises
        ------
        CatalogError
            Raised for every answer but the manifest.
        """
        answer = await self._send(access, "GET", f"manifests/{identifier}", _MANIFEST_HEADERS, MANIFEST_BYTES)
        if answer.status != _OK:
            raise failure(answer, access.subject, remedy=f"; {access.remedy}", secrets=access.secrets)
        return answer

    async def find_facts(self, access: Access, digest: str, answer: Answer) -> tuple[Facts, tuple[str, ...]]:
        """Return the facts of a manifest that was just read, and what of it is missing.

        Only now is the memory of facts looked into: having read the manifest
        is the proof that whoever asks may know them.

        Parameters
        ----------
        access
            Who asks for what.
        digest
            Digest of the manifest.
        answer
            The manifest.

        Raises
        ------
        ManifestInvalidError
            Raised if it, or what it names, cannot be trusted.
        DigestMismatchError
            Raised if what it names is something else.
        CatalogError
            Raised if the registry answers a part of it with anything but that or 404.
        """
        kept = self.recall(digest)
        if kept is not None:
            return kept, ()
        manifest = parse_manifest(answer.body, answer.headers.get("content-type"), access.subject)
        if isinstance(manifest, Index):
            children = await self._children(access, manifest, digest)
            facts = index_facts(manifest, [child for child, _ in children])
            missing = tuple(dict.fromkeys(gone for _, lacking in children for gone in lacking))
        else:
            facts, missing = await self._image(access, manifest, digest)
        if not missing:
            self._facts.keep(digest, facts)
        return facts, missing

    async def _image(self, access: Access, manifest: ImageManifest, digest: str) -> tuple[Facts, tuple[str, ...]]:
        if manifest.config.media_type not in IMAGE_CONFIGS:
            return image_facts(manifest, None), ()
        configuration = await self._configuration(access, manifest.config)
        facts = image_facts(manifest, configuration)
        if configuration is None:
            gone = f"the configuration {manifest.config.digest} of {digest} is missing from the registry"
            return replace(facts, warnings=(*facts.warnings, gone)), (manifest.config.digest,)
        return facts, ()

    async def _configuration(self, access: Access, config: Descriptor) -> Configuration | None:
        subject = f"{access.subject}, configuration {config.digest}"
        answer = await self._send(access, "GET", f"blobs/{config.digest}", HEADERS, CONFIG_BYTES)
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
        access.tally.platforms += len(wanted)
        if access.tally.platforms > INDEX_CHILDREN:
            # Before they are asked for: each level would multiply the requests.
            raise _too_wide(access, digest)
        read = await _together(self._child(access, child, depth) for child in wanted.values())
        found = dict(zip(wanted, read, strict=True))
        children = []
        for entry in index.children:
            for child, missing in found.get(entry.digest, ()):
                # The same manifest may be there for two platforms, and is read once.
                same = child.descriptor.digest == entry.digest
                children.append((replace(child, descriptor=entry) if same else child, missing))
        if len(children) > INDEX_CHILDREN:
            raise _too_wide(access, digest)
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

    async def missing(
        self, access: Access, digests: Iterable[str], facts: Facts, *, but: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Ask for content by HEAD and return what is not there.

        Parameters
        ----------
        access
            Who asks for what.
        digests
            Manifests and blobs.
        facts
            Tell which of them are manifests.
        but
            What need not be asked for.

        Raises
        ------
        ManifestInvalidError
            Raised if there are more than `BLOBS`.
        CatalogError
            Raised for every answer but yes and no.
        """
        known = frozenset(but)
        asked = [digest for digest in digests if digest not in known]
        if len(asked) > BLOBS:
            # Before they are asked for: each would be a request.
            raise ManifestInvalidError(
                f"{access.subject}: it is made of {len(asked)} manifests and blobs; at most {BLOBS} are asked for"
            )
        there = await _together(self._is_there(access, digest, digest in facts.manifests) for digest in asked)
        return tuple(digest for digest, found in zip(asked, there, strict=True) if not found)

    async def _is_there(self, access: Access, digest: str, is_manifest: bool) -> bool:  # noqa: FBT001 (private, one caller)
        path, headers = ("manifests", _MANIFEST_HEADERS) if is_manifest else ("blobs", HEADERS)
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
        question = Question(
            method,
            f"{access.target.api}{access.repository}/{path}",
            headers,
            access.subject,
            limit,
            ManifestInvalidError if method == "GET" else RegistryFaultError,
        )
        return await self._requests.send(access, question)


def _too_wide(access: Access, digest: str) -> ManifestInvalidError:
    return ManifestInvalidError(f"{access.subject}: more than {INDEX_CHILDREN} platforms below {digest}")


async def _together(work: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Await all at once; the first failure ends the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as e:
        raise e.exceptions[0] from None
    return [task.result() for task in tasks]
