"""Where the credential for an image comes from, in their order, and that it goes nowhere else."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from moto import mock_aws

from image_catalog.config import EcrPolicy, Settings
from image_catalog.events import EventType
from image_catalog.local.registry import SampleImage
from image_catalog.models import Phase
from image_catalog.testing.cluster import Effect
from image_catalog.testing.knative import ManualClock
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.registry import Account, BasicAuth, BearerAuth, FakeRegistry
from image_catalog.testing.registry_faults import Answer
from image_catalog.testing.registry_openshift import OpenShiftAuth
from image_catalog.testing.world import World, running_world

URL = "quay.io/acme/autosd:cs9"
OPENSHIFT = "image-registry.openshift-image-registry.svc:5000"
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
ECR_TOKEN = "123456789012-auth-token"
"""What the simulated AWS gives for this account."""

OWN_TOKENS = Path(__file__).parents[3] / "knative/overlays/openshift/own-tokens.yaml"

Open = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def auth_file(tmp_path: Path) -> Path:
    return tmp_path / "auth.json"


@pytest.fixture
def open_world(tmp_path: Path, auth_file: Path, functions: tuple[PipelineFunction, ...]) -> Open:
    """Run the functions with an auth file that is not there yet, and a registry that wants a password."""

    @asynccontextmanager
    async def run(settings: Settings | None = None, clock: ManualClock | None = None) -> AsyncIterator[World]:
        environment = {"REGISTRY_AUTH_FILE": str(auth_file)}
        async with running_world(
            functions,
            tmp_path / "quay",
            auth=BearerAuth(),
            settings=settings or Settings(),
            environment=environment,
            clock=clock,
        ) as world:
            world.push()
            yield world

    return run


def serve(world: World, root: Path, host: str, auth: BasicAuth | BearerAuth) -> FakeRegistry:
    registry = FakeRegistry(root, host=host, auth=auth, anonymous=False)
    registry.scheme = "https"
    world.network.serve_app(f"https://{host}", registry)
    return registry


def write(path: Path, content: str) -> None:
    path.write_text(content)


def config(host: str, account: Account) -> str:
    auth = base64.b64encode(f"{account.user}:{account.password}".encode()).decode()
    return json.dumps({"auths": {host: {"auth": auth}}})


async def explain(world: World, reference: str, **data: Any) -> dict[str, Any]:
    """Ask what a check would find, as the API does for whom it knows, and return phase and steps by name."""
    asked = {"namespace": "team-a", "reference": reference, "actor": "jane", **data}
    event = world.pipeline.event(EventType.VERIFICATION_REQUESTED, asked)
    token = world.pipeline.cluster.token("api", audiences=["image-catalog"])
    await world.pipeline.deliver("verify", event, authorization=f"Bearer {token}")
    await world.pipeline.drain()
    told = world.data("image.verified")[-1]
    return {"phase": told["phase"], **{step["name"]: step["message"] for step in told["steps"]}}


class TestCatalogRegistry:
    @pytest.fixture
    async def world(self, open_world: Open) -> AsyncIterator[World]:
        async with open_world() as world:
            self.robot = world.registry.account("robot")
            world.registry.restrict("acme", self.robot)
            world.add_secret("robot", self.robot, namespace="team-b")
            world.allow_secrets(namespace="team-b")
            yield world

    def secret_ref(self, name: str = "robot") -> dict[str, Any]:
        return {"type": "secretRef", "secretRef": {"name": name, "namespace": "team-b"}}

    async def test_its_secret_opens_entries_that_name_none(self, world: World) -> None:
        world.add_registry(auth=self.secret_ref())
        assert (await world.add(url=URL)).status.phase == "Available"
        told = await explain(world, URL)
        assert "Secret team-b/robot, key quay.io (CatalogRegistry of quay.io)" in told["Credentials"]

    async def test_an_entrys_own_secret_comes_first(self, world: World) -> None:
        world.add_registry(auth=self.secret_ref())
        world.allow_secrets()
        world.add_secret("pull", Account("nobody"))
        image = await world.add(url=URL, authSecretRef={"name": "pull"})
        assert world.says()["Available"][1] == "AuthenticationFailed"
        assert image.status.phase == "Failed"

    async def test_a_secret_without_an_entry_for_the_host_leaves_the_say_to_it(self, world: World) -> None:
        world.add_registry(auth=self.secret_ref())
        world.allow_secrets()
        other = json.dumps({"auths": {"ghcr.io": {"username": "u", "password": "p"}}}).encode()
        world.pipeline.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "pull", "namespace": "team-a"},
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": base64.b64encode(other).decode()},
            }
        )
        assert (await world.add(url=URL, authSecretRef={"name": "pull"})).status.phase == "Available"

    async def test_its_secret_is_for_the_hosts_that_the_secret_names(self, world: World) -> None:
        world.add_registry(host="*.example.com", auth=self.secret_ref())
        image = await world.add(url="registry.example.com/acme/autosd:cs9")
        assert image.status.phase != "Available"
        assert not [r for r in world.network.requests if "authorization" in r.headers]

    async def test_none_means_to_ask_anonymously_whatever_else_there_is(self, world: World, auth_file: Path) -> None:
        write(auth_file, config("quay.io", self.robot))
        assert (await world.add(url=URL)).status.phase == "Available"
        world.add_registry(auth={"type": "none"})
        await world.pass_time(hours=1)
        assert world.says()["Available"][1] == "AuthenticationFailed"
        assert "none, as the CatalogRegistry of quay.io says" in (await explain(world, URL))["Credentials"]

    @pytest.mark.parametrize(
        ("auth", "reason", "message"),
        [
            pytest.param("absent", "SecretNotFound", "which the CatalogRegistry of quay.io names", id="absent"),
            pytest.param("forbidden", "SecretForbidden", "kubectl create rolebinding", id="not-allowed"),
        ],
    )
    async def test_a_secret_that_cannot_be_had_is_told(
        self, world: World, auth: str, reason: str, message: str
    ) -> None:
        reference = {"name": "absent", "namespace": "team-b" if auth == "absent" else "default"}
        world.add_registry(auth={"type": "secretRef", "secretRef": reference})
        await world.add(url=URL)
        available = world.image().status.condition("Available")
        assert available
        assert available.reason == reason
        assert message in available.message
        assert not world.network.requests

    async def test_what_it_says_in_vain_is_told_with_the_denial(self, world: World) -> None:
        for auth, why in (("ecr", "quay.io is no host of ECR"), ("serviceAccountToken", "not OpenShift's internal")):
            world.add_registry(auth={"type": auth})
            await world.pass_time(minutes=1)
            told = await explain(world, URL)
            assert why in told["Credentials"]
            assert why in told["Registry accessibility"]

    async def test_a_credential_that_is_put_there_with_the_entry_is_used_at_once(self, world: World) -> None:
        await world.add("before", url=URL)
        world.add_registry(auth=self.secret_ref())
        world.push(tag="other")
        assert (await world.add("after", url="quay.io/acme/autosd:other")).status.phase == "Available"


class TestSecrets:
    @pytest.fixture
    async def world(self, open_world: Open) -> AsyncIterator[World]:
        async with open_world() as world:
            world.allow_secrets()
            yield world

    async def test_a_secret_whose_content_changed_counts_from_the_next_check_on(self, world: World) -> None:
        first = world.registry.account("first")
        world.registry.restrict("acme", first)
        world.add_secret("pull", first)
        assert (await world.add(url=URL, authSecretRef={"name": "pull"})).status.phase == "Available"
        second = world.registry.account("second")
        world.registry.restrict("acme", second)
        world.add_secret("pull", second)
        await world.pass_time(hours=1)
        assert world.image().status.phase == "Available"

    async def test_a_token_of_one_secret_is_never_used_for_another(self, world: World) -> None:
        reader, stranger = world.registry.account("reader"), world.registry.account("stranger")
        world.registry.restrict("acme", reader)
        world.add_secret("reader", reader)
        world.add_secret("stranger", stranger)
        assert (await world.add("mine", url=URL, authSecretRef={"name": "reader"})).status.phase == "Available"
        world.push(repository="acme/autosd", tag="other")
        theirs = await world.add("theirs", url="quay.io/acme/autosd:other", authSecretRef={"name": "stranger"})
        assert (theirs.status.phase, world.says("theirs")["Available"][1]) == ("Failed", "AccessDenied")
        world.push(tag="third")
        nobodys = await world.add("nobodys", url="quay.io/acme/autosd:third")
        assert nobodys.status.phase == "Failed"

    async def test_an_identity_token_is_exchanged_and_never_sent_to_the_registry(self, world: World) -> None:
        auth = world.registry.auth
        assert isinstance(auth, BearerAuth)
        world.registry.restrict("acme", world.registry.account("robot"))
        token = auth.refresh_token("robot")
        content = json.dumps({"auths": {"quay.io": {"identitytoken": token}}}).encode()
        world.pipeline.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "pull", "namespace": "team-a"},
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": base64.b64encode(content).decode()},
            }
        )
        assert (await world.add(url=URL, authSecretRef={"name": "pull"})).status.phase == "Available"
        assert {issued.grant for issued in auth.issued} == {"refresh_token"}
        shown = [r for r in world.network.requests if token.encode() in r.content or token in str(r.headers)]
        assert {r.url.path for r in shown} == {"/token"}

    async def test_a_secret_of_another_namespace_that_allows_ours_opens_an_image(self, world: World) -> None:
        reader = world.registry.account("reader")
        world.registry.restrict("acme", reader)
        world.add_secret("shared", reader, namespace="team-b")
        world.allow_secrets(namespace="team-b")
        stored = world.pipeline.cluster.server.store.bucket(("", "secrets")).get(("team-b", "shared"))
        assert stored
        annotations = {"automotive.sdv.cloud.redhat.com/allow-namespaces": "team-c,team-a"}
        world.pipeline.apply({**stored.body, "metadata": {**stored.body["metadata"], "annotations": annotations}})
        image = await world.add(url=URL, authSecretRef={"name": "shared", "namespace": "team-b"})
        assert image.status.phase == "Available"


class TestOpenShift:
    @pytest.fixture
    async def world(self, open_world: Open, tmp_path: Path) -> AsyncIterator[World]:
        settings = Settings(service_account="image-catalog/function", shared_namespaces=frozenset({"openshift"}))
        async with open_world(settings) as world:
            self.auth = OpenShiftAuth(world.pipeline.cluster.server)
            self.internal = serve(world, tmp_path / "internal", OPENSHIFT, self.auth)
            for repository in ("team-a/autosd", "team-b/autosd", "openshift/autosd", "team-a"):
                self.internal.put(SampleImage(), repository, "cs9")
            for document in yaml.safe_load_all(OWN_TOKENS.read_text()):
                world.pipeline.apply(document)
            world.add_registry("internal", host=OPENSHIFT, type="openshift-internal", allowPrivateNetworks=True)
            yield world

    async def test_an_image_of_the_entrys_namespace_is_opened_by_the_functions_own_token(self, world: World) -> None:
        image = await world.add(url=f"{OPENSHIFT}/team-a/autosd:cs9")
        assert image.status.phase == "Available"
        assert self.auth.issued[-1].user == "system:serviceaccount:image-catalog:verify"
        told = await explain(world, f"{OPENSHIFT}/team-a/autosd:cs9")
        assert told["Credentials"].startswith(
            "token of ServiceAccount image-catalog/verify (ServiceAccount token); authSecretRef: none is named; "
            f"CatalogRegistry: the CatalogRegistry of {OPENSHIFT} has no auth"
        )

    async def test_publish_uses_its_own(self, world: World) -> None:
        image = await world.complete(url=f"{OPENSHIFT}/team-a/autosd:cs9")
        assert image
        assert image.status.phase == Phase.AVAILABLE
        assert self.auth.issued[0].user == "system:serviceaccount:image-catalog:publish"

    async def test_who_is_not_known_learns_nothing_with_it_by_claiming_a_namespace(self, world: World) -> None:
        data = {"namespace": "team-b", "reference": f"{OPENSHIFT}/team-b/autosd:cs9"}
        world.pipeline.request(EventType.VERIFICATION_REQUESTED, data)
        await world.pipeline.drain()
        told = world.data("image.verified")[-1]
        assert (told["phase"], told["reason"]) == ("Failed", "AuthenticationFailed")
        assert "nobody knows who asks" in next(s["message"] for s in told["steps"] if s["name"] == "Credentials")
        assert not self.auth.shown

    async def test_images_that_everybody_may_use_are_opened_too(self, world: World) -> None:
        assert (await world.add(url=f"{OPENSHIFT}/openshift/autosd:cs9")).status.phase == "Available"

    @pytest.mark.parametrize("repository", ["team-b/autosd", "team-a"])
    async def test_an_entry_does_not_look_into_another_namespace_with_it(self, world: World, repository: str) -> None:
        image = await world.add(url=f"{OPENSHIFT}/{repository}:cs9")
        available = image.status.condition("Available")
        assert available
        assert (image.status.phase, available.reason) == ("Failed", "AuthenticationFailed")
        assert "an entry is checked with it in its own namespace only" in available.message
        assert not self.auth.shown

    @pytest.mark.parametrize(
        "spec",
        [
            pytest.param({"host": "quay.io", "auth": {"type": "serviceAccountToken"}}, id="another-registry"),
            pytest.param({"host": "*.io", "type": "openshift-internal"}, id="a-wildcard"),
        ],
    )
    async def test_no_other_host_is_ever_shown_it(self, world: World, spec: dict[str, Any]) -> None:
        world.add_registry(**spec)
        world.registry.restrict("team-a")
        world.push(repository="team-a/autosd")
        image = await world.add(url="quay.io/team-a/autosd:cs9")
        assert image.status.phase == "Failed"
        assert not [r for r in world.network.requests if "Basic" in r.headers.get("authorization", "")]
        assert not [call for call in world.pipeline.cluster.calls if call.subresource == "token"]

    async def test_an_exposed_route_is_internal_when_an_administrator_says_so(
        self, world: World, tmp_path: Path
    ) -> None:
        route = "default-route-openshift-image-registry.apps.example.com"
        exposed = serve(world, tmp_path / "route", route, OpenShiftAuth(world.pipeline.cluster.server))
        exposed.put(SampleImage(), "team-a/autosd", "cs9")
        world.add_registry(host=route, type="openshift-internal", auth={"type": "serviceAccountToken"})
        assert (await world.add(url=f"{route}/team-a/autosd:cs9")).status.phase == "Available"

    async def test_a_token_that_ends_is_replaced_before_it_does(self, world: World) -> None:
        await world.add(url=f"{OPENSHIFT}/team-a/autosd:cs9")
        await world.pass_time(hours=1)
        assert world.image().status.phase == "Available"
        assert len(set(self.auth.shown)) == 2

    async def test_a_token_that_was_withdrawn_is_replaced_by_another_within_the_check(self, world: World) -> None:
        await world.add(url=f"{OPENSHIFT}/team-a/autosd:cs9")
        # The account is made anew: every token that it had has ended.
        for document in world.all("serviceaccounts"):
            if document["metadata"]["name"] == "verify":
                server = world.pipeline.cluster.server
                server.store.remove(("", "serviceaccounts"), ("image-catalog", "verify"))
                server.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(document)})
        self.auth.revoke_tokens()
        await world.pass_time(minutes=5)
        told = await explain(world, f"{OPENSHIFT}/team-a/autosd:cs9")
        assert told["phase"] == "Available"
        assert len(set(self.auth.shown)) == 2

    async def test_a_function_that_may_not_ask_for_a_token_says_what_it_lacks(self, world: World) -> None:
        world.pipeline.cluster.fail(Effect.FORBIDDEN, resource="serviceaccounts", times=10)
        image = await world.add(url=f"{OPENSHIFT}/team-a/autosd:cs9")
        available = image.status.condition("Available")
        assert available
        assert available.reason == "SecretForbidden"
        assert "serviceaccounts/token" in available.message

    async def test_an_api_server_that_refuses_is_quoted(self, world: World) -> None:
        world.pipeline.cluster.fail(Effect.INVALID, resource="serviceaccounts", times=10)
        await world.add(url=f"{OPENSHIFT}/team-a/autosd:cs9")
        assert world.says()["Available"][1] == "SecretInvalid"


async def test_a_function_without_a_service_account_of_its_own_says_so(open_world: Open, tmp_path: Path) -> None:
    async with open_world() as world:
        auth = OpenShiftAuth(world.pipeline.cluster.server)
        serve(world, tmp_path / "internal", OPENSHIFT, auth).put(SampleImage(), "team-a/autosd", "cs9")
        told = await explain(world, f"{OPENSHIFT}/team-a/autosd:cs9")
        assert told["phase"] == "Failed"
        assert "IMAGE_CATALOG_SERVICE_ACCOUNT" in told["Credentials"]


class TestECR:
    @pytest.fixture(autouse=True)
    def aws(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        with mock_aws():
            yield monkeypatch

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(datetime(2014, 1, 1, tzinfo=UTC))

    def serve(self, world: World, root: Path) -> FakeRegistry:
        registry = serve(world, root, ECR, BasicAuth())
        registry.account("AWS")
        assert registry.auth
        registry.auth.accounts._by_user["AWS"] = Account("AWS", ECR_TOKEN)
        registry.put(SampleImage(), "acme/autosd", "cs9")
        return registry

    async def test_an_image_is_opened_by_the_functions_identity_at_aws(self, open_world: Open, tmp_path: Path) -> None:
        async with open_world() as world:
            self.serve(world, tmp_path / "ecr")
            assert (await world.add(url=f"{ECR}/acme/autosd:cs9")).status.phase == "Available"
            told = await explain(world, f"{ECR}/acme/autosd:cs9")
            assert "AWS identity, ECR in eu-central-1 (ECR)" in told["Credentials"]

    async def test_a_token_that_ecr_turns_down_is_replaced_within_the_check(
        self, open_world: Open, tmp_path: Path, clock: ManualClock
    ) -> None:
        # The simulated token ends on a day in 2015; before that day it is kept.
        async with open_world(clock=clock) as world:
            registry = self.serve(world, tmp_path / "ecr")
            await world.add(url=f"{ECR}/acme/autosd:cs9")
            registry.fail(Answer(403, b"Your Authorization Token has expired"), kind="manifest", times=1)
            clock.advance(timedelta(minutes=5))
            told = await explain(world, f"{ECR}/acme/autosd:cs9")
            assert told["phase"] == "Available"
            steps = [(step["name"], step["message"]) for step in world.data("image.verified")[-1]["steps"]]
            assert [message[:11] for name, message in steps if name == "Credentials"] == [
                "AWS identit",
                "turned down",
                "AWS identit",
            ]

    async def test_where_only_listed_hosts_are_asked_for_a_catalogregistry_lists_it(
        self, open_world: Open, tmp_path: Path
    ) -> None:
        async with open_world(Settings(ecr_policy=EcrPolicy.LISTED)) as world:
            self.serve(world, tmp_path / "ecr")
            image = await world.add(url=f"{ECR}/acme/autosd:cs9")
            assert image.status.phase == "Failed"
            assert "IMAGE_CATALOG_ECR_POLICY" in (await explain(world, f"{ECR}/acme/autosd:cs9"))["Credentials"]
            world.add_registry(host=ECR, auth={"type": "ecr"})
            await world.pass_time(minutes=5)
            assert world.image().status.phase == "Available"

    async def test_without_an_identity_the_next_source_has_the_say(
        self, open_world: Open, tmp_path: Path, auth_file: Path, aws: pytest.MonkeyPatch
    ) -> None:
        aws.setenv("AWS_PROFILE", "absent")
        async with open_world() as world:
            registry = self.serve(world, tmp_path / "ecr")
            image = await world.add(url=f"{ECR}/acme/autosd:cs9")
            available = image.status.condition("Available")
            assert available
            assert available.reason == "AuthenticationFailed"
            assert "the function has no AWS identity" in available.message
            write(auth_file, config(ECR, registry.account("robot")))
            await world.pass_time(minutes=5)
            assert world.image().status.phase == "Available"
            world.add_registry(host=ECR, auth={"type": "ecr"})
            await world.pass_time(hours=1)
            assert world.says()["Available"][1] == "AuthenticationFailed"


class TestAuthFiles:
    async def test_the_processs_own_file_opens_an_image_and_is_read_again(
        self, open_world: Open, auth_file: Path
    ) -> None:
        async with open_world() as world:
            robot = world.registry.account("robot")
            world.registry.restrict("acme", robot)
            assert (await world.add(url=URL)).status.phase == "Failed"
            write(auth_file, config("quay.io", robot))
            await world.pass_time(minutes=5)
            assert world.image().status.phase == "Available"
            told = await explain(world, URL)
            assert f"auth file {auth_file}, key quay.io (auth files)" in told["Credentials"]

    async def test_a_broken_file_is_told_and_the_registry_asked_all_the_same(
        self, open_world: Open, auth_file: Path
    ) -> None:
        write(auth_file, "{")
        async with open_world() as world:
            assert (await world.add(url=URL)).status.phase == "Available"
            await world.pass_time(hours=1)
            assert "cannot be used: it is no JSON" in (await explain(world, URL))["Credentials"]

    async def test_they_can_be_turned_off(self, open_world: Open, auth_file: Path) -> None:
        async with open_world(Settings(auth_files=False)) as world:
            robot = world.registry.account("robot")
            world.registry.restrict("acme", robot)
            write(auth_file, config("quay.io", robot))
            assert (await world.add(url=URL)).status.phase == "Failed"

    async def test_a_public_image_tells_who_was_asked_for_a_credential(self, open_world: Open) -> None:
        async with open_world() as world:
            assert (await explain(world, URL))["Credentials"] == (
                "none, asked anonymously; authSecretRef: none is named; CatalogRegistry: there is none for quay.io; "
                "ServiceAccount token: quay.io is not OpenShift's internal registry; "
                "ECR: quay.io is no host of ECR; auth files: there are none"
            )


def _named(document: dict[str, Any]) -> dict[str, str]:
    return {"name": document["metadata"]["name"], "namespace": document["metadata"]["namespace"]}
