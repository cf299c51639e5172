"""What stands before the framework: lists, details and boards, HEAD, figures, and the last stop for errors.

A catalog is asked the same few lists over and over. Their answers are kept as
they were sent, for as long as the index does not change, so that a repeated list
costs one look at the caller's right and one write to the connection. A list that
nobody asked for before, and an entry, are answered here too when there is nothing
to wait for and nothing to complain about; all else goes to the framework.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from image_catalog.errors import CatalogError
from image_catalog.metrics import exemplar
from image_catalog_functions.api.http.answers import Answer, accepts_gzip, matches, send_answer
from image_catalog_functions.api.http.asgi import STREAMED, ASGIApp, Header, Message, Receive, Scope, Send, header
from image_catalog_functions.api.http.metrics import CACHE, DURATION, REQUESTS
from image_catalog_functions.api.http.parameters import read_query
from image_catalog_functions.api.http.patterns import pattern_of
from image_catalog_functions.api.http.problems import Problem, problem_of, respond
from image_catalog_functions.api.http.traced import believe
from image_catalog_functions.api.reading.queries import NamespaceQuery

if TYPE_CHECKING:
    from image_catalog_functions.api.reading.details import Details
    from image_catalog_functions.api.reading.feed import Feed
    from image_catalog_functions.api.reading.lists import AccessFigure, Lists
    from image_catalog_functions.api.resolving.resolver import Resolver
    from image_catalog_functions.api.services import Access

__all__ = ["Front"]

logger = structlog.get_logger(__name__)

# A page of 500 entries is about 1.5 MB; more than this many bytes of answers are not kept.
_MAX_KEPT_BYTES: Final = 32 * 1024 * 1024
_MAX_KEPT: Final = 1024
_MAX_SEEN: Final = 4096

_OTHER: Final = "other"
"""Route of what matches none: a stranger must not be able to make a metric grow without end."""


@dataclass(slots=True)
class _Kept:
    """An answer, whom it is for, which figures it shows, and how many accesses were counted when it was last exact."""

    namespace: str | None
    answer: Answer
    figures: Sequence[AccessFigure]
    accessed: int


class Front:
    """The application as the server sees it.

    Parameters
    ----------
    app
        The framework's application.
    path
        Path of the list call.
    boards
        Path of the call that tells which image to flash.
    guarded
        What the paths begin with that only callers are told of who are known.
    proving
        What those among them begin with whose callers prove themselves in another way.
    lists
        Answers list queries.
    details
        Answers what one entry is.
    resolver
        Answers which image to flash.
    guard
        Says who may do what.
    feed
        Says how old the index is.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        path: str,
        boards: str,
        guarded: tuple[str, ...],
        proving: tuple[str, ...],
        lists: Lists,
        details: Details,
        resolver: Resolver,
        guard: Access,
        feed: Feed,
    ) -> None:
        self._app = app
        self._path = path
        self._boards = boards
        self._quick = (path, boards)
        self._guarded = guarded
        self._proving = proving
        self._below = f"{path}/"
        self._lists = lists
        self._details = details
        self._resolver = resolver
        self._guard = guard
        self._feed = feed
        self._kept: dict[tuple[bytes, bool], _Kept] = {}
        self._kept_bytes = 0
        self._seen: set[tuple[bytes, bool]] = set()
        self._moment = (-1, -1)
        self._listed = {status: REQUESTS.labels("GET", path, str(status)) for status in (200, 304)}
        self._shown = {status: REQUESTS.labels("GET", f"{path}/{{name}}", str(status)) for status in (200, 304)}
        self._resolved = {status: REQUESTS.labels("GET", boards, str(status)) for status in (200, 304)}
        self._hit, self._missed = CACHE.labels("hit"), CACHE.labels("miss")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the application's life."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        age = self._feed.age()
        extra: tuple[Header, ...] = () if age is None else ((b"age", b"%d" % age.total_seconds()),)
        if scope["method"] == "GET" and scope["path"].startswith(self._quick):
            authorization = accept = known = None
            for name, value in scope["headers"]:
                if name == b"authorization":
                    authorization = value.decode("latin-1")
                elif name == b"accept-encoding":
                    accept = value if accept is None else accept + b"," + value
                elif name == b"if-none-match":
                    known = value if known is None else known + b"," + value
            path, raw, gzip = scope["path"], scope["query_string"], accepts_gzip(accept)
            try:
                if path == self._path:
                    answer, counted = self._list(raw, authorization, gzip=gzip), self._listed
                elif path == self._boards:
                    answer, counted = self._resolver.known(raw, authorization, gzip=gzip), self._resolved
                else:
                    answer, counted = self._show(path, raw, authorization, gzip=gzip), self._shown
            except Exception:  # noqa: BLE001 - a problem or a fault: the long way meets it again, and tells of it
                answer = None
            if answer is not None:
                believe(scope)
                status = await send_answer(send, answer, known=matches(known, answer.etag), extra=extra)
                counted[status].inc()
                return
        await self._pass_on(scope, receive, send, extra)

    def _list(self, raw: bytes, authorization: str | None, *, gzip: bool) -> Answer | None:
        """Return the answer to a list query of a caller who is known; everybody else goes the long way."""
        moment, accessed = self._lists.moment(), self._lists.accessed
        if moment != self._moment:
            self._kept.clear()
            self._kept_bytes = 0
            self._moment = moment
        kept = self._kept.get((raw, gzip))
        if kept is not None and (kept.accessed == accessed or self._lists.is_exact(kept.figures)):
            kept.accessed = accessed
            if self._guard.known(authorization, "list", kept.namespace) is None:
                return None
            self._hit.inc()
            return kept.answer
        read = self._lists.read(raw)
        if read is None:
            return None
        asked, continue_ = read
        if self._guard.known(authorization, "list", asked.namespace) is None:
            return None
        answer, entries = self._lists.find(asked, continue_, gzip=gzip)
        self._missed.inc()
        if self._is_asked_again((raw, gzip)):
            figures = [(entry.namespace, entry.name, entry.accesses) for entry in entries]
            self._keep((raw, gzip), _Kept(asked.namespace, answer, figures, accessed))
        return answer

    def _show(self, path: str, raw: bytes, authorization: str | None, *, gzip: bool) -> Answer | None:
        """Return the answer that shows an entry to a caller who is known; everybody else goes the long way."""
        name = path.removeprefix(self._below)
        if "/" in name:
            return None
        namespace = self._details.scope(read_query(NamespaceQuery, raw))
        if self._guard.known(authorization, "get", namespace) is None:
            return None
        return self._details.show(namespace, name, gzip=gzip)

    def _is_asked_again(self, key: tuple[bytes, bool]) -> bool:
        # What is asked for once is not kept: memory that is filled and never read again costs more than the answer.
        if key in self._seen:
            return True
        if len(self._seen) >= _MAX_SEEN:
            self._seen.clear()
        self._seen.add(key)
        return False

    def _keep(self, key: tuple[bytes, bool], kept: _Kept) -> None:
        before = self._kept.pop(key, None)
        self._kept_bytes -= 0 if before is None else len(before.answer.body)
        if len(self._kept) >= _MAX_KEPT or self._kept_bytes + len(kept.answer.body) > _MAX_KEPT_BYTES:
            self._kept.clear()
            self._kept_bytes = 0
        self._kept[key] = kept
        self._kept_bytes += len(kept.answer.body)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, extra: tuple[Header, ...]) -> None:
        started = time.perf_counter()
        method = scope["method"]
        sending = _Sending(send, head=method == "HEAD", extra=extra)
        if method == "HEAD":
            scope["method"] = "GET"
            scope["catalog.head"] = True
        try:
            if method != "OPTIONS" and self._is_guarded(scope["path"]):
                # Before anything else is judged: a stranger learns nothing of parameters and bodies either.
                sent = header(scope["headers"], b"authorization")
                await self._guard.identify(None if sent is None else sent.decode("latin-1"))
                believe(scope)
            await self._app(scope, receive, sending)
        except (Problem, CatalogError) as e:  # the application answers its own
            await respond(problem_of(e), scope["path"])(scope, receive, sending)
        except Exception as e:  # the last stop: the server would break the connection off without a word
            logger.exception("request failed", method=method, path=scope["path"])
            if sending.status is None:
                await respond(problem_of(e), scope["path"])(scope, receive, sending)
        route = pattern_of(scope, self._guarded) or _OTHER
        known = method if method in _METHODS else _OTHER
        trace = exemplar()
        REQUESTS.labels(known, route, str(sending.status or 500)).inc(1, trace)
        if not scope.get(STREAMED):
            # How long somebody listened says nothing of how long they waited.
            DURATION.labels(known, route).observe(time.perf_counter() - started, trace)

    def _is_guarded(self, path: str) -> bool:
        return path.startswith(self._guarded) and not path.startswith(self._proving)


class _Sending:
    """Sends an answer on, without its body for HEAD, and remembers its status."""

    __slots__ = ("_extra", "_head", "_send", "status")

    def __init__(self, send: Send, *, head: bool, extra: tuple[Header, ...]) -> None:
        self._send = send
        self._head = head
        self._extra = extra
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._extra and self.status < 400:  # noqa: PLR2004 - a problem has no age
                message = {**message, "headers": [*message["headers"], *self._extra]}
        elif self._head:
            message = {**message, "body": b""}
        await self._send(message)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
