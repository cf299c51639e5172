from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

import image_catalog
from image_catalog.config import Settings
from image_catalog.local.manifests import LOCAL_MANIFESTS, load_manifests, render_overlay
from image_catalog.models.catalogregistry import CatalogRegistry
from image_catalog.tracing import trace_target

Objects = dict[tuple[str, str], dict[str, Any]]

_CLUSTER_SCOPED = {"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "CatalogRegistry"}


def _of_kind(objects: Objects, *kinds: str) -> list[dict[str, Any]]:
    return [manifest for (kind, _), manifest in objects.items() if kind in kinds]


def _container(service: dict[str, Any]) -> dict[str, Any]:
    (container,) = service["spec"]["template"]["spec"]["containers"]
    return dict(container)


def _environment(objects: Objects) -> Iterator[tuple[str, str]]:
    for service in _of_kind(objects, "Service"):
        # What comes from a Secret has no value that could be looked at.
        yield from ((v["name"], v["value"]) for v in _container(service)["env"] if "valueFrom" not in v)


def _references(node: object) -> Iterator[dict[str, str]]:
    """Yield every Knative reference: a sink's, a subscriber's, a dead-letter sink's, a binding's subject."""
    if isinstance(node, dict):
        if {"apiVersion", "kind", "name"} <= node.keys():
            yield node
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def test_the_committed_manifests_are_the_local_overlay_as_it_renders_now(top: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed, and only it renders an overlay")
    assert LOCAL_MANIFESTS.read_text() == render_overlay(top / "knative/overlays/local")


def test_the_documented_command_writes_the_manifests(top: Path, tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed, and only it renders an overlay")
    target = tmp_path / "local.yaml"
    command = [sys.executable, "-m", "image_catalog.local.manifests", str(target)]
    subprocess.run(command, cwd=top, check=True, timeout=60)
    assert load_manifests(target) == load_manifests()


def test_every_reference_names_an_object_that_is_deployed_with_it(objects: Objects) -> None:
    for manifest in _of_kind(objects, "Broker", "Trigger", "ApiServerSource", "PingSource", "SinkBinding"):
        references = list(_references(manifest["spec"]))
        assert references
        for reference in references:
            target = objects[reference["kind"], reference["name"]]
            assert target["apiVersion"] == reference["apiVersion"]
            assert target["metadata"]["namespace"] == reference["namespace"]


def test_every_trigger_names_the_broker_that_is_deployed_with_it(objects: Objects) -> None:
    for trigger in _of_kind(objects, "Trigger"):
        assert ("Broker", trigger["spec"]["broker"]) in objects


def test_every_service_account_in_use_is_deployed(objects: Objects) -> None:
    accounts = [service["spec"]["template"]["spec"] for service in _of_kind(objects, "Service")]
    accounts += [source["spec"] for source in _of_kind(objects, "ApiServerSource")]
    for spec in accounts:
        assert ("ServiceAccount", spec["serviceAccountName"]) in objects


def test_every_namespaced_object_says_its_namespace(objects: Objects) -> None:
    for (kind, name), manifest in objects.items():
        expected = None if kind in _CLUSTER_SCOPED else "image-catalog"
        assert manifest["metadata"].get("namespace") == expected, (kind, name)
    assert ("Namespace", "image-catalog") in objects


def test_no_kustomization_rewrites_names(top: Path) -> None:
    # kustomize would rename the objects and leave a Trigger's broker, sinks and serviceAccountName as they are.
    for path in (top / "knative").rglob("kustomization.yaml"):
        keys = yaml.safe_load(path.read_text()).keys()
        assert not keys & {"namePrefix", "nameSuffix", "namespace"}, path


def test_every_object_says_what_it_is_part_of(objects: Objects) -> None:
    for key, manifest in objects.items():
        assert manifest["metadata"]["labels"]["app.kubernetes.io/part-of"] == "image-catalog", key


def test_every_setting_exists_and_has_a_value_that_is_taken(objects: Objects) -> None:
    for service in _of_kind(objects, "Service"):
        given = {
            v["name"]: v.get("value") for v in _container(service)["env"] if v["name"].startswith("IMAGE_CATALOG_")
        }
        for name in given:
            assert name.removeprefix("IMAGE_CATALOG_").lower() in Settings.model_fields
        Settings.from_environment(given)


def test_a_variable_is_set_once(objects: Objects) -> None:
    for service in _of_kind(objects, "Service"):
        names = [variable["name"] for variable in _container(service)["env"]]
        assert len(names) == len(set(names))


_OWN_SETTINGS = {"openshift": {"IMAGE_CATALOG_SERVICE_ACCOUNT", "IMAGE_CATALOG_SHARED_NAMESPACES"}}
"""What an overlay is there to set."""


@pytest.mark.parametrize("overlay", ["plain", "kafka", "openshift"])
def test_outside_the_local_overlay_settings_have_their_defaults(
    overlay: str, top: Path, build: Callable[[Path], Objects]
) -> None:
    for name, value in _environment(build(top / "knative/overlays" / overlay)):
        if name.startswith("IMAGE_CATALOG_") and name not in _OWN_SETTINGS.get(overlay, ()):
            field = name.removeprefix("IMAGE_CATALOG_").lower()
            given = Settings.model_validate({field: value})
            assert getattr(given, field) == Settings.model_fields[field].default, name


def test_private_networks_are_allowed_in_the_local_overlay_alone(top: Path, local: Objects) -> None:
    assert ("IMAGE_CATALOG_ALLOW_PRIVATE_NETWORKS", "true") in set(_environment(local))
    mentions = {
        path.relative_to(top / "knative").parts[:2]
        for path in (top / "knative").rglob("*.yaml")
        if "ALLOW_PRIVATE_NETWORKS" in path.read_text()
    }
    assert mentions == {("overlays", "local")}


def test_the_local_overlay_brings_every_kind_that_the_functions_need(top: Path, local: Objects) -> None:
    crds = {name for kind, name in local if kind == "CustomResourceDefinition"}
    owned = {yaml.safe_load(path.read_text())["metadata"]["name"] for path in (top / "crds").glob("*.yaml")}
    assert crds == owned | {"imagebuilds.automotive.sdv.cloud.redhat.com"}


def test_the_permissive_build_kind_stays_in_the_local_overlay(top: Path) -> None:
    (permissive,) = [path for path in (top / "knative").rglob("*.yaml") if _declares_imagebuilds(path)]
    assert permissive == top / "knative/overlays/local/imagebuild-crd.yaml"
    assert "local stack only" in permissive.read_text().splitlines()[0]


def _declares_imagebuilds(path: Path) -> bool:
    return re.search(r"^  name: imagebuilds\.automotive", path.read_text(), re.MULTILINE) is not None


@pytest.mark.parametrize("overlay", ["plain", "kafka", "openshift"])
def test_deleting_an_installation_keeps_the_entries(overlay: str, top: Path, build: Callable[[Path], Objects]) -> None:
    # `kubectl delete -k` of a CRD deletes every object of its kind.
    assert not _of_kind(build(top / "knative/overlays" / overlay), "CustomResourceDefinition")


def test_the_image_has_the_version_of_the_package(objects: Objects) -> None:
    images = {_container(service)["image"] for service in _of_kind(objects, "Service")}
    assert images == {f"image-catalog:{image_catalog.__version__}"}


def test_openshift_knows_its_internal_registry(top: Path, build: Callable[[Path], Objects]) -> None:
    openshift = build(top / "knative/overlays/openshift")
    registry = CatalogRegistry.model_validate(openshift["CatalogRegistry", "openshift-internal"])
    assert registry.spec.host == "image-registry.openshift-image-registry.svc:5000"
    assert registry.spec.type == "openshift-internal"
    assert registry.spec.allow_private_networks


def test_openshift_trusts_the_service_ca_where_registries_are_asked(
    top: Path, build: Callable[[Path], Objects]
) -> None:
    openshift = build(top / "knative/overlays/openshift")
    trust = openshift["ConfigMap", "service-ca"]
    assert trust["metadata"]["annotations"]["service.beta.openshift.io/inject-cabundle"] == "true"
    mounting = {
        service["metadata"]["name"]
        for service in _of_kind(openshift, "Service")
        if any(
            v.get("configMap", {}).get("name") == "service-ca" for v in service["spec"]["template"]["spec"]["volumes"]
        )
    }
    assert mounting == {"publish", "verify"}


def test_on_openshift_each_function_that_asks_registries_may_ask_for_tokens_of_its_own(
    top: Path, build: Callable[[Path], Objects]
) -> None:
    openshift = build(top / "knative/overlays/openshift")
    own = {binding["metadata"]["name"]: binding for binding in _of_kind(openshift, "RoleBinding")}
    assert own.keys() == {f"image-catalog-{name}-own-token" for name in ("publish", "verify")}
    for name in ("publish", "verify"):
        binding = own[f"image-catalog-{name}-own-token"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "image-catalog"}]
        assert openshift["Role", binding["roleRef"]["name"]]["rules"] == [
            {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [name], "verbs": ["create"]}
        ]
        service = openshift["Service", name]
        environment = {variable["name"]: variable.get("value") for variable in _container(service)["env"]}
        assert environment["IMAGE_CATALOG_SERVICE_ACCOUNT"] == f"image-catalog/{name}"
        assert service["spec"]["template"]["spec"]["serviceAccountName"] == name
        assert "IMAGE_CATALOG_POD_NAME=" in _container(service)["command"][-1]


def test_components_combine_with_an_overlay(top: Path, tmp_path: Path, build: Callable[[Path], Objects]) -> None:
    knative = top / "knative"
    target = tmp_path / "kustomization.yaml"
    relative = "/".join([".."] * (len(tmp_path.resolve().parts) - 1)) + str(knative)
    target.write_text(
        yaml.safe_dump(
            {
                "resources": [f"{relative}/overlays/openshift"],
                "components": [f"{relative}/components/kafka", f"{relative}/components/event-policy"],
                "images": [{"name": "image-catalog", "newName": "registry.example/team/catalog", "newTag": "1"}],
            }
        )
    )
    combined = build(tmp_path)
    assert (
        combined["Broker", "image-catalog"]["metadata"]["annotations"]["eventing.knative.dev/broker.class"] == "Kafka"
    )
    images = {_container(service)["image"] for service in _of_kind(combined, "Service")}
    assert images == {"registry.example/team/catalog:1"}
    policy = combined["EventPolicy", "image-catalog-broker"]
    senders = {(sender["ref"]["kind"], sender["ref"]["name"]) for sender in policy["spec"]["from"]}
    assert senders == {key for key in combined if key[0] in {"ApiServerSource", "PingSource", "SinkBinding"}}


def test_traces_go_where_one_config_map_says(top: Path, tmp_path: Path, build: Callable[[Path], Objects]) -> None:
    relative = "/".join([".."] * (len(tmp_path.resolve().parts) - 1)) + str(top / "knative")
    wanted = {"resources": [f"{relative}/overlays/plain"], "components": [f"{relative}/components/tracing"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    combined = build(tmp_path)
    said = combined["ConfigMap", "image-catalog-tracing"]
    target = trace_target(said["data"])
    assert target is not None
    assert (target.trouble, urlsplit(target.url).path) == ("", "/v1/traces")
    services = _of_kind(combined, "Service")
    assert services
    for service in services:
        assert {"configMapRef": {"name": said["metadata"]["name"]}} in _container(service)["envFrom"]
        assert service["metadata"]["namespace"] == said["metadata"]["namespace"]
    # Whatever else is forbidden, a collector may be reached.
    egress = combined["NetworkPolicy", "image-catalog-functions-egress"]["spec"]["egress"]
    ports = [port["port"] for rule in egress for port in rule["ports"] if rule["to"] == [{"namespaceSelector": {}}]]
    assert urlsplit(target.url).port in ports


def test_no_overlay_has_an_event_policy(objects: Objects) -> None:
    # Knative refuses them unless OIDC is on, which it is not by default.
    assert not _of_kind(objects, "EventPolicy")
