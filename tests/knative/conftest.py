"""Every overlay as the objects that ``kubectl apply -k`` deploys."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_catalog.local.manifests import load_manifests
from image_catalog.testing import rights

Objects = dict[tuple[str, str], dict[str, Any]]
"""Manifests by kind and name."""

_TOP = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def top() -> Path:
    """Folder of the checkout."""
    return _TOP


@cache
def _build(folder: Path) -> Objects:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed, and only it builds an overlay")
    command = [kubectl, "kustomize", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert built.returncode == 0, built.stderr
    return _by_name(list(yaml.safe_load_all(built.stdout)))


def _by_name(manifests: list[dict[str, Any]]) -> Objects:
    objects = {(m["kind"], m["metadata"]["name"]): m for m in manifests}
    assert len(objects) == len(manifests), "two objects of one kind share a name"
    return objects


@pytest.fixture(scope="session")
def build() -> Callable[[Path], Objects]:
    """Build a folder that has a kustomization; skips without kubectl."""
    return _build


@pytest.fixture(scope="session")
def local() -> Objects:
    """Return the local overlay, from the committed file: it needs no kubectl."""
    return _by_name(load_manifests())


@pytest.fixture(scope="session", params=["local", "plain", "kafka", "openshift"])
def objects(request: pytest.FixtureRequest, local: Objects) -> Objects:
    """Each overlay in turn."""
    return local if request.param == "local" else _build(_TOP / "knative" / "overlays" / request.param)


@pytest.fixture(scope="session")
def granted(local: Objects) -> Callable[[str], set[tuple[str, str, str]]]:
    """Return what a ServiceAccount of ours may do: a set of (API group, resource, verb)."""
    return partial(rights.granted, list(local.values()))
