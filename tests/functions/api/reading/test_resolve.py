"""`GET /resolve`: one image for a board, why none of the others, and what the audit is told."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from image_catalog.cluster import Caller
from image_catalog.testing.clock import StillClock
from image_catalog_functions.api.services import Services

ANY = {"target": "qemu", "allNamespaces": "true"}


async def test_one_image_is_named_by_digest_and_all_others_by_why_they_lost(client: httpx.AsyncClient) -> None:
    everything = {"target": "qemu", "allNamespaces": "true", "limit": "500"}
    answer = (await client.get("resolve", params=everything)).raise_for_status().json()
    listed = (await client.get("images", params=everything)).raise_for_status().json()["items"]
    available = [item for item in listed if item["status"]["phase"] == "Available"]
    # The list is sorted by publication: the first that is Available is the newest of all that could be flashed.
    newest = available[0]
    assert (answer["namespace"], answer["name"]) == (newest["metadata"]["namespace"], newest["metadata"]["name"])
    repository = newest["spec"]["registryUrl"].rpartition(":")[0]
    digest = newest["status"]["registryMetadata"]["resolvedDigest"]
    assert answer["reference"] == f"{repository}@{digest}"
    assert answer["platformDigest"] == digest
    others = {(each["namespace"], each["name"]) for each in answer["rejected"]}
    assert len(others) == len(answer["rejected"]) == len(listed) - 1
    assert (answer["namespace"], answer["name"]) not in others
    assert answer["remainingRejectedCount"] == 0
    artifacts = await client.get(f"http://api.test{answer['artifactsPath']}")
    assert artifacts.status_code == 200
    assert len(artifacts.json()["items"]) == answer["artifactCount"]
