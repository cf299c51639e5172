"""Command lines in this process, and a cluster over HTTPS for them to read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import typer

from image_catalog.cli.errors import report
from image_catalog.models.crds import crd_manifests
from image_catalog.testing.kubernetes_api import KubernetesApi, kubernetes_api


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line as its ``main`` does, without a kubeconfig of whoever runs the tests."""
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def run_app(app: typer.Typer, *arguments: str | Path) -> Ran:
        capsys.readouterr()
        code = report(partial(app, [str(argument) for argument in arguments]))
        return Ran(int(code), *capsys.readouterr())

    return run_app


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[KubernetesApi]:
    """Serve the embedded API with the catalog's kinds."""
    async with kubernetes_api(tmp_path, crds=crd_manifests().values(), namespaces=["team-b"]) as running:
        yield running


@pytest.fixture
def run_beside(run: Run) -> Callable[..., asyncio.Future[Ran]]:
    """Run a command line in a thread, because it has an event loop of its own."""

    def start(app: typer.Typer, *arguments: str | Path) -> asyncio.Future[Ran]:
        return asyncio.ensure_future(asyncio.to_thread(run, app, *arguments))

    return start
