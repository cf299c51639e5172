"""Who is let in, who is not and what they are told, and how seldom the API server is asked."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.cluster import AccessReviewer, Caller, TokenReviewer
from image_catalog.errors import ClusterUnavailableError, ForbiddenError
from image_catalog.models.events import UNAUTHENTICATED
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import Effect, InProcessCluster
from image_catalog_functions.api.access import Guard, OpenGuard
from image_catalog_functions.api.access import guard as guard_module
from image_catalog_functions.api.http.problems import Problem

pytestmark = pytest.mark.story

GROUP = "automotive.sdv.cloud.redhat.com"
RBAC = "rbac.authorization.k8s.io"
READER = "system:serviceaccount:image-catalog:reader"


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def cluster() -> AsyncIterator[InProcessCluster]:
    async with InProcessCluster(namespaces=["team-a", "team-b"]) as running:
        grant(running, verbs=["get", "list"], resources=["catalogimages"])
        yield running


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def grant(cluster: InProcessCluster, *, verbs: list[str], resources: list[str]) -> None:
    metadata = {"name": "reader", "namespace": "team-a"}
    rules = [{"apiGroups": [GROUP], "resources": resources, "verbs": verbs}]
    cluster.server.apply({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "image-catalog"}
    role = {"apiGroup": RBAC, "kind": "Role", "name": "reader"}
    cluster.server.apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": role,
            "subjects": [subject],
        }
    )


def make_guard(cluster: InProcessCluster, seconds: Seconds, **options: Any) -> Guard:
    api = cluster.api("api")
    tokens = TokenReviewer(api=api, clock=StillClock(), audience=None)
    return Guard(tokens=tokens, access=AccessReviewer(api=api), clock=seconds, **options)


@pytest.fixture
def guard(cluster: InProcessCluster, seconds: Seconds) -> Guard:
    return make_guard(cluster, seconds)


@pytest.fixture
def bearer(cluster: InProcessCluster) -> str:
    return f"Bearer {cluster.token('reader')}"


def asked(cluster: InProcessCluster, resource: str = "") -> int:
    reviews = {resource} if resource else {"tokenreviews", "subjectaccessreviews"}
    return sum(call.resource in reviews for call in cluster.calls)


async def refusal(guard: Guard, authorization: str | None, *question: Any) -> Problem:
    with pytest.raises(Problem) as refused:
        await guard.require(authorization, *(question or ("get", "team-a")))
    return refused.value


async def test_who_may_is_let_in(guard: Guard, bearer: str) -> None:
    assert (await guard.require(bearer, "get", "team-a")).username == READER


async def test_an_allowed_question_is_known_afterwards_and_no_other(guard: Guard, bearer: str) -> None:
    assert guard.known(bearer, "get", "team-a") is None
    caller = await guard.require(bearer, "get", "team-a")
    assert guard.known(bearer, "get", "team-a") == caller
    for question in (("list", "team-a"), ("get", "team-b"), ("get", None), ("get", "team-a", "imagebuilds")):
        assert guard.known(bearer, *question) is None
    assert guard.known(bearer + "x", "get", "team-a") is None
    assert guard.known(None, "get", "team-a") is None


async def test_without_a_token_the_challenge_names_no_error(guard: Guard) -> None:
    problem = await refusal(guard, None)
    assert (problem.status, problem.reason) == (401, "Unauthenticated")
    assert problem.headers["WWW-Authenticate"] == 'Bearer realm="image-catalog"'
    assert "kubectl create token" in problem.detail


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("Bearer " + secrets.token_urlsafe(32), id="unknown"),
        pytest.param("bearer", id="no token"),
        pytest.param("Bearer two words", id="two tokens"),
        pytest.param("Bearer \udcff", id="not even text"),
        pytest.param("Bearer " + "x" * 20_000, id="too long"),
    ],
)
async def test_a_token_that_is_worth_nothing_is_said_to_be_invalid(guard: Guard, authorization: str) -> None:
    problem = await refusal(guard, authorization)
    assert problem.status == 401
    assert 'error="invalid_token"' in problem.headers["WWW-Authenticate"]
    assert authorization[7:] not in problem.detail or len(authorization) <= 7


async def test_another_scheme_is_no_token(guard: Guard, cluster: InProcessCluster) -> None:
    problem = await refusal(guard, "Basic " + base64.b64encode(b"jane:x").decode())
    assert "error=" not in problem.headers["WWW-Authenticate"]
    assert asked(cluster) == 0


async def test_a_token_for_the_functions_is_none_for_the_api(guard: Guard, cluster: InProcessCluster) -> None:
    token = cluster.token("reader", audiences=["image-catalog"])
    assert (await refusal(guard, f"Bearer {token}")).status == 401


@pytest.mark.parametrize(
    ("question", "words"),
    [
        pytest.param(
            ("delete", "team-a"),
            f"kubectl auth can-i delete catalogimages.{GROUP} --namespace team-a",
            id="verb",
        ),
        pytest.param(("get", None), f"kubectl auth can-i get catalogimages.{GROUP} --all-namespaces", id="everywhere"),
        pytest.param(
            ("list", "team-a", "imagebuilds"),
            f"kubectl auth can-i list imagebuilds.{GROUP} --namespace team-a",
            id="resource",
        ),
    ],
)
async def test_who_may_not_is_told_what_and_how_to_see_it(
    guard: Guard, bearer: str, question: tuple[Any, ...], words: str
) -> None:
    problem = await refusal(guard, bearer, *question)
    assert (problem.status, problem.reason) == (403, "Forbidden")
    assert words in problem.detail
    assert READER in problem.detail
    assert problem.details["verb"] == question[0]
    assert problem.details["namespace"] == question[1]


async def test_a_yes_is_good_for_its_seconds(
    guard: Guard, cluster: InProcessCluster, bearer: str, seconds: Seconds
) -> None:
    for _ in range(3):
        await guard.require(bearer, "get", "team-a")
    assert asked(cluster) == 2
    seconds.now += 10
    assert guard.known(bearer, "get", "team-a") is None
    await guard.require(bearer, "get", "team-a")
    assert asked(cluster) == 4


async def test_a_token_is_reviewed_once_for_all_that_its_owner_asks(
    guard: Guard, cluster: InProcessCluster, bearer: str, seconds: Seconds
) -> None:
    await guard.require(bearer, "get", "team-a")
    seconds.now += 9
    await guard.require(bearer, "list", "team-a")
    assert asked(cluster, "tokenreviews") == 1
    seconds.now += 1
    assert guard.known(bearer, "list", "team-a") is None, "a yes does not outlive what is known of its token"


async def test_a_no_is_good_for_a_shorter_while(
    guard: Guard, cluster: InProcessCluster, bearer: str, seconds: Seconds
) -> None:
    for _ in range(3):
        assert (await refusal(guard, bearer, "delete", "team-a")).status == 403
        assert (await refusal(guard, bearer + "x")).status == 401
    assert asked(cluster) == 3
    grant(cluster, verbs=["delete"], resources=["catalogimages"])
    seconds.now += 3
    assert (await guard.require(bearer, "delete", "team-a")).username == READER


async def test_many_who_ask_the_same_at_once_are_one_question(
    guard: Guard, cluster: InProcessCluster, bearer: str
) -> None:
    callers = await asyncio.gather(*(guard.require(bearer, "get", "team-a") for _ in range(50)))
    assert len(set(callers)) == 1
    assert asked(cluster) == 2


async def test_who_leaves_takes_nobodys_answer_along(guard: Guard, cluster: InProcessCluster, bearer: str) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        arrived.set()
        await asyncio.wait_for(go_on.wait(), 5)

    cluster.before(hold, resource="tokenreviews")
    first = asyncio.create_task(guard.require(bearer, "get", "team-a"))
    await asyncio.wait_for(arrived.wait(), 5)
    second = asyncio.create_task(guard.require(bearer, "get", "team-a"))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go_on.set()
    assert (await second).username == READER
    assert asked(cluster, "tokenreviews") == 1


async def test_what_is_remembered_is_bounded(cluster: InProcessCluster, seconds: Seconds, bearer: str) -> None:
    verbs = ["get", "list", "create"]
    grant(cluster, verbs=verbs, resources=["catalogimages"])
    guard = make_guard(cluster, seconds, max_decisions=2)
    for verb in verbs:
        await guard.require(bearer, verb, "team-a")
    assert [guard.known(bearer, verb, "team-a") is not None for verb in verbs] == [False, True, True]


@pytest.mark.parametrize("resource", ["tokenreviews", "subjectaccessreviews"])
async def test_an_api_server_that_cannot_be_asked_is_no_refusal(
    guard: Guard, cluster: InProcessCluster, bearer: str, resource: str
) -> None:
    cluster.fail(Effect.UNAVAILABLE, resource=resource)
    with pytest.raises(ClusterUnavailableError):
        await guard.require(bearer, "get", "team-a")
    assert (await guard.require(bearer, "get", "team-a")).username == READER, "and it is not remembered"


async def test_an_api_that_may_not_ask_says_so(cluster: InProcessCluster, seconds: Seconds, bearer: str) -> None:
    api = cluster.api("api", restricted=True)
    tokens = TokenReviewer(api=api, clock=StillClock(), audience=None)
    guard = Guard(tokens=tokens, access=AccessReviewer(api=api), clock=seconds, denied_for=timedelta(seconds=1))
    with pytest.raises(ForbiddenError, match="create tokenreviews"):
        await guard.require(bearer, "get", "team-a")


async def test_a_crowd_of_strangers_is_asked_about_a_few_at_a_time(
    guard: Guard, cluster: InProcessCluster, bearer: str
) -> None:
    full, go_on, waiting = asyncio.Event(), asyncio.Event(), 0

    async def hold() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == guard_module.MAX_QUESTIONS:
            full.set()
        await asyncio.wait_for(go_on.wait(), 5)

    cluster.before(hold, resource="tokenreviews", times=guard_module.MAX_WAITING)
    strangers = [f"Bearer {secrets.token_urlsafe(32)}" for _ in range(guard_module.MAX_WAITING)]
    crowd = [asyncio.create_task(refusal(guard, stranger)) for stranger in strangers]
    await asyncio.wait_for(full.wait(), 5)
    with pytest.raises(ClusterUnavailableError, match="too many callers"):
        await guard.require(bearer, "get", "team-a")
    assert waiting == guard_module.MAX_QUESTIONS
    go_on.set()
    assert {(await problem).status for problem in crowd} == {401}


async def test_the_memory_holds_no_token(guard: Guard, bearer: str) -> None:
    await guard.require(bearer, "get", "team-a")
    await refusal(guard, bearer, "delete", "team-a")
    memories = [vars(memory) for memory in vars(guard).values() if hasattr(memory, "__dict__")]
    assert bearer.removeprefix("Bearer ") not in repr(memories)


async def test_an_open_guard_lets_everybody_in_and_knows_nobody() -> None:
    guard = OpenGuard()
    assert guard.known(None, "get", None) == Caller(UNAUTHENTICATED)
    assert await guard.require(None, "delete", "team-a", "imagebuilds") == Caller(UNAUTHENTICATED)
