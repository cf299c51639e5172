"""Publish and verify with the real distribution server: open, behind passwords, behind a token server; over TLS."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from image_catalog.local.registry import SampleImage
from image_catalog.local.serving import LoopbackServer
from image_catalog.models import CatalogImage
from image_catalog.testing.distribution import DistributionServer, find_docker_registry, htpasswd
from image_catalog.testing.distribution_tokens import DistributionTokens
from image_catalog.testing.network import Network
from image_catalog.testing.pipeline import Pipeline, PipelineFunction
from image_catalog.testing.registry import Account, FakeRegistry
from image_catalog.testing.world import NAMESPACE, World
from image_catalog_functions.publish import main as publish
from image_catalog_functions.verify import main as verify

REPOSITORY = "acme/autosd"


@dataclass
class Private:
    """A real registry with an image, and functions that know its CA.

    Attributes
    ----------
    reader
        May pull.
    stranger
        Is known, and may not; `None` where the registry knows but one user.
    """

    world: World
    server: DistributionServer
    authority: trustme.CA
    sample: SampleImage
    reader: Account = field(default_factory=lambda: Account("reader"))
    stranger: Account | None = None
    tokens: DistributionTokens | None = None
    realm: str = ""

    def url(self, tag: str) -> str:
        return f"{self.server.host}/{REPOSITORY}:{tag}"

    def list_registry(self, **changes: Any) -> None:
        """Describe it as an administrator does."""
        bundle = self.authority.cert_pem.bytes().decode()
        spec: dict[str, Any] = {"tls": {"caBundle": bundle}, "allowPrivateNetworks": True, "tokenRealms": [self.realm]}
        if not self.realm:
            del spec["tokenRealms"]
        self.world.add_registry(**{"host": self.server.host, **spec, **changes})

    async def publish(self, account: Account | None) -> tuple[CatalogImage | None, dict[str, Any]]:
        """Let a build complete that pushed with an account; return its entry, and why it was rejected."""
        name = f"build-{account.user if account else 'anonymous'}"
        self._keep(account)
        spec = {"pushSecretRef": account.user} if account else {}
        image = await self.world.complete(name, url=self.url("built"), spec=spec)
        return image, next(iter(self.world.data("publish.rejected")), {})

    async def verify(self, account: Account | None) -> tuple[str, str, str]:
        """Make an entry by hand; return phase, and reason and message of its condition Available."""
        name = f"entry-{account.user if account else 'anonymous'}"
        self._keep(account)
        spec = {"authSecretRef": {"name": account.user}} if account else {}
        image = await self.world.add(name, self.url("added"), **spec)
        available = image.status.condition("Available")
        assert available
        return image.status.phase or "", available.reason, available.message

    def _keep(self, account: Account | None) -> None:
        if account is not None:
            self.world.add_secret(account.user, account)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill a folder as a registry that lets in everybody, from which each test's own takes it over."""
    binary = find_docker_registry()
    if binary is None:
        pytest.skip("docker-registry is not installed")
    folder = tmp_path_factory.mktemp("registry")

    async def fill() -> None:
        async with DistributionServer(binary=binary, folder=folder) as server:
            for tag in ("built", "added"):
                await SampleImage().push(server.url, REPOSITORY, tag)

    asyncio.run(fill())
    return folder


async def run(
    stack: AsyncExitStack, root: Path, content: Path, authority: trustme.CA, auth: dict[str, Any] | None
) -> Private:
    """Start a registry with that content, as it is to be, and the functions."""
    binary = find_docker_registry()
    assert binary
    sample = SampleImage()
    shutil.copytree(content, root / "registry")
    server = DistributionServer(binary=binary, folder=root / "registry", authority=authority, auth=auth)
    await stack.enter_async_context(server)
    functions = (PipelineFunction.of(publish), PipelineFunction.of(verify))
    pipeline = await stack.enter_async_context(Pipeline(functions))
    # The registry is outside, so that of this one only the name counts.
    world = World(pipeline, FakeRegistry(root / "none", host=server.host), Network())
    world.allow_secrets()
    private = Private(world, server, authority, sample)
    private.list_registry()
    return private


@pytest.fixture
async def with_passwords(stack: AsyncExitStack, tmp_path: Path, authority: trustme.CA, content: Path) -> Private:
    if shutil.which("htpasswd") is None:
        pytest.skip("htpasswd is not installed")
    reader = Account("reader")
    private = await run(stack, tmp_path, content, authority, htpasswd(reader.user, reader.password, tmp_path / "auth"))
    private.reader = reader
    return private


