"""What the Roles grant is what the functions use: not a verb less, not a verb more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.config import Settings
from image_catalog.events import EventType
from image_catalog.local.manifests import load_manifests
from image_catalog.local.registry import SampleImage
from image_catalog.testing.cluster import Effect
from image_catalog.testing.notifications import listen, quay_notification
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.registry import Account, FakeRegistry
from image_catalog.testing.registry_openshift import OpenShiftAuth
from image_catalog.testing.rights import granted
from image_catalog.testing.world import NAMESPACE, World, running_world

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"
READING_SECRETS = ("", "secrets", "get")
"""Granted by the owners of namespaces, one by one."""


async def _builds_and_their_versions(world: World) -> None:
    world.push()
    await world.complete("first", aib={"manifest": "name: first\n"})
    world.clock.advance(timedelta(hours=1))
    world.push("another")
    await world.complete("second", aib={"manifest": "name: second\n"})
    await world.complete("missing", url="quay.io/acme/missing:1")


async def _removals_and_returns(world: World) -> None:
    world.push()
    await world.add()
    await world.remove()
    await world.add()
    await world.remove()
    world.pipeline.request(EventType.PUBLISH_REQUESTED, {"namespace": "team-a", "registryUrl": URL})
    await world.pipeline.drain()
    (claim,) = world.all("leases")
    world.pipeline.cluster.server.store.remove(("coordination.k8s.io", "leases"), ("team-a", claim["metadata"]["name"]))
    await world.remove("autosd-cs9")
    world.clock.advance(timedelta(days=31))
    world.pipeline.sweep()
    await world.pipeline.drain()


async def _time_goes_by(world: World) -> None:
    world.push()
    await world.add()
    await world.pass_time(hours=1)
    world.pipeline.sources_run = False
    await world.pipeline.cluster.api("person").delete(CATALOG_IMAGE, "autosd", "team-a")
    world.pipeline.sources_run = True
    world.pipeline.sweep()
    await world.pipeline.drain()


async def _callers_that_prove_themselves(world: World) -> None:
    world.push()
    world.allow_secrets()
    token = world.pipeline.cluster.token("api", audiences=["image-catalog"])
    secret = {"name": "pull"}
    for function, event_type, data in (
        ("publish", EventType.PUBLISH_REQUESTED, {"registryUrl": URL, "namespace": "team-a", "authSecretRef": secret}),
        (
            "verify",
            EventType.VERIFICATION_REQUESTED,
            {"reference": URL, "namespace": "team-a", "authSecretRef": secret},
        ),
    ):
        event = world.pipeline.event(event_type, data)
        await world.pipeline.deliver(function, event, authorization=f"Bearer {token}")


async def _a_dead_letter(world: World) -> None:
    world.push()
    world.pipeline.cluster.fail(Effect.UNAVAILABLE, actor="publish", times=1000)
    await world.complete()
    assert world.pipeline.dead_letters
    build = {"name": "autosd", "namespace": "team-a"}
    for data in ({"imageBuild": build}, {"registryUrl": URL}):
        world.pipeline.request(EventType.PUBLISH_REQUESTED, data, subject="team-a/autosd")
    await world.pipeline.drain()


async def _a_conflict(world: World) -> None:
    world.push()
    world.pipeline.cluster.fail(Effect.CONFLICT, verb="patch", resource="catalogimages")
    await world.complete()
    world.pipeline.cluster.fail(Effect.CONFLICT, verb="patch", resource="catalogimages")
    await world.remove()


async def _a_registry_is_probed(world: World) -> None:
    world.add_registry()
    world.pipeline.cluster.fail(Effect.CONFLICT, verb="patch", resource="catalogregistries")
    await world.pass_time(minutes=1)


async def _a_limit_is_shared(world: World) -> None:
    world.push()
    world.add_registry(limits={"requests": 100})
    for actor in ("publish", "verify", "reverify"):
        world.pipeline.cluster.fail(Effect.CONFLICT, verb="patch", resource="catalogregistries", actor=actor)
    await world.complete()
    await world.add("added", url="quay.io/acme/autosd:added")
    world.pipeline.sweep()
    await world.pipeline.drain()


STORIES: tuple[Callable[[World], Awaitable[None]], ...] = (
    _builds_and_their_versions,
    _removals_and_returns,
    _time_goes_by,
    _callers_that_prove_themselves,
    _a_dead_letter,
    _a_conflict,
    _a_registry_is_probed,
    _a_limit_is_shared,
)


async def test_each_function_is_granted_what_it_uses_and_nothing_else(
    functions: tuple[PipelineFunction, ...], tmp_path: Path
) -> None:
    used: dict[str, set[tuple[str, str, str]]] = {function.name: set() for function in functions}
    for number, story in enumerate(STORIES):
        async with running_world(functions, tmp_path / str(number)) as world:
            await story(world)
            for name, rules in used.items():
                rules.update(world.pipeline.cluster.rules(name))
    assert READING_SECRETS in used["publish"] & used["verify"]
    manifests = load_manifests()
    allowed = {name: granted(manifests, name) for name in used}
    assert {name: rules - {READING_SECRETS} for name, rules in used.items()} == allowed


OWN_TOKENS = Path(__file__).parents[2] / "knative/overlays/openshift/own-tokens.yaml"
INTERNAL = "image-registry.openshift-image-registry.svc:5000"


async def test_on_openshift_a_function_asks_for_tokens_of_its_own_name_as_its_role_says(
    functions: tuple[PipelineFunction, ...], tmp_path: Path
) -> None:
    roles = list(yaml.safe_load_all(OWN_TOKENS.read_text()))
    settings = Settings(service_account="image-catalog/function")
    async with running_world(functions, tmp_path / "quay", settings=settings) as world:
        cluster = world.pipeline.cluster
        internal = FakeRegistry(tmp_path / "internal", host=INTERNAL, auth=OpenShiftAuth(cluster.server))
        internal.scheme = "https"
        world.network.serve_app(f"https://{INTERNAL}", internal)
        for role in roles:
            world.pipeline.apply(role)
        for name in ("built", "added"):
            internal.put(SampleImage(), f"{NAMESPACE}/{name}", "1")
            internal.restrict(f"{NAMESPACE}/{name}", Account("nobody"))
        await world.complete("built", url=f"{INTERNAL}/{NAMESPACE}/built:1")
        await world.add("added", f"{INTERNAL}/{NAMESPACE}/added:1")
        asked = {(c.actor, c.namespace, c.name) for c in cluster.calls if c.subresource == "token"}
    rules = {role["metadata"]["name"]: role["rules"] for role in roles if role["kind"] == "Role"}
    used = {
        f"image-catalog-{actor}-own-token": [
            {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [name], "verbs": ["create"]}
        ]
        for actor, namespace, name in asked
        if namespace == "image-catalog"
    }
    assert used == rules


async def test_a_function_that_lacks_a_right_fails_as_on_a_cluster(world: World) -> None:
    """The other side of the comparison: what the Roles do not grant is really refused."""
    world.push()
    roles = [m for m in load_manifests() if m["kind"] == "ClusterRole" and m["metadata"]["name"].endswith("-publish")]
    (role,) = roles
    leases = [rule for rule in role["rules"] if "leases" not in rule["resources"]]
    world.pipeline.apply({**role, "rules": leases})
    assert await world.complete() is None
    assert [data["reason"] for data in world.data("publish.rejected")] == ["Forbidden"]


OpenAPI = Callable[[World], AbstractAsyncContextManager[httpx.AsyncClient]]


async def test_the_api_is_granted_what_it_uses_and_nothing_else(
    functions: tuple[PipelineFunction, ...], tmp_path: Path, open_api: OpenAPI
) -> None:
    used: set[tuple[str, str, str]] = set()
    for streaming_lists in (True, False):  # Not every API server can begin a watch with the list.
        root = tmp_path / str(streaming_lists)
        async with running_world(functions, root, streaming_lists=streaming_lists) as world:
            await _call_the_api(world, open_api)
            used |= world.pipeline.cluster.rules("api")
    assert used - {READING_SECRETS} == granted(load_manifests(), "api")


async def _call_the_api(world: World, open_api: OpenAPI) -> None:
    """Make every kind of call that there is."""
    world.push()
    await world.complete()
    base = "/api/v1alpha1/catalog"
    person = {"Authorization": f"Bearer {world.pipeline.cluster.server.admin_token}"}
    images, where = f"{base}/images", {"namespace": NAMESPACE}
    async with open_api(world) as api:
        api.headers.update(person)
        assert (await api.get("/readyz")).is_success
        spec = {"registryUrl": "quay.io/acme/added:1"}
        added = world.push("added", repository="acme/added", tag="1")
        for method, path, body in (
            ("GET", images, None),
            ("GET", f"{base}/builds", None),
            ("POST", images, {"name": "added", "spec": spec}),
            ("GET", f"{images}/added", None),
            ("POST", f"{images}/added/verify", {}),
            ("PUT", f"{images}/added", {"spec": {**spec, "tags": ["golden"]}}),
            ("POST", f"{images}/added/recall", {"digest": added.digest, "reason": "it overheats"}),
            ("DELETE", f"{images}/added", None),
            ("POST", f"{base}/publish", {"imageBuildName": "autosd", "imageBuildNamespace": NAMESPACE}),
            ("POST", f"{images}/autosd/promote", {"namespace": "team-b"}),
        ):
            takes_none = path.endswith("/publish")
            answer = await api.request(method, path, params=None if takes_none else where, json=body)
            assert answer.is_success, (method, path, answer.text)
        # One Secret, which its administrator has opened to the API by name.
        token = {"Authorization": f"Bearer {listen(world, 'quay')}"}
        answer = await api.post(f"{base}/notifications/quay", json=quay_notification(), headers=token)
        assert (answer.status_code, answer.json()["requested"]) == (202, 2), answer.text
