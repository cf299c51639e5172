"""What breaks a schema is told in words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from image_catalog.models import CatalogImageSpec
from image_catalog.models.events import PublishRequest
from image_catalog.models.violations import violations_of

URL = "quay.io/a/b:1"
ENDS = "starting and ending with a letter or digit"


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (CatalogImageSpec, {"registryUrl": "b"}, "registryUrl must be a registry host and a repository, host[:port]/"),
        (CatalogImageSpec, {"registryUrl": URL, "digest": "x"}, "digest must be sha256: and 64 lower-case"),
        (CatalogImageSpec, {"registryUrl": URL, "verificationInterval": "1 day"}, "must be a duration as Go writes it"),
        (
            CatalogImageSpec,
            {"registryUrl": URL, "metadata": {"architecture": "mips"}},
            "metadata.architecture must be 'amd64', 'arm64', 'x86_64' or 'aarch64'",
        ),
        (
            CatalogImageSpec,
            {"registryUrl": URL, "metadata": {"distro": "c s9"}},
            f"metadata.distro must be letters, digits, '-', '_' and '.', {ENDS}",
        ),
        (CatalogImageSpec, {"registryUrl": URL, "driftPolicy": "x"}, "driftPolicy must be 'alert', 'follow' or"),
        (CatalogImageSpec, {}, "registryUrl is missing"),
        (CatalogImageSpec, {"registryUrl": 1}, "registryUrl must be a text"),
        (CatalogImageSpec, {"registryUrl": ""}, "registryUrl has fewer than 1 characters"),
        (CatalogImageSpec, {"registryUrl": "a" * 781}, "registryUrl has more than 780 characters"),
        (CatalogImageSpec, {"registryUrl": URL, "tags": ["x"] * 65}, "tags has more than 64 items"),
        (CatalogImageSpec, {"registryUrl": URL, "tags": "x"}, "tags must be a list"),
        (CatalogImageSpec, {"registryUrl": URL, "verifyBlobs": "x"}, "verifyBlobs must be true or false"),
        (CatalogImageSpec, {"registryUrl": URL, "metadata": "x"}, "metadata must be an object"),
        (PublishRequest, {"registryUrl": URL, "name": "A_b"}, "name must be lower-case letters, digits, '-'"),
        (PublishRequest, {"registryUrl": URL, "nane": "x"}, "nane is not known here"),
        (PublishRequest, {}, "give either registryUrl or imageBuild"),
    ],
    ids=[
        "reference", "digest", "duration", "architecture", "distro", "choice", "missing", "no text", "empty",
        "too long", "too many", "no list", "no flag", "no object", "name", "unknown", "our own words",
    ],
)  # fmt: skip
def test_a_violation_says_what_a_value_must_be(model: type[BaseModel], data: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(data)
    (violation,) = violations_of(refused.value)
    assert said in f"{violation.path} {violation.message}"


def test_a_violation_never_repeats_what_it_was_given() -> None:
    with pytest.raises(ValidationError) as refused:
        CatalogImageSpec.model_validate({"registryUrl": "pass word", "digest": "pass word"})
    assert "pass" not in str(violations_of(refused.value))
