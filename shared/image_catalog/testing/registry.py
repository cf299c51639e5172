"""A registry that behaves: it asks for credentials, keeps rules, counts, and misbehaves on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import httpx
import trustme
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image_catalog.local.registry import HeadWithoutBody, RegistryStore, Sample, create_registry_app
from image_catalog.local.serving import LoopbackServer
from image_catalog.testing.registry_auth import ANONYMOUS, AccessRule, AccessRules, Account, BasicAuth
from image_catalog.testing.registry_faults import Answer, Fault, Redirect
from image_catalog.testing.registry_log import Kind, RecordedRequest, RequestLog, Target, parse_target
from image_catalog.testing.registry_tokens import BearerAuth

__all__ = ["ANONYMOUS", "Account", "BasicAuth", "BearerAuth", "Failing", "FakeRegistry", "Which"]


class Which(TypedDict, total=False):
    """Which requests a fault spoils; see `Failing`."""

    method: str
    kind: Kind
    repository: str
    reference: str
    times: int


@dataclass(slots=True)
class Failing:
    """A fault and the requests that it spoils.

    Attributes
    ----------
    fault
        What goes wrong.
    method, kind, repository, reference
        Of the requests; `None` means any.
    times
        How many more requests it spoils; `None` means every one.
    hits
        How many it has spoiled.
    """

    fault: Fault
    method: str | None = None
    kind: Kind | None = None
    repository: str | None = None
    reference: str | None = None
    times: int | None = None
    hits: int = 0

    def takes(self, request: RecordedRequest) -> bool:
        """Tell whether a request is spoiled, and count it."""
        pairs = (
            (self.method, request.method),
            (self.kind, request.target.kind),
            (self.repository, request.target.repository),
            (self.reference, request.target.reference),
        )
        if self.times == 0 or any(wanted is not None and wanted != found for wanted, found in pairs):
            return False
        self.hits += 1
        if self.times is not None:
            self.times -= 1
        return True


class FakeRegistry:
    """The embedded registry behind authentication, rules, faults and a log.

    It is an ASGI application: give `transport` to a client that stays in the
    process, or `serve` it on loopback. In process it answers for every host:
    for its own, for `token_host` and `storage_host`, and for any other with 404,
    so that a test can prove that nobody went there.

    Parameters
    ----------
    root
        Folder for the content.
    auth
        `BasicAuth`, `BearerAuth`, or `None` for a registry that asks nobody.
    anonymous
        Whether public repositories can be pulled without an account.
    host
        The registry's ``host[:port]`` in process.
    token_host
        Where the token server is, when it is not the registry's own host. Goes
        into the challenge's realm.

    Attributes
    ----------
    store
        The content.
    rules
        Who may see what.
    requests
        Everything that was asked, in order.
    redirect_blobs
        Answer blobs with a redirect to `storage_host`, which refuses a request
        with a credential as object stores do.

    Examples
    --------
    >>> registry = FakeRegistry(tmp_path, auth=BearerAuth())
    >>> image = SampleImage()
    >>> registry.put(image, "team/os", "1.0")
    >>> registry.restrict("team", registry.account("builder"))
    >>> with registry.failing(server_error(), method="HEAD", times=1):
    ...     ...
    >>> assert registry.requests.count(kind="manifest", method="HEAD") == 1
    """

    def __init__(
        self,
        root: Path,
        *,
        auth: BasicAuth | BearerAuth | None = None,
        anonymous: bool = True,
        host: str = "registry.test",
        token_host: str | None = None,
    ) -> None:
        self.store = RegistryStore(root)
        self.auth = auth
        self.rules = AccessRules(anonymous=anonymous)
        self.requests = RequestLog()
        self.redirect_blobs = False
        self.scheme: Literal["http", "https"] = "http"
        self.host = host
        self.token_host = token_host
        self.storage_host = "storage.test"
        self._registry: ASGIApp = create_registry_app(self.store)
        self._failing: list[Failing] = []
        self._place_realm()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.host}"

    # Content and rules

    def put(self, sample: Sample, repository: str, tag: str | None = None) -> str:
        """Put a sample in, past authentication and log, and return the reference with its tag or digest."""
        digest = sample.put(self.store, repository, tag)
        return f"{self.host}/{repository}:{tag}" if tag is not None else f"{self.host}/{repository}@{digest}"

    def put_raw(self, content: bytes, repository: str, reference: str, *, media_type: str) -> str:
        """Serve any bytes as a manifest and return the reference.

        Parameters
        ----------
        content
            Needs to be no manifest.
        repository, reference
            Where they are; a digest need not be the content's.
        media_type
            For ``Content-Type``.
        """
        if ":" not in reference:
            self.store.put_manifest(repository, reference, content, media_type=media_type)
            return f"{self.host}/{repository}:{reference}"
        headers = {"Content-Type": media_type, "Docker-Content-Digest": reference}
        self.fail(Answer(200, content, headers), kind="manifest", repository=repository, reference=reference)
        return f"{self.host}/{repository}@{reference}"

    def account(self, user: str = "tester") -> Account:
        """Make an account with a new password.

        Raises
        ------
        RuntimeError
            When the registry asks nobody.
        """
        if self.auth is None:
            raise RuntimeError("this fake registry was made without authentication")
        return self.auth.accounts.add(user)

    def restrict(
        self, prefix: str, *accounts: Account, status: Literal[401, 403, 404] = 403, at_token: bool = False
    ) -> None:
        """Let only these accounts see a repository, or all below a prefix.

        Parameters
        ----------
        prefix
            Whole path components.
        accounts
            Who may; nobody when empty.
        status
            What others with a valid credential get.
        at_token
            Whether they get it at the token server already.
        """
        users = frozenset(account.user for account in accounts)
        self.rules.add(AccessRule(prefix=prefix, users=users, status=status, at_token=at_token))

    # Faults

    def fail(self, fault: Fault, **which: Unpack[Which]) -> Failing:
        """Spoil requests from now on; `recover` ends it.

        Parameters
        ----------
        fault
            What goes wrong; see `image_catalog.testing.registry_faults`.
        which
            The requests, as in `Failing`: ``method``, ``kind``,
            ``repository``, ``reference``, and ``times``; every one by default.
            Faults come before authentication.
        """
        failing = Failing(fault, **which)
        self._failing.append(failing)
        return failing

    def recover(self, *failing: Failing) -> None:
        """End these faults, all of them when none is named."""
        # By identity: two equal faults are still two.
        ended = {id(one) for one in failing}
        self._failing = [one for one in self._failing if failing and id(one) not in ended]

    @contextmanager
    def failing(self, fault: Fault, **which: Unpack[Which]) -> Iterator[Failing]:
        """Spoil requests within a block; takes what `fail` takes."""
        failing = self.fail(fault, **which)
        try:
            yield failing
        finally:
            self.recover(failing)

    # Ways in

    def transport(self) -> httpx.ASGITransport:
        """Return a transport for httpx that ends here, whatever the host."""
        return httpx.ASGITransport(self)

    def client(self) -> httpx.AsyncClient:
        """Return a client that talks to this registry in process."""
        return httpx.AsyncClient(transport=self.transport(), base_url=self.url)

    @asynccontextmanager
    async def serve(
        self,
        *,
        port: int = 0,
        certificate: trustme.CA | None = None,
        own_token_server: bool = False,
        own_storage: bool = False,
    ) -> AsyncIterator[LoopbackServer]:
        """Serve on loopback; `host` and `url` are the real ones meanwhile.

        Parameters
        ----------
        port
            0 takes a free one.
        certificate
            TLS with certificates of this authority.
        own_token_server
            Give the token server a port of its own.
        own_storage
            Give the storage that `redirect_blobs` leads to a port of its own.
        """
        kept = (self.scheme, self.host, self.token_host, self.storage_host)
        realm = self.auth.realm if isinstance(self.auth, BearerAuth) else None
        async with AsyncExitStack() as stack:

            async def listen(at: int = 0) -> LoopbackServer:
                return await stack.enter_async_context(LoopbackServer(self, port=at, certificate=certificate))

            server = await listen(port)
            self.scheme, self.host = ("https" if certificate is not None else "http"), server.host
            if own_token_server:
                self.token_host = (await listen()).host
            if own_storage:
                self.storage_host = (await listen()).host
            self._place_realm()
            try:
                yield server
            finally:
                self.scheme, self.host, self.token_host, self.storage_host = kept
                if isinstance(self.auth, BearerAuth):
                    self.auth.realm = realm

    def _place_realm(self) -> None:
        if isinstance(self.auth, BearerAuth) and self.token_host is not None:
            self.auth.realm = f"{self.scheme}://{self.token_host}{self.auth.token_path}"

    # One request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record a request, spoil it, or answer it."""
        request = Request(scope, receive)
        record = self._record(request)

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await self._answer(record, scope, receive, send)

        app: ASGIApp = HeadWithoutBody(answer)
        for failing in reversed([one for one in self._failing if one.takes(record)]):
            app = HeadWithoutBody(_spoiled(failing.fault, app))
        await app(scope, receive, recorded)

    def _record(self, request: Request) -> RecordedRequest:
        headers = dict(request.headers)
        if "authorization" in headers:
            headers["authorization"] = headers["authorization"].partition(" ")[0]
        host = headers.get("host", "")
        record = RecordedRequest(
            method=request.method,
            host=host,
            path=request.url.path,
            query=request.url.query,
            target=self._target(host, request.url.path),
            headers=headers,
        )
        self.requests.add(record)
        return record

    def _target(self, host: str, path: str) -> Target:
        token_path = self.auth.token_path if isinstance(self.auth, BearerAuth) else None
        if path == token_path and host in {self.host, self.token_host}:
            return Target(kind="token")
        if host == self.storage_host:
            named = parse_target(path)
            return Target(kind="storage", repository=named.repository, reference=named.reference)
        return parse_target(path) if host == self.host else Target(kind="other")

    async def _answer(self, record: RecordedRequest, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if record.target.kind == "other":
            await PlainTextResponse("no such host or path", 404)(scope, receive, send)
            return
        if record.target.kind == "storage":
            await self._store_answer(request, scope, receive, send)
            return
        if record.target.kind == "token" and isinstance(self.auth, BearerAuth):
            record.user, response = await self.auth.answer(request, self.rules)
            await response(scope, receive, send)
            return
        if self.auth is not None:
            record.user, refusal = self.auth.check(request, record.target, self.rules)
            if refusal is not None:
                await refusal.answer()(scope, receive, send)
                return
        app = self._registry
        if self.redirect_blobs and record.target.kind == "blob":
            app = _spoiled(Redirect(f"{self.scheme}://{self.storage_host}"), app)
        await app(scope, receive, send)

    async def _store_answer(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        if "authorization" in request.headers:
            refusal = PlainTextResponse("Only one auth mechanism allowed", 400)
            await refusal(scope, receive, send)
            return
        await self._registry(scope, receive, send)


def _spoiled(fault: Fault, app: ASGIApp) -> ASGIApp:
    async def spoiled(scope: Scope, receive: Receive, send: Send) -> None:
        await fault(app, scope, receive, send)

    return spoiled
