"""The API as processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_catalog.local.functions import free_port
from image_catalog.testing.forking import Forked, Forker


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """Import once for the processes that tests end: that is most of what a start takes."""
    with Forker.importing("image_catalog_functions.api.main", "uvloop") as parent:
        yield parent


@pytest.fixture
def started(forker: Forker, tmp_path: Path) -> Iterator[tuple[Forked, int, Path]]:
    """Start a process without a cluster for one test; give its port, where it listens before long, and its log, too."""
    port, log = free_port(), tmp_path / "log"
    known = {
        name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "IMAGE_CATALOG", "PORT"))
    }
    command = ("image_catalog_functions.api", "--auth", "none")
    with forker.running(*command, environment={**known, "PORT": str(port)}, log=log) as process:
        yield process, port, log
