"""Who is calling, and what they may do."""

from __future__ import annotations

import secrets
from typing import Any, NoReturn

import orjson
import pytest
from pydantic import SecretStr

from image_catalog.cluster import (
    AUDIENCE,
    CATALOG_IMAGE,
    IMAGE_BUILD,
    AccessReviewer,
    Caller,
    KubernetesAPI,
    Response,
    TokenReviewer,
)
from image_catalog.errors import ClusterUnavailableError
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import Effect, InProcessCluster


@pytest.fixture
def reviewer(api: KubernetesAPI, clock: StillClock) -> TokenReviewer:
    return TokenReviewer(api=api, clock=clock)


def reviews(cluster: InProcessCluster) -> int:
    return sum(call.resource == "tokenreviews" for call in cluster.calls)


async def test_token_for_us_has_an_owner(cluster: InProcessCluster, reviewer: TokenReviewer) -> None:
    token = cluster.token("caib", audiences=["image-catalog"])
    caller = await reviewer.review(SecretStr(token))
    assert caller is not None
    assert caller.username == "system:serviceaccount:image-catalog:caib"
    assert "system:serviceaccounts" in caller.groups


async def test_token_for_somebody_else_is_worth_nothing(cluster: InProcessCluster, reviewer: TokenReviewer) -> None:
    token = cluster.token("caib", audiences=["https://kubernetes.default.svc"])
    assert await reviewer.review(SecretStr(token)) is None


@pytest.mark.parametrize("token", ["", "x" * 20_000], ids=["empty", "oversized"])
async def test_absurd_token_is_not_even_asked_about(
    cluster: InProcessCluster, reviewer: TokenReviewer, token: str
) -> None:
    assert await reviewer.review(SecretStr(token)) is None
    assert reviews(cluster) == 0


async def test_unknown_token_has_no_owner(reviewer: TokenReviewer) -> None:
    assert await reviewer.review(SecretStr(secrets.token_urlsafe(32))) is None


async def test_answer_is_remembered_for_a_short_while(
    cluster: InProcessCluster, reviewer: TokenReviewer, clock: StillClock
) -> None:
    token = SecretStr(cluster.token("caib", audiences=["image-catalog"]))
    asked = []
    for seconds in (0, 29, 1):
        clock.advance(seconds=seconds)
        await reviewer.review(token)
        asked.append(reviews(cluster))
    assert asked == [1, 1, 2]


async def test_refusal_is_remembered_for_a_shorter_while(
    cluster: InProcessCluster, reviewer: TokenReviewer, clock: StillClock
) -> None:
    token = SecretStr(secrets.token_urlsafe(32))
    asked = []
    for seconds in (0, 4, 1):
        clock.advance(seconds=seconds)
        assert await reviewer.review(token) is None
        asked.append(reviews(cluster))
    assert asked == [1, 1, 2]


async def test_memory_is_bounded(cluster: InProcessCluster, api: KubernetesAPI, clock: StillClock) -> None:
    reviewer = TokenReviewer(api=api, clock=clock, max_known=2)
    a, b, c = (SecretStr(secrets.token_urlsafe(32)) for _ in range(3))
    for token in (a, b, c, a):
        await reviewer.review(token)
    assert reviews(cluster) == 4


async def test_silent_api_server_is_no_refusal(cluster: InProcessCluster, reviewer: TokenReviewer) -> None:
    cluster.fail(Effect.TIMEOUT_BEFORE, resource="tokenreviews")
    with pytest.raises(ClusterUnavailableError):
        await reviewer.review(SecretStr(secrets.token_urlsafe(32)))


