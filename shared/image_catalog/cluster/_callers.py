"""Who is calling: asked of the API server, remembered for a short while."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import SecretStr

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._kinds import TOKEN_REVIEW
from image_catalog.errors import InvalidObjectError

__all__ = ["AUDIENCE", "Caller", "TokenReviewer"]

AUDIENCE: Final = "image-catalog"
"""The audience that a token must be made for: one stolen from another service is worth nothing here."""

# Long enough that a client's burst costs one review, short enough that a withdrawn token ends soon.
KNOWN_FOR: Final = timedelta(seconds=30)
REFUSED_FOR: Final = timedelta(seconds=5)
MAX_KNOWN: Final = 4096
# The API server refuses longer header fields as a whole.
MAX_TOKEN_LENGTH: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whom the API server knows.

    Attributes
    ----------
    username
        ``system:serviceaccount:namespace:name`` for a ServiceAccount.
    uid
        Tells two users of one name apart; may be empty.
    groups
        The groups that RBAC rules may name.
    """

    username: str
    uid: str = ""
    groups: tuple[str, ...] = field(default_factory=tuple)


class TokenReviewer:
    """Tells who a bearer token belongs to (``authentication.k8s.io/v1`` TokenReview).

    Parameters
    ----------
    api
        Speaks to the API server.
    clock
        Tells the time.
    audience
        Who tokens must be made for.
    max_known
        How many answers are remembered.
    """

    def __init__(
        self,
        *,
        api: KubernetesAPI,
        clock: Callable[[], datetime],
        audience: str = AUDIENCE,
        max_known: int = MAX_KNOWN,
    ) -> None:
        self._api = api
        self._audience = audience
        self._known = _Memory(clock, max_known)

    async def review(self, token: SecretStr) -> Caller | None:
        """Return the token's owner; `None` for a token that is not valid here.

        Raises
        ------
        ForbiddenError
            When this process may not review tokens.
        ClusterUnavailableError
            When the API server does not answer.
        """
        text = token.get_secret_value()
        if not text or len(text) > MAX_TOKEN_LENGTH:
            return None
        # The memory holds no token, so that no dump of it does.
        key = hashlib.sha256(text.encode()).hexdigest()
        found, caller = self._known.get(key)
        if not found:
            caller = await self._ask(text)
            self._known.put(key, caller, REFUSED_FOR if caller is None else KNOWN_FOR)
        return caller

    async def _ask(self, token: str) -> Caller | None:
        body = {"spec": {"token": token, "audiences": [self._audience]}}
        try:
            answer = await self._api.create(TOKEN_REVIEW, body)
        except InvalidObjectError:
            return None  # The API server cannot even read it as a token.
        status = answer.get("status") or {}
        # An authenticator that knows nothing of audiences answers without them, and has checked none.
        if not status.get("authenticated") or self._audience not in (status.get("audiences") or ()):
            return None
        user = status.get("user") or {}
        if not user.get("username"):
            return None
        return Caller(user["username"], user.get("uid") or "", tuple(user.get("groups") or ()))


class _Memory:
    """Remembers answers for a while, the least used forgotten first."""

    def __init__(self, clock: Callable[[], datetime], limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._entries: OrderedDict[str, tuple[datetime, Caller | None]] = OrderedDict()

    def get(self, key: str) -> tuple[bool, Caller | None]:
        entry = self._entries.get(key)
        if entry is None or entry[0] <= self._clock():
            return False, None
        self._entries.move_to_end(key)
        return True, entry[1]

    def put(self, key: str, caller: Caller | None, lifetime: timedelta) -> None:
        self._entries[key] = (self._clock() + lifetime, caller)
        self._entries.move_to_end(key)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)
