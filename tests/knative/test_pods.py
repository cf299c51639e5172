from __future__ import annotations

from typing import Any

import pytest

from image_catalog.cluster import AUDIENCE
from image_catalog.registry.limits import DEFAULT_CONCURRENCY
from image_catalog.registry.places import UNPROVEN

Objects = dict[tuple[str, str], dict[str, Any]]

_WARM = {"publish", "verify", "api"}
"""Functions that keep tokens and connections, and the API, which keeps the index."""

_FUNCTIONS = ["publish", "verify", "reverify", "cleanup", "audit"]


@pytest.fixture(params=[*_FUNCTIONS, "api"])
def service(request: pytest.FixtureRequest, objects: Objects) -> dict[str, Any]:
    return objects["Service", request.param]


def _pod(service: dict[str, Any]) -> dict[str, Any]:
    return dict(service["spec"]["template"]["spec"])


def _container(service: dict[str, Any]) -> dict[str, Any]:
    (container,) = _pod(service)["containers"]
    return dict(container)


def test_a_container_can_do_no_more_than_it_needs(service: dict[str, Any]) -> None:
    # No runAsUser: OpenShift gives every namespace a range of its own and refuses any other.
    assert _container(service)["securityContext"] == {
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_a_pod_asks_for_nothing_that_knative_refuses_by_default(service: dict[str, Any]) -> None:
    # A Pod's security context, init containers and host access are behind feature flags.
    assert _pod(service).keys() == {
        "serviceAccountName",
        "enableServiceLinks",
        "containerConcurrency",
        "timeoutSeconds",
        "containers",
        "volumes",
    }
    assert not {"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"} & {v["name"] for v in _container(service)["env"]}


def test_the_only_place_to_write_is_small_and_in_memory(service: dict[str, Any]) -> None:
    writable = [v for v in _pod(service)["volumes"] if "emptyDir" in v]
    assert [v["emptyDir"] for v in writable] == [{"medium": "Memory", "sizeLimit": "16Mi"}]
    mounts = {m["name"]: m for m in _container(service)["volumeMounts"]}
    assert mounts[writable[0]["name"]]["mountPath"] == "/tmp"  # noqa: S108  # a mount inside the container
    assert all(m.get("readOnly") for name, m in mounts.items() if name != writable[0]["name"])


def test_a_container_has_requests_and_limits(service: dict[str, Any]) -> None:
    resources = _container(service)["resources"]
    assert resources["requests"].keys() == resources["limits"].keys() == {"cpu", "memory"}


def test_probes_ask_the_function_itself(service: dict[str, Any]) -> None:
    container = _container(service)
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_all_but_the_api_are_reachable_from_inside_the_cluster_alone(service: dict[str, Any]) -> None:
    visibility = service["metadata"]["labels"].get("networking.knative.dev/visibility")
    assert visibility == (None if service["metadata"]["name"] == "api" else "cluster-local")


def test_a_function_has_an_account_of_its_own(service: dict[str, Any]) -> None:
    assert _pod(service)["serviceAccountName"] == service["metadata"]["name"]


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_a_function_is_served_from_its_own_folder(name: str, objects: Objects) -> None:
    environment = {v["name"]: v.get("value") for v in _container(objects["Service", name])["env"]}
    assert environment["FUNCTION_TARGET"] == "main"
    assert environment["FUNCTION_SOURCE"] == f"/functions/{name}/main.py"


def test_the_api_asks_for_tokens(objects: Objects) -> None:
    container = _container(objects["Service", "api"])
    assert container["command"] == ["python", "-m", "image_catalog_functions.api"]
    assert container["args"] == ["--auth", "kubernetes", "--host", "0.0.0.0"]  # noqa: S104  # all of a Pod's addresses


def test_the_api_proves_itself_with_a_token_that_is_good_for_the_catalog_alone(objects: Objects) -> None:
    service = objects["Service", "api"]
    (volume,) = [v for v in _pod(service)["volumes"] if "projected" in v]
    (source,) = volume["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == AUDIENCE
    (mount,) = [m for m in _container(service)["volumeMounts"] if m["name"] == volume["name"]]
    environment = {v["name"]: v.get("value") for v in _container(service)["env"]}
    assert environment["IMAGE_CATALOG_TOKEN_FILE"] == f"{mount['mountPath']}/{source['serviceAccountToken']['path']}"


def test_the_api_calls_services_that_are_deployed_with_it(objects: Objects) -> None:
    environment = {v["name"]: v.get("value") for v in _container(objects["Service", "api"])["env"]}
    for name in ("publish", "verify"):
        namespace = objects["Service", name]["metadata"]["namespace"]
        assert environment[f"IMAGE_CATALOG_{name.upper()}_URL"] == f"http://{name}.{namespace}.svc.cluster.local"
        # A direct call is cut off by the function's own limit and never by the API's.
        assert _pod(objects["Service", "api"])["timeoutSeconds"] > _pod(objects["Service", name])["timeoutSeconds"]


def test_concurrency_is_bounded(service: dict[str, Any]) -> None:
    assert _pod(service)["containerConcurrency"] >= 1
    assert int(service["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/max-scale"]) >= 1


@pytest.mark.parametrize("name", ["publish", "verify"])
def test_a_registry_that_hangs_leaves_places_to_others(objects: Objects, name: str) -> None:
    """Whether it was quick until now, or many are at it that nobody knows."""
    assert _pod(objects["Service", name])["containerConcurrency"] >= DEFAULT_CONCURRENCY + UNPROVEN + 10


def test_functions_with_something_to_keep_stay_warm_and_the_others_scale_to_zero(
    service: dict[str, Any], objects: Objects
) -> None:
    least = service["spec"]["template"]["metadata"]["annotations"].get("autoscaling.knative.dev/min-scale")
    name = service["metadata"]["name"]
    # Where a budget says that one stays while a node is drained there must be two.
    two = objects.get(("PodDisruptionBudget", name), {"spec": {}})["spec"].get("minAvailable") == 1
    assert least == (("2" if two else "1") if name in _WARM else None)


def test_ticks_are_taken_one_at_a_time(objects: Objects) -> None:
    template = objects["Service", "reverify"]["spec"]["template"]
    assert template["spec"]["containerConcurrency"] == 1
    assert template["metadata"]["annotations"]["autoscaling.knative.dev/max-scale"] == "1"
