"""Secrets in every place that can hold one, and not a trace of them in anything that the functions write."""

from __future__ import annotations

import base64
import io
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import prometheus_client
import pytest
import structlog
import trustme
import yaml
from moto import mock_aws
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from image_catalog.catalog.check_target import CheckTarget
from image_catalog.config import Settings
from image_catalog.errors import ForbiddenError
from image_catalog.events import EventType, configure_logging
from image_catalog.local.registry import SampleImage
from image_catalog.local.serving import LoopbackServer
from image_catalog.models import AuthSecretRef
from image_catalog.models.names import ANNOTATION_REGISTRY_HOST
from image_catalog.registry import BotoDoor, EcrHost
from image_catalog.testing.collector import Collector
from image_catalog.testing.network import Network
from image_catalog.testing.pipeline import Pipeline, PipelineFunction
from image_catalog.testing.planted import Planted
from image_catalog.testing.registry import Account, BasicAuth, BearerAuth, FakeRegistry
from image_catalog.testing.registry_openshift import OpenShiftAuth
from image_catalog.testing.world import NAMESPACE, World
from image_catalog.tracing import start_tracing, stop_tracing

pytestmark = pytest.mark.story

OPENSHIFT = "image-registry.openshift-image-registry.svc:5000"
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
REPOSITORY = "acme/autosd"
OWN_TOKENS = Path(__file__).parents[2] / "knative/overlays/openshift/own-tokens.yaml"

Get = Callable[[World], AbstractAsyncContextManager[httpx.AsyncClient]]


@dataclass
class Scene:
    """A world on real connections, what is planted in it, and everything that it writes.

    Attributes
    ----------
    registry
        Wants tokens of a token server, and keeps blobs somewhere else.
    said
        Whatever is collected beside, by what it is.
    """

    world: World
    registry: FakeRegistry
    planted: Planted
    authority: trustme.CA
    stack: AsyncExitStack
    root: Path
    said: dict[str, str] = field(default_factory=dict)

    def account(self, name: str) -> Account:
        """Make an account whose password is planted."""
        account = self.registry.account("robot")
        return self.known(name, account)

    def known(self, name: str, account: Account) -> Account:
        self.planted.add(f"{name}, password", account.password)
        self.planted.add(f"{name}, header", base64.b64encode(f"{account.user}:{account.password}".encode()).decode())
        return account

    def secret(self, name: str, data: dict[str, str], *, namespace: str = NAMESPACE, host: str | None = None) -> None:
        self.world.pipeline.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "annotations": {ANNOTATION_REGISTRY_HOST: host} if host else {},
                },
                "type": "Opaque",
                "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
            }
        )

    def push(self, tag: str, registry: FakeRegistry | None = None, repository: str = REPOSITORY) -> str:
        """Put an image of its own in, so that nothing of it is known from before, and return its reference."""
        return (registry or self.registry).put(SampleImage(name=tag), repository, tag)

    async def check(self, name: str, url: str, **spec: Any) -> str:
        """Make an entry, ask for a check by hand, and return its phase."""
        await self.world.add(name, url, **spec)
        data = {"namespace": NAMESPACE, "name": name, "registryUrl": url, "reason": "manual", "deep": True}
        self.world.pipeline.request(EventType.VERIFICATION_REQUESTED, data)
        self.world.pipeline.request(EventType.VERIFICATION_REQUESTED, {"namespace": NAMESPACE, "reference": url})
        await self.world.pipeline.drain()
        await self._note_traceback(name, CheckTarget(registry_url=url, namespace=NAMESPACE, **_in_python(spec)))
        assert any(place.endswith(f" of {name}") for place in self.said)
        return self.world.image(name).status.phase or ""

    async def _note_traceback(self, name: str, target: CheckTarget) -> None:
        """Collect what would be logged if the check's error were nobody's business: all of it, with its causes."""
        for number, context in enumerate(self.world.pipeline._contexts):
            try:
                check = await context.checker.check(target)
            except ForbiddenError:
                continue  # a function that asks no registry
            self.said[f"traceback {number} of {name}"] = "".join(
                [*traceback.format_exception(check.error), repr(check)] if check.error else [repr(check)]
            )

    async def serve(self, folder: str, host: str, asking: BasicAuth | BearerAuth, **spec: Any) -> FakeRegistry:
        """Serve another registry for a host that only its CatalogRegistry knows the way to."""
        registry = FakeRegistry(self.root / folder, auth=asking, anonymous=False)
        server = await self.stack.enter_async_context(registry.serve(certificate=self.authority))
        tls = {"caBundle": self.authority.cert_pem.bytes().decode()}
        self.world.add_registry(folder, host=host, endpoint=server.url, tls=tls, allowPrivateNetworks=True, **spec)
        return registry

    def grant_own_tokens(self) -> None:
        """Let the functions ask for tokens of their own, as the overlay for OpenShift does."""
        for document in yaml.safe_load_all(OWN_TOKENS.read_text()):
            self.world.pipeline.apply(document)

    def written(self) -> dict[str, str]:
        """Return everything that can be read by somebody who may not read Secrets."""
        pipeline = self.world.pipeline
        kinds = ("events", "catalogimages", "catalogregistries", "leases", "configmaps", "imagebuilds")
        return {
            **self.said,
            **{f"objects: {kind}": json.dumps(self.world.all(kind), default=str) for kind in kinds},
            "events": "\n".join(f"{e.attributes} {e.data!r}" for e in [*pipeline.emitted, *pipeline.dead_letters]),
            "metrics": prometheus_client.generate_latest().decode(),
        }


