"""``caib`` in this process, asking a catalog that answers by script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from image_catalog.cli.tree import run as run_caib
from image_catalog.testing.catalog_api import ScriptedCatalog


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


Caib = Callable[..., Ran]


@pytest.fixture
def catalog() -> Iterator[ScriptedCatalog]:
    """Serve the catalog's API by script."""
    with ScriptedCatalog() as served:
        yield served


@pytest.fixture
def caib(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, catalog: ScriptedCatalog
) -> Caib:
    """Run ``caib catalog`` without any settings of whoever runs the tests."""
    for name in ("KUBECONFIG", "CAIB_TOKEN", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CAIB_SERVER", catalog.url)

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = run_caib(["catalog", *arguments])
        return Ran(int(code), *capsys.readouterr())

    return run
