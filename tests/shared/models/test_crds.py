"""The CRDs that are committed are the ones that the models make, and they refuse what they shall."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from image_catalog.cluster import CATALOG_IMAGE, CATALOG_REGISTRY
from image_catalog.errors import InvalidObjectError
from image_catalog.models.crds import crd_manifests, write_crds
from image_catalog.testing.cluster import InProcessCluster

pytestmark = pytest.mark.story

_TOP = Path(__file__).parents[3]
_SECRET = {"name": "pushes", "namespace": "ops"}
_DIGEST, _OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def test_the_committed_files_are_the_generated_ones(tmp_path: Path) -> None:
    write_crds(tmp_path)
    for path in tmp_path.iterdir():
        assert (_TOP / "crds" / path.name).read_text() == path.read_text(), "run `make crds`"
    assert {path.name for path in (_TOP / "crds").glob("catalog*.yaml")} == {path.name for path in tmp_path.iterdir()}


def test_what_is_up_to_date_is_not_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert sorted(path.name for path in write_crds(folder)) == ["catalogimages.yaml", "catalogregistries.yaml"]
    assert write_crds(folder) == []
    (folder / "catalogimages.yaml").write_text("edited")
    assert [path.name for path in write_crds(folder)] == ["catalogimages.yaml"]


def _properties(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, child in schema.get("properties", {}).items():
        found.append((f"{path}.{name}", child))
        found += _properties(child, f"{path}.{name}")
    return found + _properties(schema["items"], f"{path}[]") if "items" in schema else found


@pytest.mark.parametrize("name", crd_manifests())
def test_every_field_says_what_it_is(name: str) -> None:
    (version,) = crd_manifests()[name]["spec"]["versions"]
    fields = _properties(version["schema"]["openAPIV3Schema"])
    assert fields
    # metadata belongs to Kubernetes, and no schema may say anything of it.
    assert [path for path, field in fields if not field.get("description") and path != ".metadata"] == []
    text = yaml.safe_dump(version["schema"])
    assert "$ref" not in text
    assert "anyOf" not in text
    assert "`" not in text


async def _create(kind: Any, spec: dict[str, Any]) -> dict[str, Any]:
    async with InProcessCluster() as cluster:
        namespace = "team-a" if kind is CATALOG_IMAGE else None
        return await cluster.api().create(kind, {"metadata": {"name": "one"}, "spec": spec}, namespace)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"registryUrl": f"quay.io/a/b@{_DIGEST}", "digest": _OTHER}, "spec.digest"),
        (
            {"registryUrl": "quay.io/a/b:1", "metadata": {"bootc": True, "bootcCapable": False}},
            "spec.metadata.bootc",
        ),
        ({"registryUrl": "quay.io/a/b:1", "tags": ["x", "x"]}, "spec.tags[1]"),
        ({"registryUrl": "quay.io/a/b:1", "metadata": {"targets": [{"name": "x"}, {"name": "x"}]}}, "spec.metadata"),
        ({"registryUrl": "b:1"}, "spec.registryUrl"),
        ({}, "spec.registryUrl"),
    ],
    ids=["digests differ", "bootc twice", "tag twice", "target twice", "no host", "no reference"],
)
async def test_an_entry_that_makes_no_sense_is_refused(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidObjectError) as refused:
        await _create(CATALOG_IMAGE, spec)
    assert any(violation.path.startswith(path) for violation in refused.value.violations)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("https://quay.io/a/b:1", "leave out the scheme: write host/repository:tag"),
        (
            "fedora:1",
            "must be a registry host and a repository, host[:port]/repository[:tag][@sha256:digest], for example …",
        ),
    ],
    ids=["with a scheme", "without a host"],
)
async def test_a_reference_is_refused_in_words_and_once(reference: str, message: str) -> None:
    with pytest.raises(InvalidObjectError) as refused:
        await _create(CATALOG_IMAGE, {"registryUrl": reference})
    (violation,) = refused.value.violations
    assert violation.path == "spec.registryUrl"
    assert message.removesuffix("…") in violation.message
    assert "[a-z" not in refused.value.message


async def test_what_nobody_says_is_filled_in() -> None:
    spec = (await _create(CATALOG_IMAGE, {"registryUrl": "quay.io/a/b:1", "unknown": 1, "metadata": {}}))["spec"]
    assert spec["verificationInterval"] == "1h"
    assert (spec["driftPolicy"], spec["verifyBlobs"], spec["metadata"]["os"]) == ("alert", False, "linux")
    assert "unknown" not in spec
    assert "digest" not in spec


async def test_equal_digests_are_no_contradiction() -> None:
    created = await _create(CATALOG_IMAGE, {"registryUrl": f"quay.io/a/b:1@{_DIGEST}", "digest": _DIGEST})
    assert created["spec"]["digest"] == _DIGEST


@pytest.mark.parametrize(
    "spec",
    [
        {"host": "quay.io", "auth": {"type": "secretRef"}},
        {"host": "quay.io", "auth": {"type": "none", "secretRef": {"name": "a", "namespace": "b"}}},
        {"host": "quay.io", "endpoint": "https://mirror.example.com", "tls": {"plainHTTP": True}},
        {"host": "*.example.com", "notifications": {"type": "harbor", "secretRef": _SECRET}},
        {"host": "quay.io", "notifications": {"type": "dockerhub", "secretRef": _SECRET}},
    ],
    ids=["secret is missing", "secret for nothing", "http and https", "pushes to any host", "Docker Hub of Quay"],
)
async def test_a_registry_that_makes_no_sense_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(InvalidObjectError):
        await _create(CATALOG_REGISTRY, spec)


def test_only_models_can_be_parts_of_a_kind() -> None:
    from image_catalog.models.crds import _field_schema  # noqa: PLC0415 - what no kind of ours can provoke

    class Broken(BaseModel):
        spec: str

    with pytest.raises(TypeError, match="no model"):
        _field_schema(Broken, "spec")
