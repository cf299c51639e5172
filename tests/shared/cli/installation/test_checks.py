from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from image_catalog.cli.installation import CHECKS, NAMESPACE, Finding, Reach, State, Surroundings, run_checks
from image_catalog.cli.installation.kinds import CRD, STOPPED
from image_catalog.cluster import CATALOG_IMAGE, CATALOG_REGISTRY
from image_catalog.errors import AuditUnavailableError, ClusterUnavailableError, PermanentError
from image_catalog.local.manifests import load_manifests
from image_catalog.models.crds import crd_manifests
from image_catalog.models.names import API_VERSION
from image_catalog.testing.cluster import Effect, InProcessCluster
from image_catalog.testing.installation import change, operator_deployment

Look = Callable[[str], Awaitable[list[Finding]]]

_OPERATOR = "automotive-dev-operator-system"


def _entry(name: str = "sample", namespace: str = "team-a", **fields: Any) -> dict[str, Any]:
    spec = {"registryUrl": f"quay.io/org/{name}:1", **fields}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": "CatalogImage", "metadata": metadata, "spec": spec}


def _registry(**spec: Any) -> dict[str, Any]:
    spec = {"host": "registry.example.com", **spec}
    return {"apiVersion": API_VERSION, "kind": "CatalogRegistry", "metadata": {"name": "own"}, "spec": spec}


async def _say(cluster: InProcessCluster, status: dict[str, Any]) -> None:
    await cluster.api().patch_status(CATALOG_REGISTRY, "own", None, status, resource_version=None)


async def test_a_whole_installation_has_nothing_wrong(around: Surroundings) -> None:
    findings = await run_checks(around)
    assert {finding.state for finding in findings} == {State.OK}
    assert {finding.check for finding in findings} == {
        "crds", "operator", "rights", "delivery", "registries", "database", "secrets", "entries",
    }  # fmt: skip


async def test_a_kind_that_is_not_installed_is_named_with_the_command(cluster: InProcessCluster, wrong: Look) -> None:
    await _delete_definition(cluster, "catalogregistries")
    (finding,) = await wrong("crds")
    assert finding.subject == "crd/catalogregistries.automotive.sdv.cloud.redhat.com"
    assert (finding.state, finding.message) == (State.WRONG, "not installed")
    assert "kubectl apply -k crds" in finding.remedy


async def _delete_definition(cluster: InProcessCluster, plural: str) -> None:
    await cluster.api().delete(CRD, f"{plural}.automotive.sdv.cloud.redhat.com")


async def test_a_kind_of_another_version_is_told_from_the_operators(cluster: InProcessCluster, wrong: Look) -> None:
    crd = crd_manifests()["catalogimages.yaml"]
    (version,) = crd["spec"]["versions"]
    older = {**version, "selectableFields": version["selectableFields"][:1]}
    cluster.server.apply({**crd, "spec": {**crd["spec"], "versions": [older]}})
    (finding,) = await wrong("crds")
    assert finding.message.startswith("of another version than ")

    marked = {**crd["metadata"], "annotations": {"controller-gen.kubebuilder.io/version": "v0.19.0"}}
    cluster.server.apply({**crd, "metadata": marked})
    (finding,) = await wrong("crds")
    assert finding.message.startswith("the build operator's own")
    assert "docs/migrating.md" in finding.remedy


def _let_the_operator_write(cluster: InProcessCluster) -> None:
    rule = {
        "apiGroups": ["automotive.sdv.cloud.redhat.com"],
        "resources": ["catalogimages/status"],
        "verbs": ["update"],
    }
    rbac = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": "manager"}, "rules": [rule]}
    account = {"kind": "ServiceAccount", "name": "ado-controller-manager", "namespace": _OPERATOR}
    cluster.server.apply(role)
    cluster.server.apply(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "manager"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "manager"},
            "subjects": [account],
        }
    )


@pytest.mark.parametrize("arguments", [(), ("--mode=build",), ("--mode", "all")], ids=["default", "build", "all"])
async def test_the_operators_own_catalog_controller_is_refused(
    cluster: InProcessCluster, wrong: Look, arguments: tuple[str, ...]
) -> None:
    _let_the_operator_write(cluster)
    cluster.server.apply(operator_deployment(arguments=arguments))
    (finding,) = await wrong("operator")
    assert finding.subject == f"{_OPERATOR}/deployment/ado-controller-manager"
    assert "reconciles CatalogImages" in finding.message
    assert "docs/migrating.md" in finding.remedy