class Answering:
    """An API server that answers every request the same."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self._response = Response(status, {}, orjson.dumps(body))

    async def request(self, *_args: object, **_options: object) -> Response:
        return self._response

    def stream(self, *_args: object, **_options: object) -> NoReturn:
        raise AssertionError("nothing is watched through this transport")

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(400, {"kind": "Status", "reason": "BadRequest", "message": "m"}, id="not even read"),
        pytest.param(201, {"status": {"authenticated": True, "user": {"username": "u"}}}, id="audience not checked"),
        pytest.param(
            201, {"status": {"authenticated": True, "audiences": [AUDIENCE], "user": {}}}, id="a user without a name"
        ),
        pytest.param(201, {}, id="no status"),
    ],
)
async def test_only_a_full_answer_makes_a_caller(status: int, body: dict[str, Any], clock: StillClock) -> None:
    reviewer = TokenReviewer(api=KubernetesAPI(transport=Answering(status, body)), clock=clock)
    assert await reviewer.review(SecretStr(secrets.token_urlsafe(32))) is None


async def test_a_persons_token_is_for_the_api_server_itself(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    people = TokenReviewer(api=api, clock=StillClock(), audience=None)
    caller = await people.ask(SecretStr(cluster.token("caib")))
    assert caller is not None
    assert caller.username == "system:serviceaccount:image-catalog:caib"
    assert await people.ask(SecretStr(cluster.token("caib", audiences=["image-catalog"]))) is None


async def test_what_is_asked_is_not_remembered(cluster: InProcessCluster, reviewer: TokenReviewer) -> None:
    token = SecretStr(cluster.token("caib", audiences=["image-catalog"]))
    assert await reviewer.ask(token) == await reviewer.ask(token) is not None
    assert reviews(cluster) == 2


async def test_what_else_an_authenticator_says_is_kept_in_order(clock: StillClock) -> None:
    user = {"username": "u", "extra": {"scopes": ["user:info"], "id": ["2", "1"], "none": None}}
    answer = {"status": {"authenticated": True, "user": user}}
    reviewer = TokenReviewer(api=KubernetesAPI(transport=Answering(201, answer)), clock=clock, audience=None)
    caller = await reviewer.ask(SecretStr(secrets.token_urlsafe(32)))
    assert caller == Caller("u", extra=(("id", ("2", "1")), ("none", ()), ("scopes", ("user:info",))))


ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "reader", "namespace": "team-a"},
    "rules": [{"apiGroups": [CATALOG_IMAGE.group], "resources": ["catalogimages"], "verbs": ["get"]}],
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "reader", "namespace": "team-a"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}],
}


async def test_access_is_what_the_callers_roles_grant(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    cluster.server.apply(ROLE)
    cluster.server.apply(BINDING)
    access = AccessReviewer(api=api)
    reader = Caller("jane", uid="7", groups=("readers",), extra=(("scopes", ("all",)),))
    assert await access.allows(reader, "get", CATALOG_IMAGE, namespace="team-a")
    assert not await access.allows(reader, "delete", CATALOG_IMAGE, namespace="team-a")
    assert not await access.allows(reader, "get", CATALOG_IMAGE, namespace="team-b")
    assert not await access.allows(reader, "get", CATALOG_IMAGE), "one namespace is not all of them"
    assert not await access.allows(reader, "get", IMAGE_BUILD, namespace="team-a")
    assert not await access.allows(Caller("jane"), "get", CATALOG_IMAGE, namespace="team-a"), "the group counts"
    assert await access.allows(Caller("root", groups=("system:masters",)), "delete", CATALOG_IMAGE)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(422, {"kind": "Status", "reason": "Invalid", "message": "m"}, id="not even read"),
        pytest.param(201, {"status": {"allowed": False, "evaluationError": "no such role"}}, id="refused"),
        pytest.param(201, {"status": {"allowed": "true"}}, id="a word instead of a truth"),
        pytest.param(201, {}, id="no status"),
    ],
)
async def test_only_a_plain_yes_is_a_yes(status: int, body: dict[str, Any]) -> None:
    access = AccessReviewer(api=KubernetesAPI(transport=Answering(status, body)))
    assert not await access.allows(Caller("u"), "get", CATALOG_IMAGE)


async def test_a_question_that_nobody_answers_is_no_refusal(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    cluster.fail(Effect.TIMEOUT_BEFORE, resource="subjectaccessreviews")
    with pytest.raises(ClusterUnavailableError):
        await AccessReviewer(api=api).allows(Caller("u"), "get", CATALOG_IMAGE)
