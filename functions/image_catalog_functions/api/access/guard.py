"""Lets callers in: their token is reviewed, then what they ask for, and both are believed for seconds."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from prometheus_client import Counter
from pydantic import SecretStr

from image_catalog.cluster import (
    CATALOG_IMAGE,
    IMAGE_BUILD,
    AccessReviewer,
    Caller,
    ResourceKind,
    TokenReviewer,
)
from image_catalog.errors import CatalogError, ClusterUnavailableError
from image_catalog_functions.api.access.memory import Memory, SingleFlight
from image_catalog_functions.api.access.refusals import forbidden, unauthenticated

__all__ = ["Guard"]

_log = structlog.get_logger(__name__)

ALLOWED_FOR: Final = timedelta(seconds=10)
DENIED_FOR: Final = timedelta(seconds=3)

MAX_DECISIONS: Final = 16_384
"""About 5 MB. A thousand callers with a handful of questions each fit; the oldest of more are asked anew."""

MAX_QUESTIONS: Final = 32
"""Reviews under way at once: strangers with made-up tokens must not keep the API server busy."""

MAX_WAITING: Final = 1024
"""Callers that wait for a review; more are told to come back, before they fill the memory."""

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)
"""See https://www.rfc-editor.org/rfc/rfc6750#section-2.1."""

_KINDS: Final = {kind.plural: kind for kind in (CATALOG_IMAGE, IMAGE_BUILD)}

DECISIONS = Counter(
    "image_catalog_api_access_decisions",
    "What callers were told of whom the guard had to ask the API server.",
    ["decision"],
)

AnswerT = TypeVar("AnswerT")
_Question = tuple[bytes, str, str | None, str]


class Guard:
    """Asks the API server who a caller is and what it may do.

    Parameters
    ----------
    tokens
        Tells who a token belongs to; for people's own tokens, so without an audience.
    access
        Tells what somebody may do.
    allowed_for
        How long a yes is good. A token that was withdrawn, or a role that was
        taken away, ends by then.
    denied_for
        How long a no is good.
    clock
        Seconds of a clock that never goes back.
    max_decisions
        How many answers are kept.
    """

    def __init__(
        self,
        *,
        tokens: TokenReviewer,
        access: AccessReviewer,
        allowed_for: timedelta = ALLOWED_FOR,
        denied_for: timedelta = DENIED_FOR,
        clock: Callable[[], float] = time.monotonic,
        max_decisions: int = MAX_DECISIONS,
    ) -> None:
        self._tokens = tokens
        self._access = access
        self._allowed_for = allowed_for.total_seconds()
        self._denied_for = denied_for.total_seconds()
        self._granted: Memory[_Question, Caller] = Memory(clock, max_decisions)
        self._denied: Memory[_Question, Caller] = Memory(clock, max_decisions)
        self._callers: Memory[bytes, Caller] = Memory(clock, max_decisions)
        self._strangers: Memory[bytes, bool] = Memory(clock, max_decisions)
        self._reviews: SingleFlight[bytes, Caller | None] = SingleFlight()
        self._questions: SingleFlight[tuple[Caller, str, str | None, str], bool] = SingleFlight()
        self._slots = asyncio.Semaphore(MAX_QUESTIONS)
        self._waiting = 0

    def known(
        self, authorization: str | None, verb: str, namespace: str | None, resource: str = "catalogimages"
    ) -> Caller | None:
        """Return the caller if it was allowed this a moment ago, without asking anybody.

        Parameters
        ----------
        authorization
            The header field as it came.
        verb, namespace, resource
            As `require` takes them.

        Returns
        -------
        Caller or None
            `None` says nothing but that `require` has to be asked.
        """
        if authorization is None:
            return None
        return self._granted.get((_key(authorization), verb, namespace, resource))

    async def identify(self, authorization: str | None) -> Caller:
        """Return who a caller is, whatever it may do.

        Parameters
        ----------
        authorization
            The header field as it came.

        Raises
        ------
        Problem
            401 for a caller that nobody knows.
        ClusterUnavailableError
            Raised when the API server cannot be asked, or too many wait for it.
        ForbiddenError
            Raised when this process may not ask.
        """
        if authorization is None:
            raise unauthenticated(sent=False)
        return await self._identify(_key(authorization), authorization)

    async def require(
        self, authorization: str | None, verb: str, namespace: str | None, resource: str = "catalogimages"
    ) -> Caller:
        """Return the caller if it may do this.

        Parameters
        ----------
        authorization
            The header field as it came.
        verb
            The RBAC verb.
        namespace
            The namespace; `None` means all of them.
        resource
            ``catalogimages`` or ``imagebuilds``.

        Raises
        ------
        Problem
            401 for a caller that nobody knows, 403 for one that may not.
        ClusterUnavailableError
            Raised when the API server cannot be asked, or too many wait for it.
        ForbiddenError
            Raised when this process may not ask.
        """
        if authorization is None:
            raise unauthenticated(sent=False)
        kind = _KINDS[resource]
        question = (_key(authorization), verb, namespace, resource)
        caller = self._granted.get(question)
        if caller is not None:
            return caller
        refused = self._denied.get(question)
        if refused is not None:
            raise forbidden(refused, verb, kind, namespace)
        caller = await self._identify(question[0], authorization)
        if not await self._may(caller, verb, kind, namespace):
            self._denied.put(question, caller, self._denied_for)
            DECISIONS.labels("denied").inc()
            raise forbidden(caller, verb, kind, namespace)
        # A yes ends with what is known of its token, so that the two do not add up.
        self._granted.put(question, caller, self._allowed_for, until=self._callers.expiry(question[0]))
        DECISIONS.labels("allowed").inc()
        return caller

    async def _identify(self, key: bytes, authorization: str) -> Caller:
        caller = self._callers.get(key)
        if caller is not None:
            return caller
        match = _BEARER.fullmatch(authorization)
        if match is None:
            raise unauthenticated(sent=authorization[:6].lower() == "bearer")
        if not self._strangers.get(key):
            token = SecretStr(match[1])
            caller = await self._reviews.run(key, lambda: self._ask(lambda: self._tokens.ask(token)))
            if caller is not None:
                self._callers.put(key, caller, self._allowed_for)
                return caller
            self._strangers.put(key, True, self._denied_for)
        DECISIONS.labels("unknown").inc()
        raise unauthenticated(sent=True)

    async def _may(self, caller: Caller, verb: str, kind: ResourceKind, namespace: str | None) -> bool:
        async def review() -> bool:
            return await self._access.allows(caller, verb, kind, namespace=namespace)

        return await self._questions.run((caller, verb, namespace, kind.plural), lambda: self._ask(review))

    async def _ask(self, question: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """Ask the API server, with no more questions under way than it should be kept busy with."""
        if self._waiting >= MAX_WAITING:
            raise ClusterUnavailableError("too many callers wait to be let in; come back in a moment")
        self._waiting += 1
        try:
            async with self._slots:
                return await question()
        except CatalogError as e:
            _log.warning("access not reviewed", reason=e.reason, message=e.message)
            raise
        finally:
            self._waiting -= 1


def _key(authorization: str) -> bytes:
    """Return what a token is remembered by, so that no dump of the memory holds one.

    SHA-256 costs 1.3 µs for a token of 1,200 characters (keyed BLAKE2b 2.0,
    ``hash()`` 0.4), of some 100 µs that a request costs: 64 bits are not worth
    the rest where a collision would be somebody else's rights.
    """
    return hashlib.sha256(authorization.encode("utf-8", "surrogatepass")).digest()
