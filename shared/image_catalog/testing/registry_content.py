"""Manifests that no honest builder makes, for `FakeRegistry.put_raw`."""

from __future__ import annotations

import json
from typing import Any

from image_catalog.local.registry import Sample, SampleImage, SampleIndex

__all__ = [
    "SCHEMA_1",
    "deeply_nested",
    "escaping_digest",
    "foreign_layer",
    "manifest_and_index",
    "nested_index",
    "nested_lists",
    "schema_1",
    "self_naming_index",
    "twice_said",
    "wide_index",
]

SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
"""The media type of a signed schema 1 manifest."""


def schema_1(repository: str = "team/os", tag: str = "1.0") -> bytes:
    """Write a manifest of the schema that went before layers had descriptors."""
    layer = SampleImage().blobs[1].digest
    return _write(
        {
            "schemaVersion": 1,
            "name": repository,
            "tag": tag,
            "architecture": "amd64",
            "fsLayers": [{"blobSum": layer}],
            "history": [{"v1Compatibility": "{}"}],
            "signatures": [],
        }
    )


def self_naming_index(digest: str) -> bytes:
    """Write an index that names itself as its only child.

    Parameters
    ----------
    digest
        What it is served under; no content has a digest that it contains.
    """
    child = {"mediaType": SampleIndex().media_type, "digest": digest, "size": 1}
    return _write({"schemaVersion": 2, "mediaType": SampleIndex().media_type, "manifests": [child]})


def wide_index(children: int = 100_000) -> bytes:
    """Write an index of so many platforms that asking for each would take for ever."""
    media_type = SampleImage().media_type
    entries = [{"mediaType": media_type, "digest": f"sha256:{n:064x}", "size": 1} for n in range(children)]
    return _write({"schemaVersion": 2, "mediaType": SampleIndex().media_type, "manifests": entries})


def escaping_digest() -> bytes:
    """Write a manifest whose configuration's digest leads out of its repository (CVE-2024-3727)."""
    document = json.loads(SampleImage().manifest)
    document["config"]["digest"] = "sha256:../../../token?x="
    return _write(document)


def foreign_layer(url: str) -> bytes:
    """Write a manifest with a layer that is to be fetched elsewhere (CVE-2020-15157).

    Parameters
    ----------
    url
        Where it says that the layer is.
    """
    document = json.loads(SampleImage().manifest)
    document["layers"][0]["urls"] = [url]
    return _write(document)


def nested_index(depth: int = 2) -> Sample:
    """Build indexes within indexes, an image at the end; put it in as any sample."""
    sample: Sample = SampleImage()
    for _ in range(depth):
        sample = SampleIndex([sample])
    return sample


def manifest_and_index() -> bytes:
    """Write one body that reads as an image and as an index, by what its header says.

    https://github.com/advisories/GHSA-mc8v-mgrf-8f4m
    """
    both: dict[str, Any] = json.loads(SampleImage().manifest) | json.loads(SampleIndex().manifest)
    both.pop("mediaType")
    return _write(both)


def twice_said() -> bytes:
    """Write an image manifest that has one key twice, so that two readers see two images."""
    content = SampleImage().manifest
    other = _write(json.loads(SampleImage(name="other").manifest)["config"])
    return b'{"config":' + other + b"," + content[1:]


def deeply_nested(depth: int = 100_000) -> bytes:
    """Write JSON that is nothing but nesting, on which a recursive reader runs out of stack."""
    return b"[" * depth + b"]" * depth


def nested_lists(size: int = 4_000_000) -> bytes:
    """Write JSON that nests no deeper than is allowed, and is all brackets: the most work that so few bytes can be."""
    part = b"[" * 30 + b"]" * 30
    return b'{"manifests":[' + b",".join([part] * (size // len(part))) + b"]}"


def _write(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
