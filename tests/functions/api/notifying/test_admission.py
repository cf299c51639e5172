"""Who may tell of pushes: a registry with its token, and nobody learns which registries there are."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
import structlog
import structlog.testing
from prometheus_client import REGISTRY

from image_catalog.testing.cluster import Effect
from image_catalog.testing.notifications import envelope, harbor_notification, listen, put_token, quay_notification
from image_catalog.testing.planted import MADE
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

Open = Callable[..., AbstractAsyncContextManager[Any]]


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"quay:{password}".encode()).decode()


def made(name: str = "notification token") -> str:
    return MADE.made(name, secrets.token_urlsafe(24))


def counted(adapter: str, outcome: str) -> float:
    labels = {"adapter": adapter, "outcome": outcome}
    return REGISTRY.get_sample_value("image_catalog_api_registry_pushes_total", labels) or 0


@pytest.mark.parametrize(
    ("sender", "proof", "status"),
    [
        pytest.param("harbor", lambda token: {"headers": {"authorization": token}}, 202, id="as it is"),
        pytest.param("harbor", lambda token: {"headers": {"authorization": f"Bearer {token}"}}, 202, id="bearer"),
        pytest.param("harbor", lambda token: {"headers": {"authorization": f"bearer  {token}"}}, 202, id="any case"),
        pytest.param("harbor", lambda token: {"headers": {"authorization": basic(token)}}, 202, id="basic"),
        pytest.param("quay", lambda token: {"headers": {"authorization": basic(token)}}, 202, id="user information"),
        pytest.param("quay", lambda token: {"params": {"token": token}}, 202, id="query"),
        pytest.param("dockerhub", lambda token: {"params": {"token": token}}, 202, id="query of Docker Hub"),
        pytest.param("harbor", lambda token: {"params": {"token": token}}, 401, id="query of who has headers"),
        pytest.param("distribution", lambda token: {"params": {"token": token}}, 401, id="query of distribution"),
        pytest.param("quay", lambda token: {"params": {"token": token[:-1]}}, 401, id="part of it"),
        pytest.param("quay", lambda token: {"params": {"token": f"{token}x"}}, 401, id="more than it"),
        pytest.param("harbor", lambda _: {"headers": {"authorization": "Basic ===="}}, 401, id="no base64"),
        pytest.param("harbor", lambda _: {"headers": {"authorization": "Bearer "}}, 401, id="empty"),
        pytest.param("harbor", lambda _: {"headers": {"authorization": b"\xff\xfe"}}, 401, id="no text"),
        pytest.param("quay", lambda _: {"params": {"token": ""}}, 401, id="empty query"),
        pytest.param("quay", lambda _: {}, 401, id="nothing"),
    ],
)
async def test_a_registry_proves_itself_where_it_can(
    world: World, listening: Any, sender: str, proof: Callable[[str], dict[str, Any]], status: int
) -> None:
    token = listen(world, sender, host="docker.io" if sender == "dockerhub" else "quay.io")
    before = counted("unknown", "refused")
    bodies: dict[str, Any] = {
        "harbor": harbor_notification(),
        "distribution": envelope(),
        "dockerhub": {"push_data": {}, "repository": {"repo_name": "acme/autosd"}},
    }
    answer = await listening.tell(bodies.get(sender, quay_notification()), **proof(token))
    assert answer.status_code == status
    assert counted("unknown", "refused") - before == (status == 401)


async def test_an_unknown_registry_is_answered_as_a_wrong_token_is(world: World, listening: Any) -> None:
    token = listen(world, "quay")
    world.add_registry("silent", host="silent.example.com")
    answers = [
        await listening.tell(quay_notification(), sent, registry=name)
        for name, sent in (("quay", made()), ("quay", None), ("silent", token), ("nobody", token), ("nobody", None))
    ]
    assert {answer.status_code for answer in answers} == {401}
    said = [{**answer.json(), "instance": ""} for answer in answers]
    assert all(each == said[0] for each in said)
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) <= 2, "paths differ in length alone"
    assert answers[0].headers["www-authenticate"] == 'Bearer realm="image-catalog"'


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100, b"x" * (1024 * 1024 + 1)], ids=["none", "cut", "deep", "large"]
)
async def test_a_stranger_learns_nothing_of_what_it_has_sent(world: World, listening: Any, body: bytes) -> None:
    listen(world, "quay")
    assert (await listening.tell(body, params={"odd": "1"})).status_code == 401


async def test_a_token_of_a_person_is_none_of_a_registry_and_the_other_way_round(world: World, listening: Any) -> None:
    token = listen(world, "quay")
    admin = world.pipeline.cluster.server.admin_token
    assert (await listening.tell(quay_notification(), admin)).status_code == 401
    images = await listening._api.get("/api/v1alpha1/catalog/images", headers={"authorization": f"Bearer {token}"})
    assert images.status_code == 401


async def test_the_younger_of_two_for_one_host_applies_to_nothing(world: World, listening: Any) -> None:
    first = listen(world, "quay", registry="first")
    world.clock.advance(timedelta(seconds=1))
    second = listen(world, "quay", registry="second", host="quay.io:443")
    assert (await listening.tell(quay_notification(), second, registry="second")).status_code == 401
    assert (await listening.tell(quay_notification(), first, registry="first")).status_code == 202


async def test_while_a_token_is_changed_both_count(world: World, listening: Any) -> None:
    old, new = listen(world, "quay"), made()
    assert (await listening.tell(quay_notification(), old)).status_code == 202
    put_token(world, "quay-pushes", token=new, previousToken=f"{old}\n")
    assert (await listening.tell(quay_notification(), new)).status_code == 401, "a list of seconds ago is good enough"
    world.clock.advance(timedelta(seconds=15))
    assert (await listening.tell(quay_notification(), new)).status_code == 202
    assert (await listening.tell(quay_notification(), old)).status_code == 202
    put_token(world, "quay-pushes", token=new)
    world.clock.advance(timedelta(seconds=15))
    assert (await listening.tell(quay_notification(), old)).status_code == 401


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ({"token": "short"}, "must have a token of 16 characters"),
        ({"other": secrets.token_hex(16)}, "under the key token"),
        ({"token": secrets.token_hex(16), "previousToken": "short"}, "must have a token of 16 characters"),
    ],
    ids=["short", "under another key", "one that is short"],
)
async def test_a_secret_that_proves_nothing_opens_nothing_and_the_log_says_why(
    world: World, listening: Any, tokens: dict[str, str], said: str
) -> None:
    listen(world, "quay")
    put_token(world, "quay-pushes", **tokens)
    with structlog.testing.capture_logs() as lines:
        for token in tokens.values():
            assert (await listening.tell(quay_notification(), token)).status_code == 401
    assert any(said in str(line.get("message")) for line in lines)


async def test_a_secret_that_is_gone_or_closed_to_the_api_opens_nothing(world: World, listening: Any) -> None:
    token = listen(world, "quay")
    server = world.pipeline.cluster.server
    server.store.remove(("rbac.authorization.k8s.io", "rolebindings"), ("image-catalog", "quay-pushes"))
    with structlog.testing.capture_logs() as lines:
        assert (await listening.tell(quay_notification(), token)).status_code == 401
    (told,) = (str(line["message"]) for line in lines if "message" in line)
    assert "--resource-name=quay-pushes --namespace=image-catalog" in told
    assert "--serviceaccount=image-catalog:api" in told
    world.add_registry("other", host="other.io", notifications=_pointing_nowhere())
    world.clock.advance(timedelta(seconds=15))
    assert (await listening.tell(quay_notification(), token, registry="other")).status_code == 401


def _pointing_nowhere() -> dict[str, Any]:
    return {"type": "quay", "secretRef": {"name": "quay-pushes", "namespace": "team-a"}}


async def test_strangers_cost_the_api_server_no_more_than_a_look_now_and_then(world: World, listening: Any) -> None:
    listen(world, "quay")
    cluster = world.pipeline.cluster
    await listening.tell(quay_notification(), made())
    cluster.calls.clear()
    for name in ("quay", "nobody", "quay"):
        await listening.tell(quay_notification(), made(), registry=name)
    assert not [call for call in cluster.calls if call.actor == "api"]


async def test_while_the_api_server_is_silent_what_was_read_counts_for_a_while(world: World, listening: Any) -> None:
    token = listen(world, "quay")
    assert (await listening.tell(quay_notification(), token)).status_code == 202
    fault = world.pipeline.cluster.fail(Effect.UNAVAILABLE, actor="api", resource="secrets", times=1000)
    world.clock.advance(timedelta(minutes=1))
    for _ in range(3):
        assert (await listening.tell(quay_notification(), token)).status_code == 202
    world.clock.advance(timedelta(minutes=5))
    for name, sent in (("quay", token), ("nobody", token), ("quay", None)):
        answer = await listening.tell(quay_notification(), sent, registry=name)
        assert (answer.status_code, answer.json()["reason"]) == (503, "ClusterUnavailable")
    fault.times = 0
    world.clock.advance(timedelta(seconds=5))
    assert (await listening.tell(quay_notification(), token)).status_code == 202


async def test_an_unknown_parameter_is_refused_to_who_has_a_token(world: World, listening: Any) -> None:
    token = listen(world, "quay")
    answer = await listening.tell(quay_notification(), token, params={"tokn": "x"})
    assert (answer.status_code, answer.json()["details"]["parameter"]) == (400, "tokn")
