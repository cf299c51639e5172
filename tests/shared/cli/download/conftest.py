"""A catalog by script, and servers of files that misbehave as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, ScriptedRequest
from image_catalog.testing.file_server import FileServer

Offer = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the files go; it is not there yet."""
    return tmp_path / "images"


@dataclass(frozen=True)
class Downloading:
    """Downloads the artifacts of ``autosd``.

    Attributes
    ----------
    folder
        Where they go.
    """

    caib: Any
    folder: Path

    def __call__(self, *options: str | int) -> Any:
        return self.caib("catalog", "download", "autosd", "-o", self.folder, *options)

    def left(self) -> list[str]:
        """Return every file of the folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def download(caib: Any, folder: Path) -> Downloading:
    return Downloading(caib, folder)


@pytest.fixture
def files() -> Iterator[FileServer]:
    with FileServer() as served:
        yield served


@pytest.fixture
def offer(catalog: ScriptedCatalog) -> Offer:
    """Return what has the catalog list artifacts of the entry ``autosd``."""

    def make(*items: dict[str, Any], **more: Any) -> None:
        def answer(request: ScriptedRequest) -> ScriptedAnswer:
            wanted = request.parameters.get("artifact")
            opened = [item if item["type"] == "s3" else {"downloadUrl": item["url"], **item} for item in items]
            chosen = [item for item in opened if wanted is None or item.get("name") == wanted]
            owner = {"name": "autosd", "namespace": "default", "registryUrl": "quay.io/acme/autosd:cs9"}
            return ScriptedAnswer(200, {"items": chosen, "metadata": owner, **more})

        catalog.answers["GET", "/images/autosd/artifacts"] = answer

    return make


@pytest.fixture
def listed(files: FileServer) -> Callable[..., dict[str, Any]]:
    """Return what serves a file, and lists it as one of a bucket."""

    def make(name: str, content: bytes, **more: Any) -> dict[str, Any]:
        digest = files.put(f"/{name}", content)
        url = f"{files.url}/{name}"
        item = {"type": "s3", "name": name, "url": url, "downloadUrl": f"{url}?signed=1", "checksum": digest}
        return {**item, "digest": digest, "sizeBytes": len(content), **more}

    return make
