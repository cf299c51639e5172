"""Who asks, and who may."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from image_catalog.local.kubernetes import Attributes, Cluster, User
from image_catalog.testing.clock import StillClock
from image_catalog.testing.kubernetes_requests import KubernetesRequests

RBAC = "rbac.authorization.k8s.io"
WIDGETS = "/apis/test.example.com/v1/namespaces/team/widgets"
REVIEWS = "/apis/authorization.k8s.io/v1"
ACCOUNT = {"kind": "ServiceAccount", "name": "worker", "namespace": "team"}


def role(*rules: dict[str, Any], cluster: bool = False) -> dict[str, Any]:
    metadata = {"name": "r"} if cluster else {"name": "r", "namespace": "team"}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole" if cluster else "Role",
        "metadata": metadata,
        "rules": list(rules),
    }


def binding(*subjects: dict[str, Any], cluster_role: bool = False, everywhere: bool = False) -> dict[str, Any]:
    metadata = {"name": "b"} if everywhere else {"name": "b", "namespace": "team"}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding" if everywhere else "RoleBinding",
        "metadata": metadata,
        "subjects": list(subjects),
        "roleRef": {"kind": "ClusterRole" if cluster_role else "Role", "name": "r"},
    }


def rule(verbs: str, resources: str, *names: str, groups: str = "test.example.com") -> dict[str, Any]:
    made: dict[str, Any] = {"verbs": verbs.split(), "apiGroups": [groups], "resources": resources.split()}
    return {**made, "resourceNames": list(names)} if names else made


@pytest.mark.parametrize(
    ("granted", "verb", "target", "allowed"),
    [
        pytest.param(rule("get", "widgets"), "get", "widgets/a", True, id="verb and resource"),
        pytest.param(rule("get", "widgets"), "list", "widgets/", False, id="another verb"),
        pytest.param(rule("get", "widgets"), "get", "widgets/a/status", False, id="a subresource is another resource"),
        pytest.param(rule("get", "widgets/status"), "get", "widgets/a/status", True, id="subresource"),
        pytest.param(rule("get", "*/status"), "get", "widgets/a/status", True, id="that subresource of everything"),
        pytest.param(rule("*", "*"), "delete", "widgets/a/status", True, id="everything of the group"),
        pytest.param(rule("get", "widgets", "a"), "get", "widgets/a", True, id="that name"),
        pytest.param(rule("get", "widgets", "a"), "get", "widgets/b", False, id="another name"),
        pytest.param(rule("list", "widgets", "a"), "list", "widgets/", False, id="names do not grant lists"),
        pytest.param(rule("get", "widgets", groups="other.io"), "get", "widgets/a", False, id="another group"),
        pytest.param(rule("get", "widgets", groups="*"), "get", "widgets/a", True, id="every group"),
    ],
)
def test_rules_are_matched(cluster: Cluster, granted: dict[str, Any], verb: str, target: str, *, allowed: bool) -> None:
    cluster.apply(role(granted))
    cluster.apply(binding(ACCOUNT))
    resource, name, *subresource = target.split("/")
    asked = Attributes(
        verb=verb,
        group="test.example.com",
        resource=resource,
        name=name,
        subresource="".join(subresource),
        namespace="team",
    )
    user = User("system:serviceaccount:team:worker", groups=("system:authenticated",))
    assert cluster.authorizer.decide(user, asked).allowed is allowed


@pytest.mark.parametrize(
    ("subject", "name", "groups", "allowed"),
    [
        pytest.param({"kind": "User", "name": "ada"}, "ada", (), True, id="user"),
        pytest.param({"kind": "User", "name": "ada"}, "eve", (), False, id="another user"),
        pytest.param({"kind": "Group", "name": "ops"}, "eve", ("ops",), True, id="group"),
        pytest.param(
            {"kind": "ServiceAccount", "name": "w"},
            "system:serviceaccount:team:w",
            (),
            True,
            id="account of the namespace",
        ),
        pytest.param({"kind": "Robot", "name": "ada"}, "ada", (), False, id="unknown kind"),
    ],
)
def test_subjects_are_matched(
    cluster: Cluster, subject: dict[str, Any], name: str, groups: tuple[str, ...], *, allowed: bool
) -> None:
    cluster.apply(role(rule("get", "widgets")))
    cluster.apply(binding(subject))
    asked = Attributes(verb="get", group="test.example.com", resource="widgets", namespace="team", name="a")
    assert cluster.authorizer.decide(User(name, groups=groups), asked).allowed is allowed


async def test_a_cluster_role_reaches_as_far_as_its_binding(cluster: Cluster, ask: KubernetesRequests) -> None:
    worker = ask.as_account("team", "worker")
    cluster.apply(role(rule("list", "widgets racks"), cluster=True))
    cluster.apply(binding(ACCOUNT, cluster_role=True))
    assert (await worker("GET", WIDGETS)).status_code == 200
    assert (await worker("GET", "/apis/test.example.com/v1/racks")).status_code == 403
    assert (await worker("GET", "/apis/test.example.com/v1/widgets")).status_code == 403
    cluster.apply(binding(ACCOUNT, cluster_role=True, everywhere=True))
    assert (await worker("GET", "/apis/test.example.com/v1/racks")).status_code == 200
    assert (await worker("GET", "/apis/test.example.com/v1/widgets")).status_code == 200


async def test_a_binding_to_a_role_that_is_not_there_grants_nothing(cluster: Cluster, ask: KubernetesRequests) -> None:
    cluster.apply(binding(ACCOUNT))
    answer = await ask.as_account("team", "worker")("GET", f"{WIDGETS}/a")
    assert answer.json()["message"].startswith(
        'widgets.test.example.com "a" is forbidden: User "system:serviceaccount:team:worker" cannot get'
    )


async def test_the_role_of_a_binding_stays(cluster: Cluster, ask: KubernetesRequests) -> None:
    cluster.apply(binding(ACCOUNT))
    path = f"/apis/{RBAC}/v1/namespaces/team/rolebindings"
    changed = await ask("PATCH", f"{path}/b", {"roleRef": {"name": "other"}})
    assert [cause["field"] for cause in changed.json()["details"]["causes"]] == ["roleRef"]
    without = await ask("POST", path, {"metadata": {"name": "c"}, "roleRef": {"kind": "Role"}})
    assert [cause["field"] for cause in without.json()["details"]["causes"]] == ["roleRef.name"]
    odd = await ask("POST", path, {"metadata": {"name": "a%b"}, "roleRef": {"kind": "Role", "name": "r"}})
    assert [cause["field"] for cause in odd.json()["details"]["causes"]] == ["metadata.name"]


@pytest.mark.parametrize(
    ("path", "anonymous", "account"),
    [
        pytest.param("/healthz", 200, 200, id="healthz"),
        pytest.param("/livez", 200, 200, id="livez"),
        pytest.param("/readyz", 200, 200, id="readyz"),
        pytest.param("/version", 200, 200, id="version"),
        pytest.param("/apis", 403, 200, id="discovery"),
        pytest.param("/openapi/v3", 403, 200, id="OpenAPI"),
        pytest.param("/metrics", 403, 403, id="anything else"),
    ],
)
async def test_paths_are_open_to_whom_they_should(
    cluster: Cluster, ask: KubernetesRequests, path: str, anonymous: int, account: int
) -> None:
    assert (await KubernetesRequests(cluster, token="")("GET", path)).status_code == anonymous
    assert (await ask.as_account("team", "worker")("GET", path)).status_code == account
    assert (await KubernetesRequests(cluster, token="")("POST", path)).status_code == 403


async def test_tokens_end_with_their_time_and_their_account(
    cluster: Cluster, ask: KubernetesRequests, clock: StillClock
) -> None:
    path = "/api/v1/namespaces/team/serviceaccounts"
    await ask("POST", path, {"metadata": {"name": "short"}})
    request = {"spec": {"expirationSeconds": 600}}
    issued = (await ask("POST", f"{path}/short/token", request)).json()["status"]
    assert issued["expirationTimestamp"] == "2026-01-01T12:10:00Z"
    account = KubernetesRequests(cluster, token=issued["token"])
    assert (await account("GET", "/apis")).status_code == 200
    clock.advance(minutes=11)
    assert (await account("GET", "/apis")).status_code == 401
    fresh = ask.as_account("team", "short")
    await ask("DELETE", f"{path}/short")
    assert (await fresh("GET", "/apis")).status_code == 401


async def test_a_token_that_is_bound_to_a_secret_ends_with_it(cluster: Cluster, ask: KubernetesRequests) -> None:
    namespace = "/api/v1/namespaces/team"
    await ask("POST", f"{namespace}/serviceaccounts", {"metadata": {"name": "worker"}})
    secret = (await ask("POST", f"{namespace}/secrets", {"metadata": {"name": "anchor"}})).json()
    bound = {"apiVersion": "v1", "kind": "Secret", "name": "anchor", "uid": secret["metadata"]["uid"]}
    issued = (
        await ask("POST", f"{namespace}/serviceaccounts/worker/token", {"spec": {"boundObjectRef": bound}})
    ).json()
    assert issued["spec"]["boundObjectRef"] == bound
    account = KubernetesRequests(cluster, token=issued["status"]["token"])
    assert (await account("GET", "/apis")).status_code == 200
    await ask("DELETE", f"{namespace}/secrets/anchor")
    assert (await account("GET", "/apis")).status_code == 401


@pytest.mark.parametrize(
    ("bound", "code", "message"),
    [
        pytest.param({"apiVersion": "v1", "kind": "Pod", "name": "w-1"}, 404, 'pods "w-1" not found', id="pod"),
        pytest.param({"apiVersion": "v1", "kind": "Secret", "name": "x"}, 404, 'secrets "x" not found', id="secret"),
        pytest.param(
            {"apiVersion": "v1", "kind": "Secret", "name": "s", "uid": "1"}, 409, "the UID in", id="other-uid"
        ),
        pytest.param({"apiVersion": "v1", "kind": "Node", "name": "n"}, 400, "type /v1, Kind=Node", id="other-kind"),
        pytest.param({"name": "n"}, 400, "cannot bind token to object of type", id="no-kind"),
    ],
)
async def test_a_token_is_bound_only_to_what_is_there(
    ask: KubernetesRequests, bound: dict[str, str], code: int, message: str
) -> None:
    namespace = "/api/v1/namespaces/team"
    await ask("POST", f"{namespace}/serviceaccounts", {"metadata": {"name": "worker"}})
    await ask("POST", f"{namespace}/secrets", {"metadata": {"name": "s"}})
    answer = await ask("POST", f"{namespace}/serviceaccounts/worker/token", {"spec": {"boundObjectRef": bound}})
    assert answer.status_code == code
    assert message in answer.json()["message"]


async def test_a_token_for_another_audience_is_no_key_to_the_api(cluster: Cluster) -> None:
    token = cluster.service_account_token("team", "worker", audiences=["image-catalog"])
    assert (await KubernetesRequests(cluster, token=token)("GET", "/apis")).status_code == 401
    _, audiences = cluster.authenticator.review(token, ["image-catalog", "other"])
    assert audiences == ["image-catalog"]


@pytest.mark.parametrize("seconds", [5, 1 << 33], ids=["too short", "too long"])
async def test_a_lifetime_out_of_bounds_is_invalid(ask: KubernetesRequests, seconds: int) -> None:
    path = "/api/v1/namespaces/team/serviceaccounts"
    await ask("POST", path, {"metadata": {"name": "a"}})
    answer = await ask("POST", f"{path}/a/token", {"spec": {"expirationSeconds": seconds}})
    assert [cause["field"] for cause in answer.json()["details"]["causes"]] == ["spec.expirationSeconds"]


async def test_impersonation_is_a_right_of_its_own(ask: KubernetesRequests) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    headers = {"Impersonate-User": "ada", "Impersonate-Group": "ops", "Impersonate-Uid": "7"}
    seen = (await ask("POST", path, {}, headers=headers)).json()["status"]["userInfo"]
    assert seen == {"username": "ada", "uid": "7", "groups": ["ops", "system:authenticated"]}
    refused = await ask.as_account("team", "worker")("POST", path, {}, headers=headers)
    assert refused.status_code == 403
    assert 'cannot impersonate resource "users"' in refused.json()["message"]
    account = {"Impersonate-User": "system:serviceaccount:team:worker"}
    groups = (await ask("POST", path, {}, headers=account)).json()["status"]["userInfo"]["groups"]
    assert "system:serviceaccounts:team" in groups


async def test_access_reviews_answer_for_oneself_and_for_others(cluster: Cluster, ask: KubernetesRequests) -> None:
    cluster.apply(role(rule("get", "widgets")))
    cluster.apply(binding(ACCOUNT))
    worker = ask.as_account("team", "worker")
    about = {"verb": "get", "group": "test.example.com", "resource": "widgets", "namespace": "team"}
    own = await worker("POST", f"{REVIEWS}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": about}})
    assert own.json()["status"]["allowed"] is True
    assert "RoleBinding" in own.json()["status"]["reason"]
    path = {"spec": {"nonResourceAttributes": {"verb": "get", "path": "/apis"}}}
    assert (await worker("POST", f"{REVIEWS}/selfsubjectaccessreviews", path)).json()["status"]["allowed"] is True
    spec = {"user": "system:serviceaccount:team:worker", "resourceAttributes": about}
    local = f"{REVIEWS}/namespaces/team/localsubjectaccessreviews"
    assert (await ask("POST", local, {"spec": spec})).json()["status"]["allowed"] is True
    elsewhere = {"spec": {**spec, "resourceAttributes": {**about, "namespace": "other"}}}
    assert (await ask("POST", local, elsewhere)).status_code == 422
    neither = await worker("POST", f"{REVIEWS}/selfsubjectaccessreviews", {"spec": {}})
    assert neither.status_code == 422


async def test_rules_reviews_list_what_one_may(cluster: Cluster, ask: KubernetesRequests) -> None:
    granted = rule("get", "widgets")
    cluster.apply(role(granted))
    cluster.apply(binding(ACCOUNT))
    path = f"{REVIEWS}/selfsubjectrulesreviews"
    own = await ask.as_account("team", "worker")("POST", path, {"spec": {"namespace": "team"}})
    assert granted in own.json()["status"]["resourceRules"]
    admin = await ask("POST", path, {"spec": {"namespace": "team"}})
    assert admin.json()["status"]["resourceRules"][0]["verbs"] == ["*"]
    assert (await ask("POST", path, {"spec": {}})).status_code == 400


async def test_a_hook_is_told_of_every_request() -> None:
    told: list[tuple[str, Attributes, int]] = []

    def hook(*, user: User, attributes: Attributes, status: int) -> None:
        told.append((user.name, attributes, status))

    made = Cluster(clock=lambda: datetime.now(UTC), random=Random(1), on_request=hook)  # noqa: S311 - no secrets
    ask = KubernetesRequests(made)
    await ask("GET", "/api/v1/namespaces/default/secrets/s")
    await ask.as_account("default", "worker")("PATCH", "/apis/coordination.k8s.io/v1/namespaces/default/leases/l", {})
    async with ask.watch("/api/v1/namespaces/default/events?watch=true"):
        pass
    assert told == [
        ("admin", Attributes(verb="get", resource="secrets", namespace="default", name="s"), 404),
        (
            "system:serviceaccount:default:worker",
            Attributes(verb="patch", group="coordination.k8s.io", resource="leases", namespace="default", name="l"),
            403,
        ),
        ("admin", Attributes(verb="watch", resource="events", namespace="default"), 200),
    ]
