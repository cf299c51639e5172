"""Entries of a board, as the API server has them, changed where a test says so."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256
from typing import Any

import pytest

MakeObject = Callable[..., dict[str, Any]]


@pytest.fixture
def digest_of() -> Callable[[str], str]:
    """Make the digest of a content that is named by a word."""
    return _digest


@pytest.fixture
def make_object(digest_of: Callable[[str], str]) -> MakeObject:
    """Make an entry for the board rpi4 that fits everything; other fields are given by their paths."""

    def make(name: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        obj: dict[str, Any] = {
            "metadata": {"name": name, "namespace": "default", "generation": 1, "resourceVersion": "1"},
            "spec": {
                "registryUrl": f"quay.io/acme/{name}:1",
                "tags": ["lts"],
                "metadata": {
                    "architecture": "arm64",
                    "distro": "cs9",
                    "distroVersion": "9.4",
                    "buildMode": "image",
                    "bootcCapable": False,
                    "targets": [{"name": "rpi4"}, {"name": "qemu"}],
                },
            },
            "status": {
                "phase": "Available",
                "observedGeneration": 1,
                "registryMetadata": {
                    "resolvedDigest": digest_of(name),
                    "platform": {"architecture": "arm64", "os": "linux"},
                },
                "publishedAt": "2026-06-01T12:00:00Z",
                "availability": {"last24h": 0.5, "last30d": 0.99},
            },
        }
        for path, value in (changes or {}).items():
            _put(obj, path.split("/"), deepcopy(value))
        return obj

    return make


def _digest(word: str) -> str:
    return f"sha256:{sha256(word.encode()).hexdigest()}"


def _put(obj: dict[str, Any], path: list[str], value: Any) -> None:
    *parents, last = path
    for parent in parents:
        obj = obj.setdefault(parent, {})
    if value is None:
        obj.pop(last, None)
    else:
        obj[last] = value
