"""Command lines in this process, and a catalog that answers by script for them to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import structlog
import typer

from image_catalog.cli.errors import report
from image_catalog.cli.tree import run as run_caib
from image_catalog.testing.catalog_api import ScriptedCatalog

_SETTINGS = ("KUBECONFIG", "CAIB_SERVER", "CAIB_TOKEN", "XDG_CONFIG_HOME", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
"""What somebody who runs the tests may have set for a catalog of their own."""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Take back where a command has sent the logs: to a stream that ends with its test."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give commands an empty home and no settings."""
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], home: Path) -> Run:
    """Run a command line as its ``main`` does."""
    assert home.is_dir()

    def run_app(app: typer.Typer, *arguments: str | Path) -> Ran:
        capsys.readouterr()
        code = report(partial(app, [str(argument) for argument in arguments]))
        return Ran(int(code), *capsys.readouterr())

    return run_app


@pytest.fixture
def catalog() -> Iterator[ScriptedCatalog]:
    """Serve the catalog's API by script."""
    with ScriptedCatalog() as served:
        yield served


@pytest.fixture
def caib(
    capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch, catalog: ScriptedCatalog
) -> Run:
    """Run ``caib``, with the scripted catalog in ``CAIB_SERVER`` and nothing else set."""
    assert home.is_dir()
    monkeypatch.setenv("CAIB_SERVER", catalog.url)

    def start(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        code = run_caib([str(argument) for argument in arguments])
        return Ran(int(code), *capsys.readouterr())

    return start