@pytest.mark.parametrize("way", ["no rights", "no replicas", "platform", "platform apart", "elsewhere"])
async def test_an_operator_that_leaves_entries_alone_may_stay(cluster: InProcessCluster, wrong: Look, way: str) -> None:
    deployment = dict(operator_deployment())
    if way != "no rights":
        _let_the_operator_write(cluster)
    match way:
        case "no replicas":
            deployment["spec"] = {**deployment["spec"], "replicas": 0}
        case "platform":
            deployment = dict(operator_deployment(arguments=("--mode=platform",)))
        case "platform apart":
            deployment = dict(operator_deployment(arguments=("--mode", "platform")))
        case "elsewhere":
            deployment = dict(operator_deployment(env=[{"name": "WATCH_NAMESPACE", "value": "builds"}]))
        case _:
            assert way == "no rights"
    cluster.server.apply(deployment)
    assert await wrong("operator") == []


@pytest.mark.parametrize(
    "variable",
    [
        {"name": "WATCH_NAMESPACE", "value": _OPERATOR},
        {"name": "WATCH_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
    ],
    ids=["named", "its own"],
)
async def test_an_operator_that_is_bound_to_a_namespace_with_entries_is_refused(
    cluster: InProcessCluster, wrong: Look, variable: dict[str, Any]
) -> None:
    _let_the_operator_write(cluster)
    cluster.server.apply(operator_deployment(env=[variable]))
    assert await wrong("operator") == []
    cluster.server.apply(_entry(namespace=_OPERATOR))
    (finding,) = await wrong("operator")
    assert f"the CatalogImages of namespace {_OPERATOR}" in finding.message


@pytest.mark.parametrize(("age", "found"), [(5, 1), (3600, 0)], ids=["leading", "gone"])
async def test_an_operator_under_another_label_is_known_by_its_lease(
    cluster: InProcessCluster, wrong: Look, around: Surroundings, age: int, found: int
) -> None:
    renewed = around.clock() - timedelta(seconds=age)
    cluster.server.apply(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "930f6355-build.sdv.cloud.redhat.com", "namespace": _OPERATOR},
            "spec": {
                "holderIdentity": "pod_1",
                "leaseDurationSeconds": 15,
                "renewTime": f"{renewed:%Y-%m-%dT%H:%M:%S.%f}Z",
            },
        }
    )
    findings = await wrong("operator")
    assert len(findings) == found
    assert all("leads as pod_1" in finding.message for finding in findings)


async def test_a_right_that_is_missing_is_named_with_its_account(cluster: InProcessCluster, wrong: Look) -> None:
    (role,) = [
        m for m in load_manifests() if (m["kind"], m["metadata"]["name"]) == ("ClusterRole", "image-catalog-verify")
    ]
    kept = [rule for rule in role["rules"] if rule["resources"] != ["catalogimages/status"]]
    cluster.server.apply({**role, "rules": kept})
    (finding,) = await wrong("rights")
    assert (finding.subject, finding.message) == ("serviceaccount/verify", "may not patch catalogimages/status")
    assert "kubectl apply -k" in finding.remedy


@pytest.mark.parametrize(
    ("kind", "name", "subject"),
    [
        ("Broker", "image-catalog", "broker/image-catalog"),
        ("Trigger", "verify", "trigger/verify"),
        ("PingSource", "sweep", "pingsource/sweep"),
        ("Service", "publish", "ksvc/publish"),
        ("SinkBinding", "reverify", "sinkbinding/reverify"),
    ],
)
async def test_what_knative_has_not_made_ready_is_told_in_its_words(
    cluster: InProcessCluster, wrong: Look, kind: str, name: str, subject: str
) -> None:
    condition = {"type": "Ready", "status": "False", "reason": "NoSuchThing", "message": "it is not there"}
    change(cluster.server, kind, name, status={"conditions": [condition]})
    (finding,) = await wrong("delivery")
    assert (finding.subject, finding.message) == (subject, "not ready: NoSuchThing: it is not there")
    assert finding.remedy == f"kubectl -n {NAMESPACE} describe {subject}"


