"""Who is calling, and what they may do: asked of the API server."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._kinds import SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW, ResourceKind
from image_catalog.errors import InvalidObjectError

__all__ = ["AUDIENCE", "AccessReviewer", "Caller", "TokenReviewer"]

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
    extra
        What else an authenticator says. An authorizer may go by it: OpenShift
        keeps there what a token is limited to.
    """

    username: str
    uid: str = ""
    groups: tuple[str, ...] = field(default_factory=tuple)
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default_factory=tuple)


class TokenReviewer:
    """Tells who a bearer token belongs to (``authentication.k8s.io/v1`` TokenReview).

    Parameters
    ----------
    api
        Speaks to the API server.
    clock
        Tells the time.
    audience
        Who tokens must be made for; `None` is the API server itself, whom
        people's own tokens are for.
    max_known
        How many answers are remembered.
    """

    def __init__(
        self,
        *,
        api: KubernetesAPI,
        clock: Callable[[], datetime],
        audience: str | None = AUDIENCE,
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
        # The memory holds no token, so that no dump of it does.
        key = hashlib.sha256(text.encode()).hexdigest()
        found, caller = self._known.get(key)
        if not found:
            caller = await self.ask(token)
            self._known.put(key, caller, REFUSED_FOR if caller is None else KNOWN_FOR)
        return caller

    async def ask(self, token: SecretStr) -> Caller | None:
        """Return the token's owner as the API server says now, without remembering it.

        The errors are those of `review`.
        """
        text = token.get_secret_value()
        if not text or len(text) > MAX_TOKEN_LENGTH:
            return None
        spec: dict[str, Any] = {"token": text}
        if self._audience is not None:
            spec["audiences"] = [self._audience]
        try:
            answer = await self._api.create(TOKEN_REVIEW, {"spec": spec})
        except InvalidObjectError:
            return None  # The API server cannot even read it as a token.
        status = answer.get("status") or {}
        if not status.get("authenticated"):
            return None
        # An authenticator that knows nothing of audiences answers without them, and has checked none.
        if self._audience is not None and self._audience not in (status.get("audiences") or ()):
            return None
        return _read_caller(status.get("user") or {})


class AccessReviewer:
    """Tells what a caller may do (``authorization.k8s.io/v1`` SubjectAccessReview).

    It remembers nothing: who asks often knows best for how long an answer is good.

    Parameters
    ----------
    api
        Speaks to the API server.
    """

    def __init__(self, *, api: KubernetesAPI) -> None:
        self._api = api

    async def allows(self, caller: Caller, verb: str, kind: ResourceKind, *, namespace: str | None = None) -> bool:
        """Return whether the API server would let a caller do something.

        Parameters
        ----------
        caller
            Who asks.
        verb
            The RBAC verb.
        kind
            The kind of object.
        namespace
            One namespace; `None` means all of them, or a cluster-scoped kind.

        Raises
        ------
        ForbiddenError
            When this process may not review access.
        ClusterUnavailableError
            When the API server does not answer.
        """
        attributes = {"verb": verb, "group": kind.group, "version": kind.version, "resource": kind.plural}
        if namespace is not None:
            attributes["namespace"] = namespace
        spec: dict[str, Any] = {
            "user": caller.username,
            "groups": list(caller.groups),
            "resourceAttributes": attributes,
        }
        if caller.uid:
            spec["uid"] = caller.uid
        if caller.extra:
            spec["extra"] = {key: list(values) for key, values in caller.extra}
        try:
            answer = await self._api.create(SUBJECT_ACCESS_REVIEW, {"spec": spec})
        except InvalidObjectError:
            return False  # What cannot be asked about is not granted.
        return (answer.get("status") or {}).get("allowed") is True


def _read_caller(user: dict[str, Any]) -> Caller | None:
    if not user.get("username"):
        return None
    extra = {str(key): tuple(map(str, values or ())) for key, values in (user.get("extra") or {}).items()}
    return Caller(
        username=user["username"],
        uid=user.get("uid") or "",
        groups=tuple(user.get("groups") or ()),
        extra=tuple(sorted(extra.items())),
    )


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
