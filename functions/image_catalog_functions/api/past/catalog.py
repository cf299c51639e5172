"""``GET /images?asOf=``: the catalog as it was."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from image_catalog.audit import AuditStore, State
from image_catalog.catalog.index import Index, Position, Selection
from image_catalog.catalog.index import Query as IndexQuery
from image_catalog.models import parse_time
from image_catalog_functions.api.http.answers import Answer
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.reading.moments import read_moment
from image_catalog_functions.api.reading.pages import listing_answer
from image_catalog_functions.api.reading.queries import ListQuery
from image_catalog_functions.api.reading.tokens import ContinueTokens

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["MAX_MATCHES", "PastLists"]

_CALL: Final = "images-as-of"

MAX_MATCHES: Final = 20_000
"""Entries of the past that match: an index of them is made for the question, of some 6 KB each."""

_KEPT: Final = 4
_KEPT_ENTRIES: Final = MAX_MATCHES
"""Indexes that are kept for the next page, and entries in all of them."""

_SETTLED: Final = timedelta(seconds=10)
"""After this a moment does not change any more: no transaction of the audit lasts longer."""


@dataclass(frozen=True, slots=True)
class _Past:
    """Entries of a moment that match a question."""

    index: Index
    note: str | None = None


class PastLists:
    """Answers list queries about a moment of the past.

    Parameters
    ----------
    services
        What the calls work with.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tokens = ContinueTokens(clock=services.clock)
        self._kept: OrderedDict[tuple[datetime, IndexQuery], _Past] = OrderedDict()
        # One at a time: each takes a core for as long as it takes, and the next page finds what the first has made.
        self._turn = asyncio.Lock()

    async def find(self, query: ListQuery, namespace: str | None) -> Callable[[bool], Answer]:
        """Return what prepares the answer to a query, told whether the client takes gzip.

        Parameters
        ----------
        query
            The query, with its moment.
        namespace
            Where to look; `None` for everywhere.

        Raises
        ------
        Problem
            400 for a moment to come, a continue token that is of no use, or too
            many entries; 410 for an old token; 501 without a database.
        AuditUnavailableError
            Raised when the database does not answer.
        """
        audit, now = self._services.require_audit(), self._services.clock()
        moment = read_moment(query.as_of or "", now=now)
        asked = query.to_index(namespace, None)
        same = [query.as_of, *asked[:-2]]
        if query.continue_ is not None:
            # The moment of the first page: an age would mean another one by now.
            at, *position = self._tokens.read(_CALL, same, query.continue_)
            moment = parse_time(at)
            asked = asked._replace(after=Position(*position))
        if moment > now:
            raise _not_possible("must not be in the future: nobody knows yet what the catalog will be like")
        past = await self._past(audit, moment, asked, is_settled=now - moment > _SETTLED)
        found, token, at = past.index.find(asked), "", moment.isoformat().replace("+00:00", "Z")
        if (end := found.next) is not None:
            token = self._tokens.write(_CALL, same, [at, end.value, end.namespace, end.name])
        more = {"resourceVersion": "", "asOf": at} | ({"note": past.note} if past.note else {})
        return lambda gzip: listing_answer(found, token, more, gzip=gzip)

    async def _past(self, audit: AuditStore, moment: datetime, asked: IndexQuery, *, is_settled: bool) -> _Past:
        # Sort, order and place say nothing of which entries match, and `latest` is the index's.
        key = (moment, asked._replace(latest=False, sort=IndexQuery().sort, descending=None, limit=0, after=None))
        async with self._turn:
            past = self._kept.get(key)
            if past is None:
                past = await self._read(audit, moment, asked)
                if is_settled:
                    self._keep(key, past)
            else:
                self._kept.move_to_end(key)
        return past

    async def _read(self, audit: AuditStore, moment: datetime, asked: IndexQuery) -> _Past:
        selection, matches = Selection(asked), 0

        def wanted(obj: Mapping[str, Any]) -> bool:
            nonlocal matches
            if not selection.admits(obj):
                return False
            matches += 1
            return matches <= MAX_MATCHES

        states = await audit.states_at(moment, namespace=asked.namespace, holding=selection.texts, wanted=wanted)
        if matches > MAX_MATCHES:
            raise _not_possible(
                f"cannot be answered for more than {MAX_MATCHES} entries: "
                "ask for one namespace, or for fewer with another filter"
            )
        note = None
        if not states and not await audit.newest_before(moment):
            note = "the history knows nothing of that time: it begins later"
        return _Past(await asyncio.to_thread(_index_of, states), note)

    def _keep(self, key: tuple[datetime, IndexQuery], past: _Past) -> None:
        self._kept[key] = past
        while len(self._kept) > 1 and (
            len(self._kept) > _KEPT or sum(len(each.index) for each in self._kept.values()) > _KEPT_ENTRIES
        ):
            self._kept.popitem(last=False)


def _index_of(states: list[State]) -> Index:
    index = Index()
    for state in states:
        index.put(state.object)
    return index


def _not_possible(why: str) -> Problem:
    allowed = "a time of RFC 3339 that has passed, or an age"
    return Problem(
        400,
        ProblemReason.INVALID_PARAMETER,
        f"parameter asOf {why}",
        details={"parameter": "asOf", "allowed": allowed},
    )
