"""What refers to an image: signatures, SBOMs, attestations. Listed, and judged by nobody here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from image_catalog.errors import ManifestInvalidError, RegistryFaultError
from image_catalog.models import ReferrerKind
from image_catalog.registry.access import Access
from image_catalog.registry.answers import Answer, failure
from image_catalog.registry.authorization import AuthorizedTransport
from image_catalog.registry.limits import MANIFEST_BYTES, REFERRERS, REFERRERS_READ
from image_catalog.registry.manifests import Descriptor, Index, digest_of, parse_manifest
from image_catalog.registry.media_types import ACCEPT_MANIFESTS, OCI_INDEX
from image_catalog.registry.questions import HEADERS, Question, RawHeaders

__all__ = ["Referrer", "ReferrerReader", "fallback_tag", "read_referrers"]

_OK = 200
_NOT_FOUND = 404

_NO_SUCH_API = frozenset({400, 404, 405, 406, 501})
"""How registries say that they have no referrers API: 404 by the book, the others as they were seen."""

_API_HEADERS: RawHeaders = [*HEADERS, (b"Accept", OCI_INDEX.encode())]
_TAG_HEADERS: RawHeaders = [*HEADERS, (b"Accept", ACCEPT_MANIFESTS)]

_BUNDLE = "application/vnd.dev.sigstore.bundle"
_CONTENT = "dev.sigstore.bundle.content"
_PREDICATE = ("dev.sigstore.bundle.predicateType", "in-toto.io/predicate-type", "predicateType")


_KINDS: tuple[tuple[str, ReferrerKind], ...] = (
    ("spdx", ReferrerKind.SBOM),
    ("cyclonedx", ReferrerKind.SBOM),
    ("syft", ReferrerKind.SBOM),
    ("sbom", ReferrerKind.SBOM),
    ("in-toto", ReferrerKind.ATTESTATION),
    ("slsa", ReferrerKind.ATTESTATION),
    ("dsse", ReferrerKind.ATTESTATION),
    ("attestation", ReferrerKind.ATTESTATION),
    ("vnd.dev.cosign", ReferrerKind.SIGNATURE),
    ("signature", ReferrerKind.SIGNATURE),
)
"""What the types that tools write have in common; the first that fits counts, an SBOM in an envelope is an SBOM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """A manifest that refers to an image.

    Attributes
    ----------
    kind
        What it is.
    artifact_type
        What it says that it is.
    digest
        Its own digest.
    size_bytes
        Size of its manifest by the registry's word.
    """

    kind: ReferrerKind
    artifact_type: str | None
    digest: str
    size_bytes: int


class ReferrerReader:
    """Asks registries what refers to an image.

    Parameters
    ----------
    requests
        Sends requests and answers challenges.
    """

    def __init__(self, *, requests: AuthorizedTransport) -> None:
        self._requests = requests

    async def read(self, access: Access, subject: str) -> tuple[Referrer, ...]:
        """Return what refers to a digest: by the referrers API, else by the tag that stands in for it.

        Only the first page is read, and no ``Link`` is followed.

        Parameters
        ----------
        access
            Who asks for what.
        subject
            Digest of the image.

        Raises
        ------
        CatalogError
            Raised if the registry does not tell.
        """
        answer = await self._get(access, f"referrers/{subject}", _API_HEADERS)
        if answer.status == _OK:
            found = read_referrers(answer, subject)
            if found is not None:
                return found
        elif answer.status not in _NO_SUCH_API:
            raise failure(answer, f"{access.subject}, its referrers", secrets=access.secrets)
        answer = await self._get(access, f"manifests/{fallback_tag(subject)}", _TAG_HEADERS)
        if answer.status == _OK:
            return read_referrers(answer, subject, is_tag=True) or ()
        if answer.status == _NOT_FOUND:
            return ()
        raise failure(answer, f"{access.subject}, the tag of its referrers", secrets=access.secrets)

    async def _get(self, access: Access, path: str, headers: RawHeaders) -> Answer:
        url = f"{access.target.api}{access.repository}/{path}"
        question = Question("GET", url, headers, access.subject, MANIFEST_BYTES, RegistryFaultError)
        return await self._requests.send(access, question)


def fallback_tag(digest: str) -> str:
    """Return the tag under which an image's referrers are kept where there is no API.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema

    Parameters
    ----------
    digest
        The image's digest.
    """
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


def read_referrers(answer: Answer, subject: str, *, is_tag: bool = False) -> tuple[Referrer, ...] | None:
    """Read a list of referrers; `None` if the answer is something else.

    GitLab resolves the fallback tag to the image itself (oras-project/oras-go#1396).
    What came must be an index, not the image, and what a tag names must say
    what it is, for the platforms of an index do not.

    Parameters
    ----------
    answer
        The good answer of the API, or to the fallback tag.
    subject
        Digest of the image.
    is_tag
        Whether it is the answer to the tag.
    """
    if digest_of(answer.body, like=subject) == subject:
        return None
    try:
        index = parse_manifest(
            answer.body, answer.headers.get("content-type"), "the list of referrers", children=REFERRERS_READ
        )
    except ManifestInvalidError:
        return None
    if not isinstance(index, Index):
        return None
    distinct = {child.digest: child for child in index.children if child.digest != subject}
    told = [child for child in distinct.values() if child.artifact_type or not is_tag]
    return tuple(_referrer(child) for child in told[:REFERRERS])


def _referrer(found: Descriptor) -> Referrer:
    return Referrer(
        kind=_kind(found.artifact_type or "", found.annotations),
        artifact_type=found.artifact_type,
        digest=found.digest,
        size_bytes=found.size,
    )


def _kind(artifact_type: str, annotations: Mapping[str, str]) -> ReferrerKind:
    text = artifact_type.lower()
    if text.startswith(_BUNDLE):
        # One type for signatures and statements; what is in it stands beside it, if at all.
        predicate = next((annotations[name] for name in _PREDICATE if name in annotations), "")
        text = f"{predicate} {annotations.get(_CONTENT, 'signature')}".lower()
    return next((kind for word, kind in _KINDS if word in text), ReferrerKind.OTHER)