@pytest.fixture
async def with_tokens(stack: AsyncExitStack, tmp_path: Path, authority: trustme.CA, content: Path) -> Private:
    tokens = DistributionTokens()
    server = await stack.enter_async_context(LoopbackServer(tokens, certificate=authority))
    private = await run(stack, tmp_path, content, authority, tokens.configuration(server.url, tmp_path / "auth"))
    private.reader, private.stranger = tokens.accounts.add("reader"), tokens.accounts.add("stranger")
    tokens.readers[REPOSITORY] = {"reader"}
    private.tokens, private.realm = tokens, server.host
    private.list_registry()
    return private


@pytest.fixture
async def without(stack: AsyncExitStack, tmp_path: Path, authority: trustme.CA, content: Path) -> Private:
    return await run(stack, tmp_path, content, authority, None)


@pytest.fixture(params=["with_passwords", "with_tokens"])
def private(request: pytest.FixtureRequest) -> Private:
    found: Private = request.getfixturevalue(request.param)
    return found


class TestPrivate:
    async def test_the_right_secret_publishes_and_verifies(self, private: Private) -> None:
        image, _ = await private.publish(private.reader)
        assert image
        assert (image.status.phase, image.spec.digest) == ("Available", private.sample.digest)
        assert (await private.verify(private.reader))[0] == "Available"

    async def test_no_secret_is_refused(self, private: Private) -> None:
        image, rejected = await private.publish(None)
        assert image is None
        assert rejected["reason"] == "AuthenticationFailed"
        phase, reason, message = await private.verify(None)
        assert (phase, reason) == ("Failed", "AuthenticationFailed")
        assert "name a Secret in authSecretRef" in message

    async def test_a_wrong_password_is_refused_by_the_name_of_its_secret(self, private: Private) -> None:
        wrong = Account("reader")
        image, rejected = await private.publish(wrong)
        assert image is None
        assert rejected["reason"] == "AuthenticationFailed"
        phase, reason, message = await private.verify(wrong)
        assert (phase, reason) == ("Failed", "AuthenticationFailed")
        assert "Secret team-a/reader" in message
        assert wrong.password not in json.dumps(private.world.all("events") + private.world.all("catalogimages"))

    async def test_a_secret_of_another_host_is_not_sent(self, private: Private) -> None:
        private.world.registry.host = "registry.example.com"
        phase, reason, message = await private.verify(private.reader)
        assert (phase, reason) == ("Failed", "AuthenticationFailed")
        assert "has no entry for" in message

    async def test_without_the_ca_nothing_is_sent(self, private: Private) -> None:
        private.list_registry(tls=None)
        image, rejected = await private.publish(private.reader)
        assert image is None
        assert rejected["reason"] == "TLSVerificationFailed"
        assert (await private.verify(private.reader))[:2] == ("Failed", "TLSVerificationFailed")
        assert private.tokens is None or not private.tokens.asked


class TestTokens:
    async def test_a_user_without_the_right_is_refused(self, with_tokens: Private) -> None:
        assert (await with_tokens.verify(with_tokens.stranger))[:2] == ("Failed", "AuthenticationFailed")

    async def test_a_token_server_that_denies_is_believed(self, with_tokens: Private) -> None:
        assert with_tokens.tokens
        with_tokens.tokens.deny = True
        assert (await with_tokens.verify(with_tokens.stranger))[:2] == ("Failed", "AccessDenied")
        image, rejected = await with_tokens.publish(with_tokens.stranger)
        assert (image, rejected["reason"]) == (None, "AccessDenied")

    async def test_a_credential_goes_to_no_token_server_that_is_not_listed(self, with_tokens: Private) -> None:
        assert with_tokens.tokens
        with_tokens.list_registry(tokenRealms=[])
        bundle = with_tokens.authority.cert_pem.bytes().decode()
        tls = {"tls": {"caBundle": bundle}, "allowPrivateNetworks": True}
        with_tokens.world.add_registry("realm", host=with_tokens.realm, **tls)
        phase, reason, message = await with_tokens.verify(with_tokens.reader)
        assert (phase, reason) == ("Failed", "AuthenticationFailed")
        assert "tokenRealms" in message
        assert {user for _, user in with_tokens.tokens.asked} == {""}

    async def test_an_identity_token_is_exchanged_by_post(self, with_tokens: Private) -> None:
        assert with_tokens.tokens
        token = with_tokens.tokens.refresh_token("reader")
        content = json.dumps({"auths": {with_tokens.server.host: {"identitytoken": token}}}).encode()
        with_tokens.world.pipeline.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "identity", "namespace": NAMESPACE},
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": base64.b64encode(content).decode()},
            }
        )
        image = await with_tokens.world.add("identity", with_tokens.url("added"), authSecretRef={"name": "identity"})
        assert image.status.phase == "Available"
        assert with_tokens.tokens.asked == [("POST", "reader")]


async def test_an_open_registry_needs_no_secret_and_minds_none(without: Private) -> None:
    image, _ = await without.publish(None)
    assert image
    assert image.status.phase == "Available"
    assert (await without.verify(without.reader))[0] == "Available"
