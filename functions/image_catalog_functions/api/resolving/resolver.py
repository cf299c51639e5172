"""Answers which image to flash, and keeps the answers while they are true.

A fleet asks for the same few boards over and over, and a pipeline that waits for
an image asks until there is one: answers and refusals are kept until the index
changes. One that an age decides is kept within its second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from image_catalog.catalog.resolution import (
    CandidateCache,
    Chosen,
    IndexedBoard,
    IndexedRecalls,
    nearby_boards,
    resolve,
)
from image_catalog_functions.api.http.answers import Answer, etag_of
from image_catalog_functions.api.http.metrics import RESOLUTIONS
from image_catalog_functions.api.http.parameters import read_query
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.recording import GivenImage
from image_catalog_functions.api.resolving.documents import losers_of, resolved_image, why_none
from image_catalog_functions.api.resolving.queries import ResolveQuery

if TYPE_CHECKING:
    from image_catalog.cluster import Caller
    from image_catalog_functions.api.services import Services

__all__ = ["Resolved", "Resolver"]

_MAX_KEPT: Final = 1024
_MAX_KEPT_BYTES: Final = 16 * 1024 * 1024
"""An answer is some 5 KB, and 130 KB with the most losers that can be asked for."""
_LOSER_BYTES: Final = 800
"""What a loser takes in memory where nothing fits, which is kept as objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a query came to, and what the audit is told of it.

    Attributes
    ----------
    namespace
        Where was looked; `None` for everywhere.
    answer
        What is sent.
    given
        The image.
    target
        The board that it is for.
    """

    namespace: str | None
    answer: Answer
    given: GivenImage
    target: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """A query's outcome, or why there is none, and the second in which that is true; `None` for any."""

    resolved: Resolved | None
    refusal: tuple[str, dict[str, Any]] | None
    second: int | None

    @property
    def size(self) -> int:
        """How many bytes it takes, roughly."""
        if self.resolved is not None:
            return len(self.resolved.answer.body)
        return _LOSER_BYTES * len(self.refusal[1]["rejected"]) if self.refusal else 0


class Resolver:
    """Chooses the image for a board.

    Parameters
    ----------
    services
        What the calls work with.
    base
        What the paths of the API's calls begin with.
    """

    def __init__(self, services: Services, *, base: str) -> None:
        self._index = services.index
        self._feed = services.image_feed
        self._guard = services.guard
        self._recorder = services.recorder
        self._clock = services.clock
        self._namespace = services.settings.default_namespace
        self._base = base
        self._candidates = CandidateCache()
        self._recalls = IndexedRecalls(services.index)
        self._kept: dict[tuple[bytes, bool], _Kept] = {}
        self._kept_bytes = 0
        self._version = -1
        self._hit, self._missed = RESOLUTIONS.labels("hit"), RESOLUTIONS.labels("miss")

    def scope(self, query: ResolveQuery) -> str | None:
        """Return the namespace that a query asks about; `None` for all of them."""
        return query.scope(self._namespace)

    def known(self, raw: bytes, authorization: str | None, *, gzip: bool) -> Answer | None:
        """Return the answer to a caller whose right is known; `None` for whoever has to be asked about first.

        Parameters
        ----------
        raw
            The query string as it came.
        authorization
            The header as it came.
        gzip
            Whether the client takes gzip.

        Raises
        ------
        Problem
            As `find` does, and 400 for a query that cannot be.
        """
        kept = self._still_true(raw, gzip=gzip)
        if kept is None or kept.resolved is None:
            query = read_query(ResolveQuery, raw)
            caller = self._guard.known(authorization, "list", self.scope(query))
            resolved = None if caller is None else self.find(raw, query, gzip=gzip)
        else:
            resolved = kept.resolved
            self._hit.inc()
            caller = self._guard.known(authorization, "list", resolved.namespace)
        if caller is None or resolved is None:
            return None
        self.record(caller, resolved)
        return resolved.answer

    def find(self, raw: bytes, query: ResolveQuery, *, gzip: bool) -> Resolved:
        """Return the answer to a query.

        Parameters
        ----------
        raw
            The query string as it came: what the answer is kept under.
        query
            The same, read.
        gzip
            Whether the client takes gzip.

        Raises
        ------
        Problem
            404 when nothing fits; 503 before the index is filled.
        """
        self._feed.require_filled()
        kept = self._still_true(raw, gzip=gzip)
        if kept is None:
            self._missed.inc()
            kept = self._resolve(query, gzip=gzip)
            self._keep((raw, gzip), kept)
        else:
            self._hit.inc()
        if kept.resolved is not None:
            return kept.resolved
        detail, details = kept.refusal or ("", {})
        raise Problem(HTTPStatus.NOT_FOUND, ProblemReason.NO_IMAGE_FITS, detail, details=details)

    def record(self, caller: Caller, resolved: Resolved) -> None:
        """Have the audit keep that a caller was given an image."""
        self._recorder.resolved(caller, resolved.given, target=resolved.target)

    def _keep(self, key: tuple[bytes, bool], kept: _Kept) -> None:
        # One that was true for a second stands there still.
        before = self._kept.pop(key, None)
        self._kept_bytes += kept.size - (before.size if before else 0)
        if len(self._kept) >= _MAX_KEPT or self._kept_bytes > _MAX_KEPT_BYTES:
            self._kept.clear()
            self._kept_bytes = kept.size
        self._kept[key] = kept

    def _still_true(self, raw: bytes, *, gzip: bool) -> _Kept | None:
        if self._version != self._index.version:
            self._kept.clear()
            self._kept_bytes = 0
            self._version = self._index.version
        kept = self._kept.get((raw, gzip))
        if kept is None or kept.second is None or kept.second == int(self._clock().timestamp()):
            return kept
        return None

    def _resolve(self, query: ResolveQuery, *, gzip: bool) -> _Kept:
        now = self._clock()
        second = None if query.max_age is None else int(now.timestamp())
        # Ages count from the whole second, so that the answer is the same all through it.
        now -= timedelta(microseconds=now.microsecond)
        wish = query.to_wish(self.scope(query), now)
        board = IndexedBoard(self._index, wish, self._candidates)
        found = resolve(wish, board, self._recalls, limit=query.limit)
        if found.chosen is None:
            boards = () if found.rejected or found.remaining else nearby_boards(self._index, wish)
            details = {"target": wish.target, "namespace": wish.namespace, **losers_of(found)}
            details |= {"knownTargets": list(boards)} if boards else {}
            return _Kept(None, (why_none(wish, found, boards), details), second)
        body = orjson.dumps(resolved_image(wish, found, found.chosen, self._base))
        etag = etag_of(blake2b(body, digest_size=12).hexdigest())
        answer = Answer.of(body, etag, gzip=gzip)
        given = _given(found.chosen)
        return _Kept(Resolved(namespace=wish.namespace, answer=answer, given=given, target=wish.target), None, second)


def _given(chosen: Chosen) -> GivenImage:
    candidate, platform = chosen.candidate, chosen.platform
    data = {"indexDigest": chosen.index_digest, "architecture": platform.architecture, "reference": chosen.reference}
    return GivenImage(
        namespace=candidate.namespace,
        name=candidate.name,
        digest=platform.digest,
        registry_url=candidate.registry_url,
        data={key: value for key, value in data.items() if value is not None},
    )