class Presigned:
    """Sends whoever asks for a blob to a place whose address is a credential."""

    def __init__(self, scene: Scene, storage: str | None = None) -> None:
        self.storage = storage
        self.signature = scene.planted.secret("signature of a presigned URL", plain=True)
        self.cookie = scene.planted.secret("cookie of the registry", plain=True)
        self.registry = scene.registry

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        del app
        where = f"https://{self.storage or self.registry.storage_host}{scope['path']}"
        query = f"X-Amz-Credential=x&X-Amz-Signature={self.signature}"
        headers = {"Location": f"{where}?{query}", "Set-Cookie": f"sid={self.cookie}"}
        await Response(None, 307, headers=headers)(scope, receive, send)


class Echo:
    """Says no, and repeats what it was shown, as debugging proxies do."""

    def __init__(self, planted: Planted) -> None:
        self.planted = planted

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        shown = request.headers.get("authorization", "")
        scheme, _, text = shown.partition(" ")
        if not text:
            await app(scope, receive, send)
            return
        self.planted.made("credential that a registry repeats", text)
        decoded = base64.b64decode(text).decode() if scheme == "Basic" else text
        message = f"denied: Authorization: {shown} ({decoded})"
        body = {"errors": [{"code": "DENIED", "message": message}]}
        await JSONResponse(body, 403, headers={"X-Echo": shown})(scope, receive, send)


