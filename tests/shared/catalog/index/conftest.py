"""Objects made of what a test cares for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from image_catalog.models.names import LABEL_SCHEDULE

MakeImage = Callable[..., dict[str, Any]]


@pytest.fixture
def make_image() -> MakeImage:
    """Make objects, each with a resource version greater than that of the one before."""
    revisions = count(1)

    def make(
        name: str,
        namespace: str = "lab",
        *,
        url: str | None = None,
        tags: tuple[str, ...] = (),
        published: str | None = "2026-05-01T00:00:00Z",
        phase: str | None = "Available",
        schedule: str | None = None,
        size: int | None = None,
        accesses: int | None = None,
        **metadata: Any,
    ) -> dict[str, Any]:
        status = {
            "phase": phase,
            "publishedAt": published,
            "registryMetadata": {"sizeBytes": size} if size is not None else None,
            "accessCount": accesses,
        }
        return {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": f"uid-of-{name}",
                "resourceVersion": str(next(revisions)),
                "labels": {LABEL_SCHEDULE: schedule} if schedule else {},
            },
            "spec": {"registryUrl": url or f"quay.io/lab/{name}:1", "tags": list(tags), "metadata": metadata},
            "status": {field: value for field, value in status.items() if value is not None},
        }

    return make
