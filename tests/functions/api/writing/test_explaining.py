"""An explanation from end to end: which source had the say, each step with its time, and what refers to the image."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from image_catalog.local.registry import SampleImage
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.registry import BearerAuth
from image_catalog.testing.world import World, running_world

URL = "quay.io/acme/autosd:cs9"


@pytest.fixture
async def world(tmp_path: Path, functions: tuple[PipelineFunction, ...]) -> AsyncIterator[World]:
    """Serve a private image with a signature, and a Secret that opens it."""
    async with running_world(functions, tmp_path / "world", auth=BearerAuth()) as world:
        image = SampleImage()
        world.push(image)
        SampleImage(name="signature", subject=image).put(world.registry.store, "acme/autosd")
        reader = world.registry.account("reader")
        world.registry.restrict("acme", reader)
        world.allow_secrets()
        world.add_secret("pull", reader)
        yield world


async def explain(catalog: Any, **body: Any) -> dict[str, Any]:
    answer = await catalog.ask("POST", "/verify?namespace=team-a", {"registryUrl": URL, **body})
    assert answer.status_code == 200
    said: dict[str, Any] = answer.json()
    return said


async def test_each_step_is_told_with_its_time_and_the_key_that_matched(catalog: Any) -> None:
    said = await explain(catalog, authSecretRef={"name": "pull"}, deep=True)
    assert said["phase"] == "Available"
    assert [step["name"] for step in said["steps"]] == [
        "Credentials",
        "Registry accessibility",
        "Digest verification",
        "Metadata extraction",
        "Referrers",
    ]
    assert all(step["status"] == "ok" and step["milliseconds"] >= 0 for step in said["steps"])
    told = {step["name"]: step["message"] for step in said["steps"]}
    assert "Secret team-a/pull, key quay.io" in told["Credentials"]
    assert told["Referrers"] == "OK (1 other)"


async def test_what_was_passed_over_is_told_with_a_denial(catalog: Any) -> None:
    said = await explain(catalog)
    assert (said["phase"], said["reason"]) == ("Failed", "AuthenticationFailed")
    assert said["steps"][0]["name"] == "Credentials"
    assert "authSecretRef" in said["steps"][0]["message"], "the sources that had nothing are named"


async def test_details_list_what_refers_to_the_image(catalog: Any) -> None:
    added = await catalog.ask(
        "POST", "/images", {"name": "autosd", "spec": {"registryUrl": URL, "authSecretRef": {"name": "pull"}}}
    )
    assert added.status_code == 201
    details = (await catalog.ask("GET", "/images/autosd")).json()
    (found,) = details["status"]["registryMetadata"]["referrers"]
    assert found.keys() == {"kind", "artifactType", "digest", "sizeBytes"}
