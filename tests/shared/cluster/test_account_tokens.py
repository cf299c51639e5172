"""A ServiceAccount's own tokens: short-lived, bound, kept, and renewed in time."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.cluster import AccountTokens, KubernetesAPI, Response, request_token
from image_catalog.errors import ClusterUnavailableError, ForbiddenError, InvalidObjectError
from image_catalog.local.kubernetes.access.auth import API_AUDIENCE
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import FUNCTIONS_NAMESPACE, Effect, InProcessCluster

OWN = {"namespace": FUNCTIONS_NAMESPACE, "name": "verify"}


@pytest.fixture
async def cluster(clock: StillClock) -> Any:
    async with InProcessCluster(clock=clock) as running:
        running.token("verify")
        running.token("publish")
        yield running


@pytest.fixture
def tokens(cluster: InProcessCluster, clock: StillClock) -> AccountTokens:
    return AccountTokens(api=cluster.api("verify"), clock=clock, **OWN)


def creations(cluster: InProcessCluster) -> int:
    return sum(call.subresource == "token" for call in cluster.calls)


async def test_a_token_is_the_accounts_own_for_the_api_server_and_lives_ten_minutes(
    tokens: AccountTokens, cluster: InProcessCluster, clock: StillClock
) -> None:
    token = await tokens.get()
    user, _ = cluster.server.authenticator.review(token.value.get_secret_value(), [API_AUDIENCE])
    assert user.name == "system:serviceaccount:image-catalog:verify"
    assert token.expires == clock() + timedelta(minutes=10)
    assert token.value.get_secret_value() not in f"{token} {token!r}"


async def test_a_token_is_kept_until_shortly_before_it_ends(
    tokens: AccountTokens, cluster: InProcessCluster, clock: StillClock
) -> None:
    first, *others = await asyncio.gather(*(tokens.get() for _ in range(4)))
    assert all(other is first for other in others)
    clock.advance(minutes=7, seconds=59)
    assert await tokens.get() is first
    clock.advance(seconds=1)
    assert await tokens.get() is not first
    assert creations(cluster) == 2


async def test_a_token_that_was_good_and_is_turned_down_is_replaced(tokens: AccountTokens, clock: StillClock) -> None:
    first = (await tokens.get()).value.get_secret_value()
    assert not tokens.drop(first)
    clock.advance(minutes=1)
    assert not tokens.drop("another")
    assert tokens.drop(first)
    assert not tokens.drop(first)
    assert (await tokens.get()).value.get_secret_value() != first


async def test_a_token_ends_with_the_pod_that_the_function_runs_in(clock: StillClock) -> None:
    sent: list[Any] = []
    status = {"token": "t", "expirationTimestamp": "2026-01-01T12:10:00Z"}

    class Recording:
        async def request(self, method: str, path: str, *, body: Any = None, **_options: Any) -> Response:
            sent.append((method, path, body))
            return Response(201, {}, json.dumps({"status": status}).encode())

        def stream(self, *_: Any, **__: Any) -> Any: ...

        async def close(self) -> None: ...

    api = KubernetesAPI(transport=Recording())
    await AccountTokens(api=api, clock=clock, pod="verify-00001-x", **OWN).get()
    ((method, path, body),) = sent
    assert method == "POST"
    assert path == "/api/v1/namespaces/image-catalog/serviceaccounts/verify/token"
    assert body["spec"] == {
        "expirationSeconds": 600,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "verify-00001-x"},
    }
    status.clear()
    with pytest.raises(ClusterUnavailableError, match="without a token"):
        await request_token(api, lifetime=timedelta(minutes=10), **OWN)


async def test_a_function_may_ask_for_its_own_tokens_and_no_others(
    cluster: InProcessCluster, clock: StillClock
) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "own", "namespace": FUNCTIONS_NAMESPACE}}
    rule = {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["verify"], "verbs": ["create"]}
    cluster.server.apply({**role, "kind": "Role", "rules": [rule]})
    subject = {"kind": "ServiceAccount", "name": "verify", "namespace": FUNCTIONS_NAMESPACE}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "own"}
    cluster.server.apply({**role, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]})
    api = cluster.api("verify", restricted=True)
    assert await AccountTokens(api=api, clock=clock, **OWN).get()
    with pytest.raises(ForbiddenError):
        await AccountTokens(api=api, clock=clock, namespace=FUNCTIONS_NAMESPACE, name="publish").get()


@pytest.mark.parametrize(
    ("effect", "error"),
    [
        pytest.param(Effect.FORBIDDEN, ForbiddenError, id="forbidden"),
        pytest.param(Effect.INVALID, InvalidObjectError, id="invalid"),
        pytest.param(Effect.UNAVAILABLE, ClusterUnavailableError, id="unavailable"),
    ],
)
async def test_no_token_is_an_error_that_says_why(
    tokens: AccountTokens, cluster: InProcessCluster, effect: Effect, error: type[Exception]
) -> None:
    cluster.fail(effect, resource="serviceaccounts")
    with pytest.raises(error, match="serviceaccounts/token verify in namespace image-catalog"):
        await tokens.get()


async def test_an_account_that_is_not_there_has_no_token(cluster: InProcessCluster, clock: StillClock) -> None:
    with pytest.raises(ClusterUnavailableError, match='"absent" not found'):
        await AccountTokens(api=cluster.api(), clock=clock, namespace=FUNCTIONS_NAMESPACE, name="absent").get()
