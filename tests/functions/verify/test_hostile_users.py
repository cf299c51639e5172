"""What a user of the cluster may try who means no good, and what comes of it: the table of ``docs/security.md``.

Each attack goes through the real handlers. The rules are those of the page.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from starlette.responses import PlainTextResponse

from image_catalog.config import Settings
from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage
from image_catalog.local.serving import LoopbackServer
from image_catalog.models.names import GROUP
from image_catalog.registry import connect
from image_catalog.testing.misbehaviours import MISBEHAVIOURS
from image_catalog.testing.network import Network
from image_catalog.testing.pipeline import Pipeline, PipelineFunction
from image_catalog.testing.registry import Account, BearerAuth, FakeRegistry
from image_catalog.testing.registry_content import foreign_layer
from image_catalog.testing.registry_faults import Answer, Redirect
from image_catalog.testing.world import NAMESPACE, World, running_world

pytestmark = pytest.mark.story

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text()
OWN_TOKENS = ROOT / "knative/overlays/openshift/own-tokens.yaml"
"""What lets a function have tokens of its own at all."""

URL = "quay.io/acme/autosd:cs9"
EVIL = "https://evil.test"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Scene:
    """A private image at quay.io, a Secret that opens it, and a host of the attacker's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reader: Account = world.registry.account("reader")
        world.push()
        world.registry.restrict("acme", self.reader)
        world.allow_secrets()
        world.allow_secrets(namespace="team-b")
        world.add_secret("pull", self.reader)
        world.add_secret("pull", self.reader, namespace="team-b")
        world.network.serve(EVIL, self.listen)

    def listen(self, request: httpx.Request) -> httpx.Response:
        """Answer as the attacker's registry: it asks for a password, and takes any."""
        if "authorization" in request.headers:
            return httpx.Response(200, content=SampleImage().manifest, headers={"Content-Type": OCI_MANIFEST})
        return httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="mine"'})

    async def add(self, url: str = URL, named: str | None = "pull", namespace: str | None = None) -> tuple[str, str]:
        """Make an entry and return phase and reason."""
        ref = {"name": named} | ({"namespace": namespace} if namespace else {})
        image = await self.world.add(url=url, authSecretRef=ref) if named else await self.world.add(url=url)
        return str(image.status.phase), self.world.says()["Available"][1]

    def put_secret(self, kind: str, data: dict[str, str], **annotations: str) -> None:
        """Put a Secret of the attacker's making beside the entry."""
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        metadata = {"name": "made", "namespace": NAMESPACE, "annotations": annotations}
        self.world.pipeline.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": encoded}
        )

    def challenge(self, realm: str) -> None:
        """Let quay.io send everybody to a realm."""
        header = {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'}
        self.world.registry.fail(Answer(401, b"", header))

    def config(self, *keys: str) -> dict[str, str]:
        auth = base64.b64encode(f"{self.reader.user}:{self.reader.password}".encode()).decode()
        return {".dockerconfigjson": json.dumps({"auths": {key: {"auth": auth} for key in keys}})}


async def another_host_for_a_secret(scene: Scene) -> tuple[str, str]:
    return await scene.add(f"{EVIL.removeprefix('https://')}/acme/autosd")


async def a_host_that_begins_like_the_secrets(scene: Scene) -> tuple[str, str]:
    scene.world.network.serve("https://quay.io.evil.test", scene.listen)
    return await scene.add("quay.io.evil.test/acme/autosd")


async def another_path_for_a_secret(scene: Scene) -> tuple[str, str]:
    scene.put_secret("kubernetes.io/dockerconfigjson", scene.config("quay.io/acme-of-others", "quay.io/acme/other"))
    return await scene.add(named="made")


async def a_secret_that_names_no_host(scene: Scene) -> tuple[str, str]:
    scene.put_secret("kubernetes.io/basic-auth", {"username": "reader", "password": scene.reader.password})
    return await scene.add("evil.test/acme/autosd", named="made")


async def a_wildcard_for_everything(scene: Scene) -> tuple[str, str]:
    scene.put_secret("kubernetes.io/dockerconfigjson", scene.config("*", "*.test", "https://*"))
    return await scene.add("registry.evil.test/acme/autosd", named="made")


async def a_realm_of_the_attackers(scene: Scene) -> tuple[str, str]:
    scene.challenge(f"{EVIL}/token")
    return await scene.add()


async def a_realm_over_plain_http(scene: Scene) -> tuple[str, str]:
    scene.challenge("http://quay.io/token")
    return await scene.add()


async def a_realm_that_reads_as_another_host(scene: Scene) -> tuple[str, str]:
    scene.challenge("https://quay.io@evil.test/token")
    return await scene.add()


async def a_redirect_to_the_attacker(scene: Scene) -> tuple[str, str]:
    scene.world.registry.fail(Redirect(EVIL), kind="blob")
    return await scene.add()


async def a_redirect_of_every_request(scene: Scene) -> tuple[str, str]:
    scene.world.registry.fail(Redirect(EVIL))
    return await scene.add()


async def a_layer_that_lies_with_the_attacker(scene: Scene) -> tuple[str, str]:
    scene.world.registry.put_raw(foreign_layer(f"{EVIL}/layer"), "acme/autosd", "cs9", media_type=OCI_MANIFEST)
    outcome = await scene.add()
    await check_deeply(scene.world)
    return outcome


async def check_deeply(world: World) -> None:
    wish = {"name": "autosd", "namespace": NAMESPACE, "reason": "manual", "deep": True}
    world.pipeline.request(EventType.VERIFICATION_REQUESTED, wish)
    await world.pipeline.drain()


async def a_secret_of_another_namespace(scene: Scene) -> tuple[str, str]:
    return await scene.add(namespace="team-b")


async def a_secret_that_allows_another_namespace(scene: Scene) -> tuple[str, str]:
    secret = scene.world.raw("secrets", "pull", namespace="team-b") or {}
    secret = {**secret, "metadata": {**secret["metadata"], "annotations": {f"{GROUP}/allow-namespaces": "team-ax"}}}
    scene.world.pipeline.cluster.server.apply(secret)
    return await scene.add(namespace="team-b")


async def a_secret_that_does_not_exist(scene: Scene) -> tuple[str, str]:
    return await scene.add(named="guessed", namespace="team-b")


async def a_request_at_the_broker_with_a_secret(scene: Scene) -> tuple[str, str]:
    await scene.world.request(registryUrl=URL, authSecretRef={"name": "pull"}, actor="system:admin")
    (refused,) = scene.world.data("publish.rejected")
    assert refused["actor"] == "unauthenticated"
    return "", refused["reason"]


async def a_claim_at_the_broker(scene: Scene) -> tuple[str, str]:
    await scene.world.request(registryUrl=URL, metadata={"targets": [{"name": "rpi4", "verified": True}]})
    (refused,) = scene.world.data("publish.rejected")
    return "", refused["reason"]


async def a_question_at_the_broker_with_a_secret(scene: Scene) -> tuple[str, str]:
    wish = {"namespace": NAMESPACE, "reference": URL, "authSecretRef": {"name": "pull"}}
    scene.world.pipeline.request(EventType.VERIFICATION_REQUESTED, wish)
    await scene.world.pipeline.drain()
    (answer,) = scene.world.data("image.verified")
    return answer["phase"], answer["reason"]


async def a_question_at_the_broker_about_a_private_image(scene: Scene) -> tuple[str, str]:
    reference = {"name": "pull", "namespace": "team-b"}
    scene.world.add_registry(auth={"type": "secretRef", "secretRef": reference})
    assert await scene.add(named=None) == AVAILABLE
    before = len(scene.world.network.requests)
    scene.world.pipeline.restart("verify")
    wish = {"namespace": "team-b", "reference": URL}
    scene.world.pipeline.request(EventType.VERIFICATION_REQUESTED, wish)
    await scene.world.pipeline.drain()
    asked = scene.world.network.requests[before:]
    assert not [r for r in asked if "Basic" in r.headers.get("authorization", "")]
    (answer,) = scene.world.data("image.verified")
    return answer["phase"], answer["reason"]


async def a_question_at_the_broker_for_another_namespace(scene: Scene) -> tuple[str, str]:
    secret = {"name": "pull", "namespace": "team-b"}
    scene.world.add_registry(auth={"type": "secretRef", "secretRef": secret})
    wish = {"namespace": "team-b", "reference": URL}
    scene.world.pipeline.request(EventType.VERIFICATION_REQUESTED, wish)
    await scene.world.pipeline.drain()
    (answer,) = scene.world.data("image.verified")
    return answer["phase"], answer["reason"]


async def an_image_of_another_namespace(scene: Scene) -> tuple[str, str]:
    host = "image-registry.openshift-image-registry.svc:5000"
    scene.world.add_registry("internal", host=host, type="openshift-internal", allowPrivateNetworks=True)
    for document in yaml.safe_load_all(OWN_TOKENS.read_text()):
        scene.world.pipeline.apply(document)
    scene.world.network.serve(f"https://{host}", scene.listen)
    outcome = await scene.add(f"{host}/team-b/autosd", named=None)
    assert not [call for call in scene.world.pipeline.cluster.calls if call.subresource == "token"]
    return outcome


async def a_password_in_the_reference(scene: Scene) -> tuple[str, str]:
    scene.world.pipeline.request(
        EventType.VERIFICATION_REQUESTED,
        {"namespace": NAMESPACE, "reference": f"reader:{scene.reader.password}@quay.io/acme/autosd"},
    )
    await scene.world.pipeline.drain()
    (answer,) = scene.world.data("image.verified")
    assert scene.reader.password not in json.dumps(answer)
    scene.world.pipeline.emitted.clear()
    return answer["phase"], answer["reason"]


async def a_registry_that_repeats_the_password(scene: Scene) -> tuple[str, str]:
    auth = base64.b64encode(f"reader:{scene.reader.password}".encode()).decode()
    words = f"wrong: {scene.reader.password} ({auth}) {scene.reader.password[:-1]}"
    error = json.dumps({"errors": [{"code": "DENIED", "message": words}]}).encode()
    scene.world.registry.fail(Answer(403, error, {"Content-Type": "application/json"}), kind="token")
    return await scene.add()


@dataclass(frozen=True)
class Attack:
    """What is tried.

    ``rule`` is the rule of the page that stands against it.
    """

    rule: int
    play: Callable[[Scene], Awaitable[tuple[str, str]]]
    outcome: tuple[str, str]


DENIED = ("Failed", "AuthenticationFailed")
AVAILABLE = ("Available", "RegistryAccessible")
NOT_ALLOWED = ("Failed", "HostNotAllowed")
FORBIDDEN = ("Failed", "SecretForbidden")

ATTACKS = {
    "another-host-for-a-secret": Attack(1, another_host_for_a_secret, DENIED),
    "a-host-that-begins-like-the-secrets": Attack(1, a_host_that_begins_like_the_secrets, DENIED),
    "another-path-for-a-secret": Attack(1, another_path_for_a_secret, DENIED),
    "a-secret-that-names-no-host": Attack(1, a_secret_that_names_no_host, ("Failed", "SecretInvalid")),
    "a-wildcard-for-everything": Attack(1, a_wildcard_for_everything, ("Unavailable", "RegistryUnreachable")),
    "a-realm-of-the-attackers": Attack(1, a_realm_of_the_attackers, DENIED),
    "a-realm-over-plain-http": Attack(1, a_realm_over_plain_http, NOT_ALLOWED),
    "a-realm-that-reads-as-another-host": Attack(1, a_realm_that_reads_as_another_host, NOT_ALLOWED),
    "a-redirect-to-the-attacker": Attack(1, a_redirect_to_the_attacker, DENIED),
    "a-redirect-of-every-request": Attack(1, a_redirect_of_every_request, DENIED),
    "a-layer-that-lies-with-the-attacker": Attack(1, a_layer_that_lies_with_the_attacker, AVAILABLE),
    "a-secret-of-another-namespace": Attack(2, a_secret_of_another_namespace, FORBIDDEN),
    "a-secret-that-allows-another-namespace": Attack(2, a_secret_that_allows_another_namespace, FORBIDDEN),
    "a-secret-that-does-not-exist": Attack(2, a_secret_that_does_not_exist, FORBIDDEN),
    "a-request-at-the-broker-with-a-secret": Attack(2, a_request_at_the_broker_with_a_secret, ("", "Unauthenticated")),
    "a-claim-at-the-broker": Attack(2, a_claim_at_the_broker, ("", "Unauthenticated")),
    "a-question-at-the-broker-with-a-secret": Attack(2, a_question_at_the_broker_with_a_secret, FORBIDDEN),
    "a-question-at-the-broker-about-a-private-image": Attack(2, a_question_at_the_broker_about_a_private_image, DENIED),
    "a-question-at-the-broker-for-another-namespace": Attack(2, a_question_at_the_broker_for_another_namespace, DENIED),
    "an-image-of-another-namespace": Attack(2, an_image_of_another_namespace, DENIED),
    "a-password-in-the-reference": Attack(5, a_password_in_the_reference, ("Failed", "InvalidReference")),
    "a-registry-that-repeats-the-password": Attack(5, a_registry_that_repeats_the_password, ("Failed", "AccessDenied")),
}


@pytest.fixture
async def scene(tmp_path: Path, functions: tuple[PipelineFunction, ...]) -> AsyncIterator[Scene]:
    settings = Settings(service_account="image-catalog/verify")
    async with running_world(functions, tmp_path, auth=BearerAuth(), settings=settings) as world:
        yield Scene(world)


@pytest.mark.parametrize("name", ATTACKS)
async def test_attacks_on_credentials(scene: Scene, name: str) -> None:
    world, attack = scene.world, ATTACKS[name]
    assert await attack.play(scene) == attack.outcome
    hosts = {request.url.host for request in world.network.requests} - {"quay.io"}
    assert all(world.network.shown(host) == set() for host in hosts), "a credential left its host"
    assert not world.pipeline.dead_letters
    written = [item for kind in ("catalogimages", "events", "leases") for item in world.all(kind)]
    told = orjson.dumps(written) + b"".join(event.data for event in world.pipeline.emitted)
    assert scene.reader.password.encode() not in told


async def test_the_same_secret_opens_the_image_where_it_belongs(scene: Scene) -> None:
    assert await scene.add() == AVAILABLE


# Addresses: over real sockets, with a server on loopback that must not be reached.

NAMES = {
    "localhost": ["127.0.0.1"],
    "loopback.test": ["127.0.0.1"],
    "private.test": ["10.0.0.1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "nat64.test": ["64:ff9b::7f00:1"],
    "sixtofour.test": ["2002:7f00:1::"],
    "metadata.test": ["169.254.169.254"],
    "multicast.test": ["224.0.0.1"],
    "unspecified.test": ["0.0.0.0"],  # noqa: S104 - an answer of a name server; nothing is bound to it
    "kubernetes.default.svc": ["10.96.0.1"],
}


async def look_up(host: str, _: int) -> Sequence[str]:
    """Answer as the attacker's name server, and as the cluster's for its own."""
    return NAMES.get(host, [host])


REFERENCES = {
    "the-metadata-service": "169.254.169.254/latest/meta-data",
    "loopback": "127.0.0.1:{port}/x",
    "loopback-in-ipv6": "[::1]:{port}/x",
    "localhost": "localhost:{port}/x",
    "a-private-address": "10.0.0.1:{port}/x",
    "a-name-of-loopback": "loopback.test:{port}/x",
    "a-name-of-a-private-address": "private.test:{port}/x",
    "a-name-of-a-mapped-address": "mapped.test:{port}/x",
    "a-name-of-a-nat64-address": "nat64.test:{port}/x",
    "a-name-of-a-6to4-address": "sixtofour.test:{port}/x",
    "a-name-of-the-metadata-service": "metadata.test:{port}/x",
    "a-name-of-a-multicast-address": "multicast.test:{port}/x",
    "a-name-of-no-address": "unspecified.test:{port}/x",
    "the-api-server": "kubernetes.default.svc:443/api",
}
SPELLINGS = {
    "octal": "0177.0.0.1:{port}/x",
    "hexadecimal": "0x7f.0.0.1:{port}/x",
    "one-number": "2130706433:{port}/x",
    "two-numbers": "127.1:{port}/x",
    "mapped-literally": "[::ffff:7f00:1]:{port}/x",
}


@pytest.fixture
async def trap() -> AsyncIterator[tuple[LoopbackServer, list[str]]]:
    """Serve on loopback and write down who came."""
    came: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        came.append(scope["path"])
        await PlainTextResponse("inside")(scope, receive, send)

    async with LoopbackServer(app) as server:
        yield server, came


@pytest.mark.parametrize("name", [*REFERENCES, *SPELLINGS])
async def test_attacks_on_addresses(
    functions: tuple[PipelineFunction, ...], tmp_path: Path, trap: tuple[LoopbackServer, list[str]], name: str
) -> None:
    server, came = trap
    port = server.host.rpartition(":")[2]
    url = (REFERENCES | SPELLINGS)[name].format(port=port)
    async with Pipeline(functions, connect=partial(connect, resolver=look_up)) as pipeline:
        world = World(pipeline, FakeRegistry(tmp_path), Network())
        pipeline.request(EventType.VERIFICATION_REQUESTED, {"namespace": NAMESPACE, "reference": url})
        await pipeline.drain()
        (answer,) = world.data("image.verified")
    reason = "HostNotAllowed" if name in REFERENCES else "InvalidReference"
    assert (answer["phase"], answer["reason"]) == ("Failed", reason), answer["message"]
    assert came == []


# The page.


def test_the_page_lists_every_attack_with_what_comes_of_it() -> None:
    """Rules 1, 2, 3 and 5 are the tables here; rule 4 is what hostile registries do."""
    told = {name: (attack.rule, attack.outcome[1]) for name, attack in ATTACKS.items()}
    told |= dict.fromkeys(REFERENCES, (3, "HostNotAllowed")) | dict.fromkeys(SPELLINGS, (3, "InvalidReference"))
    shown: dict[str, tuple[int, str]] = {}
    for rule, text in re.findall(r"^### Rule (\d): .*\n((?:.*\n)*?)(?=^##|\Z)", PAGE, re.MULTILINE):
        for row in re.findall(r"^\| `([^`]+)` \|.*\| `(\w+)` \|$", text, re.MULTILINE):
            shown[row[0]] = (int(rule), row[1])
    assert {name: row for name, row in shown.items() if row[0] != 4} == told
    assert {name for name, row in shown.items() if row[0] == 4} <= set(MISBEHAVIOURS)