async def test_without_the_build_operator_it_is_said_that_only_builds_are_missed(
    cluster: InProcessCluster, wrong: Look
) -> None:
    change(cluster.server, "ApiServerSource", "imagebuilds")
    (finding,) = await wrong("delivery")
    assert finding.message == "not ready: no controller of Knative has looked at it yet"
    assert "only builds are missed" in finding.remedy


async def test_what_is_not_installed_is_told(cluster: InProcessCluster, wrong: Look) -> None:
    await cluster.api().delete(STOPPED[0], "cleanup", NAMESPACE)
    (finding,) = await wrong("delivery")
    assert (finding.subject, finding.message) == ("trigger/cleanup", "not installed")


@pytest.mark.parametrize(
    ("reach", "state"), [(Reach.NO_SUCH_NAME, State.UNKNOWN), (Reach.SILENT, State.WRONG)], ids=["outside", "silent"]
)
async def test_a_broker_that_does_not_answer_is_told_from_one_that_cannot_be_seen(
    here: Any, wrong: Look, reach: Reach, state: State
) -> None:
    here.reach = reach
    (finding,) = await wrong("delivery")
    assert finding.state is state
    assert here.asked == ["http://broker-ingress.knative-eventing.svc.cluster.local/image-catalog/broker"]


async def test_a_registry_is_judged_by_what_verify_says_of_it(
    cluster: InProcessCluster, here: Any, wrong: Look
) -> None:
    cluster.server.apply(_registry())
    (finding,) = await wrong("registries")
    assert (finding.state, finding.message) == (State.UNKNOWN, "verify has not probed it yet")
    await _say(cluster, {"phase": "Unreachable"})
    (finding,) = await wrong("registries")
    assert (finding.state, finding.message) == (State.WRONG, "verify does not reach it")
    await _say(cluster, {"phase": "Reachable"})
    here.reach = Reach.SILENT
    # A laptop needs not reach what the functions do.
    assert await wrong("registries") == []
    assert here.asked == ["https://registry.example.com/v2/"]


def _keep_url(cluster: InProcessCluster, **data: str) -> None:
    encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    metadata = {"name": "image-catalog-database", "namespace": NAMESPACE}
    cluster.server.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded})


@pytest.fixture
def history(cluster: InProcessCluster, around: Surroundings) -> Surroundings:
    """Return what checks are given where a database is named."""
    _keep_url(cluster, url="postgresql://db.example/history")
    return around


@pytest.mark.parametrize(
    ("version", "state", "said"),
    [
        (("0001", "0001"), State.OK, "the newest"),
        ((None, "0001"), State.UNKNOWN, "reached and empty"),
        (("0002", "0001"), State.WRONG, "has version 0002, this one knows 0001"),
        (AuditUnavailableError("no route"), State.WRONG, "cannot be used: no route"),
        (PermanentError("not a URL"), State.WRONG, "names no database: not a URL"),
        (TimeoutError(), State.WRONG, "does not answer"),
    ],
    ids=["newest", "empty", "newer", "unreachable", "no url", "silent"],
)
async def test_the_database_of_the_secret_is_looked_at(
    here: Any,
    history: Surroundings,
    version: tuple[str | None, str] | Exception,
    state: State,
    said: str,
) -> None:
    here.version = version
    (finding,) = await CHECKS["database"](history)
    assert (finding.state, said in finding.message) == (state, True)
    assert here.asked == ["postgresql://db.example/history"]


async def test_a_secret_without_the_url_is_told(cluster: InProcessCluster, wrong: Look) -> None:
    _keep_url(cluster, dsn="x")
    (finding,) = await wrong("database")
    assert finding.message == "has no key url"


async def test_a_registry_that_stands_for_many_hosts_is_asked_at_no_address(
    cluster: InProcessCluster, here: Any, wrong: Look
) -> None:
    cluster.server.apply(_registry(host="*.example.com"))
    assert await wrong("registries") == []
    cluster.server.apply(_registry(host="*.example.com", endpoint="https://mirror.example/base/"))
    await _say(cluster, {"phase": "Reachable"})
    assert await wrong("registries") == []
    assert here.asked == ["https://mirror.example/base/v2/"]