async def quoting_storage(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail as a storage does that quotes the request."""
    url = str(Request(scope, receive).url)
    await PlainTextResponse(f"GET {url} failed", 500)(scope, receive, send)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Write every log of this process, libraries' too, at its most talkative, to one place."""
    stream, kept, root = io.StringIO(), structlog.get_config(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    # The registries of these tests are in this process too, and may write what they like.
    handler.addFilter(lambda record: not record.name.startswith("uvicorn"))
    configure_logging(level="debug", stream=stream)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)
    structlog.configure(**kept)


@pytest.fixture
async def scene(
    tmp_path: Path, functions: tuple[PipelineFunction, ...], log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> AsyncIterator[Scene]:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    registry = FakeRegistry(tmp_path / "registry", auth=BearerAuth())
    settings = Settings(service_account="image-catalog/function", allow_private_networks=True)
    planted = Planted()
    async with AsyncExitStack() as stack:
        collector = stack.enter_context(Collector())
        start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, service="pipeline")
        stack.push_async_callback(stop_tracing)
        serving = registry.serve(certificate=authority, own_token_server=True, own_storage=True)
        await stack.enter_async_context(serving)
        environment = {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
        pipeline = Pipeline(functions, settings=settings, environment=environment)
        world = World(await stack.enter_async_context(pipeline), registry, Network())
        tls = {"caBundle": authority.cert_pem.bytes().decode()}
        world.add_registry(tls=tls, tokenRealms=[registry.token_host])
        for number, host in enumerate((registry.token_host, registry.storage_host)):
            world.add_registry(f"beside-{number}", host=host, tls=tls)
        world.allow_secrets()
        scene = Scene(world, registry, planted, authority, stack, tmp_path)
        planted.add("administrator's token", pipeline.cluster.server.admin_token)
        yield scene
        out, err = capfd.readouterr()
        await stop_tracing()
        assert collector.spans
        written = {**scene.written(), "the log": log.getvalue(), "standard output": out, "standard error": err}
        written["the traces"] = collector.text
        assert not [span for span in collector.spans if "?" in span.attributes.get("url.full", "")]
        assert "event handled" in written["the log"]
        assert len(planted) > 1
        assert planted.found_in(written) == []


def _in_python(spec: dict[str, Any]) -> dict[str, Any]:
    return {"auth_secret_ref": AuthSecretRef(**spec["authSecretRef"])} if "authSecretRef" in spec else {}


def config(host: str, **entry: str) -> str:
    return json.dumps({"auths": {host: entry}})


async def test_secrets_of_every_type_stay_in_their_secrets(scene: Scene) -> None:
    registry, host = scene.registry, scene.registry.host
    registry.fail(Presigned(scene), kind="blob")
    wrong = scene.planted.secret("a wrong password")
    bearer = registry.auth
    assert isinstance(bearer, BearerAuth)
    robot = scene.account("account")
    registry.restrict("acme", robot)
    registry_token = scene.planted.secret("registry token of the Secret")
    auth = base64.b64encode(f"{robot.user}:{robot.password}".encode()).decode()
    refresh = scene.planted.add("identity token", bearer.refresh_token(robot.user))
    secrets: dict[str, tuple[dict[str, str], str | None, str]] = {
        "dockerconfigjson": ({".dockerconfigjson": config(host, auth=auth)}, None, "Available"),
        "dockercfg": ({".dockercfg": json.dumps({host: {"auth": auth}})}, None, "Available"),
        "basic-auth": ({"username": robot.user, "password": robot.password}, host, "Available"),
        "token": ({"username": robot.user, "token": robot.password}, host, "Available"),
        "identity": ({".dockerconfigjson": config(host, identitytoken=refresh)}, None, "Available"),
        "registry-token": ({".dockerconfigjson": config(host, registrytoken=registry_token)}, None, "Failed"),
        "wrong": ({".dockerconfigjson": config(host, username="robot", password=wrong)}, None, "Failed"),
        "no-host": ({"password": wrong}, None, "Failed"),
        "no-text": ({".dockerconfigjson": f'{{"auths": "{wrong}"'}, None, "Failed"),
        "no-base64": ({".dockerconfigjson": config(host, auth=wrong)}, None, "Failed"),
    }
    for name, (data, annotation, phase) in secrets.items():
        scene.secret(name, data, host=annotation)
        assert await scene.check(name, scene.push(name), authSecretRef={"name": name}) == phase, name
    for number, token in enumerate(bearer._tokens):
        scene.planted.add(f"registry token {number}", token)
    assert len(bearer._tokens) >= 5


async def test_what_a_registry_repeats_is_not_repeated(scene: Scene) -> None:
    echo = Echo(scene.planted)
    robot = scene.account("account")
    scene.secret("pull", {".dockerconfigjson": config(scene.registry.host, username="robot", password=robot.password)})
    scene.registry.restrict("acme", robot)
    scene.registry.fail(echo, kind="manifest")
    assert await scene.check("bearer", scene.push("bearer"), authSecretRef={"name": "pull"}) == "Failed"
    scene.registry.fail(echo, kind="token")
    scene.world.pipeline.restart("verify")
    assert await scene.check("token", scene.push("token"), authSecretRef={"name": "pull"}) == "Failed"
    basic = BasicAuth()
    known = scene.known("account of Basic", basic.accounts.add("robot"))
    other = await scene.serve("basic", "basic.example.com", basic)
    other.fail(echo, kind="manifest")
    scene.push("1", other)
    scene.secret("basic", {"username": "robot", "password": known.password}, host="basic.example.com")
    url = f"basic.example.com/{REPOSITORY}:1"
    assert await scene.check("basic", url, authSecretRef={"name": "basic"}) == "Failed"
    assert "DENIED" in json.dumps(scene.world.raw("catalogimages", "basic"))


@pytest.mark.parametrize("running", [True, False], ids=["fails", "is-not-there"])
async def test_an_address_that_is_a_credential_is_not_repeated_when_it_fails(scene: Scene, *, running: bool) -> None:
    async with LoopbackServer(quoting_storage, certificate=scene.authority) as storage:
        host = storage.host
        scene.world.add_registry("storage", host=host, tls={"caBundle": scene.authority.cert_pem.bytes().decode()})
        scene.registry.fail(Presigned(scene, host), kind="blob")
        if running:
            assert await scene.check("fails", scene.push("1")) != "Available"
    if not running:
        assert await scene.check("fails", scene.push("1")) != "Available"
    told = json.dumps(scene.world.raw("catalogimages", "fails"))
    assert ("X-Amz-Signature=[redacted]" in told) is running


async def test_credentials_that_no_entry_names_stay_where_they_are(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = scene.account("account of the auth file")
    (scene.root / "auth.json").write_text(config(scene.registry.host, username="robot", password=robot.password))
    scene.registry.restrict("acme", robot)
    assert await scene.check("auth-file", scene.push("auth-file")) == "Available"

    own = BasicAuth()
    listed = scene.known("account of the CatalogRegistry", own.accounts.add("robot"))
    scene.world.allow_secrets(namespace="team-b")
    scene.secret("listed", {"username": "robot", "password": listed.password}, namespace="team-b", host="a.example.com")
    reference = {"name": "listed", "namespace": "team-b"}
    other = await scene.serve("own", "a.example.com", own, auth={"type": "secretRef", "secretRef": reference})
    scene.push("1", other)
    assert await scene.check("listed", f"a.example.com/{REPOSITORY}:1") == "Available"

    cluster = OpenShiftAuth(scene.world.pipeline.cluster.server)
    internal = await scene.serve("internal", OPENSHIFT, cluster, type="openshift-internal")
    internal.put(SampleImage(), f"{NAMESPACE}/autosd", "1")
    # The function lacks the right first, and has it then.
    assert await scene.check("internal", f"{OPENSHIFT}/{NAMESPACE}/autosd:1") == "Failed"
    scene.grant_own_tokens()
    assert await scene.check("internal", f"{OPENSHIFT}/{NAMESPACE}/autosd:1") == "Available"
    for token in cluster.shown:
        scene.planted.made("ServiceAccount token", token)
    assert cluster.shown

    with mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.setenv(name, scene.planted.secret(name, plain=True))
        issued = BotoDoor().authorization_token(EcrHost("123456789012", "eu-central-1"))
        token = scene.planted.add("ECR's token", base64.b64decode(issued.token).decode().partition(":")[2])
        aws = BasicAuth()
        aws.accounts._by_user["AWS"] = Account("AWS", token)
        scene.push("1", await scene.serve("aws", ECR, aws))
        assert await scene.check("ecr", f"{ECR}/{REPOSITORY}:1") == "Available"


async def test_what_people_type_where_no_secret_belongs_is_not_repeated(scene: Scene, open_api: Get) -> None:
    password = scene.planted.secret("password in a URL", plain=True)
    host = scene.registry.host
    world = scene.world
    urls = [f"robot:{password}@{host}/{REPOSITORY}:1", f"https://robot:{password}@{host}/{REPOSITORY}:1"]
    answers = []
    for number, url in enumerate(urls):
        await world.request(registryUrl=url)
        await world.complete(f"build-{number}", url=url)
        world.pipeline.request(EventType.VERIFICATION_REQUESTED, {"namespace": NAMESPACE, "reference": url})
        await world.pipeline.drain()
        # What a person wrote into a build is the person's to show.
        world.pipeline.cluster.server.store.remove(
            ("automotive.sdv.cloud.redhat.com", "imagebuilds"), (NAMESPACE, f"build-{number}")
        )
    base = "/api/v1alpha1/catalog"
    stolen = scene.planted.secret("a caller's wrong token")
    async with open_api(world) as api:
        for token in (stolen, world.pipeline.cluster.server.admin_token):
            api.headers["Authorization"] = f"Bearer {token}"
            for url in urls:
                spec = {"registryUrl": url}
                for method, path, body in (
                    ("POST", f"{base}/images", {"name": "added", "namespace": NAMESPACE, "spec": spec}),
                    ("POST", f"{base}/publish", {"registryUrl": url, "namespace": NAMESPACE}),
                    ("POST", f"{base}/verify", {"reference": url, "namespace": NAMESPACE}),
                    ("GET", f"{base}/images?q={password}", None),
                    ("GET", f"{base}/images/absent?namespace={NAMESPACE}", None),
                ):
                    answer = await api.request(method, path, json=body)
                    answers.append(f"{method} {path.partition('?')[0]}: {answer.status_code} {answer.text}")
    scene.said["answers of the API"] = "\n".join(answers)
    assert len(answers) == 20
