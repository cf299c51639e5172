"""Who reaches whom: what the network policies allow is what the catalog and Knative need, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

Objects = dict[tuple[str, str], dict[str, Any]]

_FUNCTIONS = ["publish", "verify", "reverify", "cleanup", "audit", "api"]
_SOURCE = {"eventing.knative.dev/source": "apiserver-source-controller"}
_LINK_LOCAL = ip_network("169.254.0.0/16")
_NODES_DNS = ip_network("169.254.20.10/32")
_DNS = {53, 5353}
_API_SERVER = {443, 6443}
_BROKER = {8080, 8443}


@pytest.fixture(scope="session", params=["plain", "kafka", "openshift"])
def guarded(request: pytest.FixtureRequest, top: Path, build: Callable[[Path], Objects]) -> Objects:
    """Each overlay that is for a cluster."""
    return build(top / "knative/overlays" / request.param)


def _labels(objects: Objects, function: str) -> dict[str, str]:
    template = objects["Service", function]["spec"]["template"]["metadata"]["labels"]
    # The last one is Knative's own.
    return {**template, "serving.knative.dev/service": function}


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(
        e["operator"] == "In" and labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", ())
    )


def _rules(objects: Objects, labels: dict[str, str], direction: str) -> Iterator[dict[str, Any]]:
    for (kind, _), policy in objects.items():
        if kind == "NetworkPolicy" and _selects(policy["spec"]["podSelector"], labels):
            yield from policy["spec"].get(direction, ())


def _ports(rule: dict[str, Any]) -> set[int]:
    return {number for port in rule.get("ports", ()) for number in (port["port"], port.get("endPort", port["port"]))}


def _into(objects: Objects, function: str, namespace: str) -> set[int]:
    """Return the ports of a function that Pods of a namespace reach."""
    found = set()
    for rule in _rules(objects, _labels(objects, function), "ingress"):
        if any(
            _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace}) for peer in rule["from"]
        ):
            found |= _ports(rule)
    return found


def _out_of(objects: Objects, labels: dict[str, str]) -> set[tuple[str, int]]:
    """Return where a Pod gets, as (namespace or ``world``, port); port 0 is every port."""
    found = set()
    for rule in _rules(objects, labels, "egress"):
        for peer in rule["to"]:
            if "ipBlock" in peer:
                places = ["world"] if peer["ipBlock"]["cidr"] == "0.0.0.0/0" else []
            else:
                selector = peer["namespaceSelector"]
                places = [name for e in selector.get("matchExpressions", ()) for name in e["values"]]
                places += [*selector.get("matchLabels", {}).values()] or ([] if places else ["every namespace"])
            found |= {(place, port) for place in places for port in _ports(rule) or {0}}
    return found


def test_nothing_is_allowed_that_no_policy_names(guarded: Objects) -> None:
    deny = guarded["NetworkPolicy", "image-catalog-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for (kind, name), policy in guarded.items():
        if kind == "NetworkPolicy":
            # A rule of a direction that is not among the types would be passed over.
            assert {d for d in ("ingress", "egress") if d in policy["spec"]} <= {
                t.lower() for t in policy["spec"]["policyTypes"]
            }, name


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_a_function_is_reached_through_knative_alone(guarded: Objects, function: str) -> None:
    queue_proxy = {8012, 8013, 8112}
    for gateway in ("kourier-system", "knative-serving-ingress", "istio-system", "contour-internal"):
        assert _into(guarded, function, gateway) == queue_proxy
    # The activator sends, and the autoscaler asks for the figures it scales by.
    assert _into(guarded, function, "knative-serving") == {*queue_proxy, 9090}
    assert _into(guarded, function, "knative-eventing") == queue_proxy
    assert _into(guarded, function, "monitoring") == {8080, 9091}
    for stranger in ("team-a", "default", "image-catalog"):
        assert not _into(guarded, function, stranger)


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_every_function_reaches_names_the_api_server_the_broker_and_a_collector(
    guarded: Objects, function: str
) -> None:
    reached = _out_of(guarded, _labels(guarded, function))
    assert reached >= {("every namespace", port) for port in _DNS | {4317, 4318}}
    assert reached >= {("world", port) for port in _API_SERVER}
    assert reached >= {("knative-eventing", port) for port in _BROKER}


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_registries_the_history_and_the_functions_are_reached_by_those_who_ask_them(
    guarded: Objects, function: str
) -> None:
    reached = _out_of(guarded, _labels(guarded, function))
    assert (("world", 65535) in reached) == (function in {"publish", "verify"})
    assert (("world", 5432) in reached) == (function in {"audit", "api"})
    assert (("kourier-system", 0) in reached) == (function == "api")


def test_what_keeps_a_database_is_allowed_to_reach_it(guarded: Objects) -> None:
    for function in _FUNCTIONS:
        (container,) = guarded["Service", function]["spec"]["template"]["spec"]["containers"]
        keeps = any(v["name"] == "IMAGE_CATALOG_DATABASE_URL" for v in container["env"])
        assert keeps == (("world", 5432) in _out_of(guarded, _labels(guarded, function)))


def test_a_source_reaches_the_api_server_and_the_broker_and_is_reached_by_nobody(guarded: Objects) -> None:
    assert not list(_rules(guarded, _SOURCE, "ingress"))
    assert {place for place, _ in _out_of(guarded, _SOURCE)} == {"world", "every namespace", "knative-eventing"}
    assert {port for _, port in _out_of(guarded, _SOURCE)} == _DNS | _API_SERVER | _BROKER


def test_nobody_reaches_a_clouds_metadata_service(guarded: Objects) -> None:
    for (kind, name), policy in guarded.items():
        if kind != "NetworkPolicy":
            continue
        for rule in policy["spec"].get("egress", ()):
            for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
                network = ip_network(block["cidr"])
                if network.version == _LINK_LOCAL.version and network != _NODES_DNS:
                    assert _LINK_LOCAL in map(ip_network, block["except"]), name


def test_a_drained_node_takes_one_instance_at_a_time(guarded: Objects) -> None:
    budgets = {name: m["spec"] for (kind, name), m in guarded.items() if kind == "PodDisruptionBudget"}
    # reverify has one instance at most: a budget over it would protect nothing, or forbid to drain its node.
    assert budgets.keys() == set(_FUNCTIONS) - {"reverify"}
    for name, budget in budgets.items():
        assert budget["selector"]["matchLabels"] == {"serving.knative.dev/service": name}
        annotations = guarded["Service", name]["spec"]["template"]["metadata"]["annotations"]
        least = int(annotations.get("autoscaling.knative.dev/min-scale", "0"))
        # minAvailable of as many as there are would forbid every eviction.
        assert budget.get("maxUnavailable") == 1 or budget["minAvailable"] < least


def test_a_throw_away_cluster_is_guarded_by_nothing(local: Objects) -> None:
    assert not {kind for kind, _ in local} & {"NetworkPolicy", "PodDisruptionBudget"}