async def test_a_secret_that_is_missing_and_one_that_may_not_be_read_are_told_with_the_commands(
    cluster: InProcessCluster, wrong: Look
) -> None:
    cluster.server.apply(_entry(authSecretRef={"name": "pull"}))
    missing, barred = await wrong("secrets")
    assert (missing.subject, missing.message) == ("team-a/secret/pull", "not there, named by 1")
    assert (barred.subject, barred.message) == ("team-a/secrets", "publish and verify may not read them")
    assert barred.remedy.endswith(
        "kubectl -n team-a create rolebinding image-catalog-secret-reader --clusterrole=image-catalog-secret-reader "
        "--serviceaccount=image-catalog:publish --serviceaccount=image-catalog:verify"
    )


async def test_an_entry_as_the_operator_left_it_is_named(cluster: InProcessCluster, wrong: Look) -> None:
    cluster.server.apply(_entry())
    cluster.store_unchecked(CATALOG_IMAGE, "sample", "team-a", {"status": {"sourceImageBuild": "nightly-42"}})
    (finding,) = await wrong("entries")
    assert finding.message == (
        "1 of 1 cannot be read, so that nobody verifies them: team-a/sample (status.sourceImageBuild)"
    )
    assert "docs/migrating.md" in finding.remedy


async def test_what_may_not_be_asked_is_said_and_the_other_checks_go_on(
    cluster: InProcessCluster, around: Surroundings
) -> None:
    cluster.fail(Effect.FORBIDDEN, resource="subjectaccessreviews", times=1000)
    unknown = [finding for finding in await run_checks(around) if finding.state is State.UNKNOWN]
    assert [finding.check for finding in unknown] == ["rights"]
    assert "administrator" in unknown[0].remedy


async def test_a_secret_that_is_there_and_may_be_read_is_well(cluster: InProcessCluster, wrong: Look) -> None:
    cluster.server.apply(_registry(auth={"type": "secretRef", "secretRef": {"name": "pull", "namespace": "team-a"}}))
    cluster.server.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull", "namespace": "team-a"}})
    rbac = "rbac.authorization.k8s.io"
    cluster.server.apply(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "image-catalog-secret-reader", "namespace": "team-a"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "image-catalog-secret-reader"},
            "subjects": [
                {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE} for name in ("publish", "verify")
            ],
        }
    )
    assert await wrong("secrets") == []
    cluster.fail(Effect.FORBIDDEN, resource="secrets", times=2)
    (hidden,) = await wrong("secrets")
    assert (hidden.state, hidden.subject) == (State.UNKNOWN, "team-a/secret/pull")
    (database,) = await wrong("database")
    assert (database.state, database.remedy) == (State.UNKNOWN, "name the database with --database")


async def test_a_kind_that_is_being_deleted_is_told(cluster: InProcessCluster, wrong: Look) -> None:
    name = "catalogimages.automotive.sdv.cloud.redhat.com"
    cluster.store_unchecked(CRD, name, None, {"status": {"conditions": []}})
    (finding,) = await wrong("crds")
    assert finding.message.startswith("installed and not served")
    assert finding.remedy == f"kubectl describe crd/{name} says which"


async def test_a_registry_of_another_version_is_told(cluster: InProcessCluster, wrong: Look) -> None:
    cluster.server.apply(_registry())
    cluster.store_unchecked(CATALOG_REGISTRY, "own", None, {"spec": {"host": 5}})
    (finding,) = await wrong("registries")
    assert (finding.state, finding.message) == (State.WRONG, "cannot be read")


async def test_a_cluster_whose_api_server_does_not_answer_ends_the_check(
    cluster: InProcessCluster, around: Surroundings
) -> None:
    cluster.fail(Effect.UNAVAILABLE, resource="customresourcedefinitions", times=100)
    with pytest.raises(ClusterUnavailableError):
        await run_checks(around)


async def test_a_check_that_gets_no_answer_says_so_and_the_others_go_on(
    cluster: InProcessCluster, around: Surroundings
) -> None:
    cluster.fail(Effect.UNAVAILABLE, resource="catalogregistries", verb="list", times=100)
    unknown = [finding.check for finding in await run_checks(around) if finding.state is State.UNKNOWN]
    assert unknown == ["registries", "secrets"]
