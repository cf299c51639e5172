"""Entries as models: what they admit, and what they say on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from image_catalog.models import CatalogImage, CatalogMetadata, format_time, normalise_architecture, parse_time
from image_catalog.models.catalogimage import LONGEST_INTERVAL


def image(**spec: Any) -> CatalogImage:
    return CatalogImage.from_object(
        {"metadata": {"name": "os", "namespace": "team-a"}, "spec": {"registryUrl": "quay.io/acme/os:1", **spec}}
    )


@pytest.mark.parametrize(
    "spec",
    [
        {"registryUrl": "acme/os:1"},
        {"registryUrl": "https://quay.io/acme/os"},
        {"digest": "sha256:abc"},
        {"verificationInterval": "1 hour"},
        {"tags": [""]},
        {"driftPolicy": "ignore"},
        {"metadata": {"architecture": "mips"}},
        {"metadata": {"distro": "no good"}},
        {"metadata": {"targets": [{"name": "x" * 64}]}},
    ],
    ids=["no host", "scheme", "digest", "interval", "tag", "policy", "architecture", "distro", "target"],
)
def test_what_the_schema_refuses(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        image(**spec)


def test_what_a_newer_version_wrote_is_left_aside() -> None:
    assert image(somethingNew=True).to_dict()["spec"] == image().to_dict()["spec"]


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("1h30m", timedelta(minutes=90)),
        ("0.5h", timedelta(minutes=30)),
        ("1500ms", timedelta(seconds=1.5)),
        ("9999999h", LONGEST_INTERVAL),
        ("9" * 60 + "h", LONGEST_INTERVAL),
    ],
    ids=["minutes", "fraction", "milliseconds", "too long", "beyond numbers"],
)
def test_the_interval_in_effect(text: str, interval: timedelta) -> None:
    assert image(verificationInterval=text).spec.interval == interval


def test_architectures_have_one_name() -> None:
    assert [normalise_architecture(a) for a in ("x86_64", "aarch64", "amd64")] == ["amd64", "arm64", "amd64"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, None),
        ({"bootc": True}, True),
        ({"bootcCapable": False}, False),
        ({"bootc": True, "bootcCapable": False}, False),
    ],
    ids=["neither", "the operator's name", "our name", "both"],
)
def test_bootc_has_two_names(said: dict[str, bool], meant: bool | None) -> None:  # noqa: FBT001 - cases
    assert CatalogMetadata.model_validate(said).is_bootc_capable is meant


def test_a_condition_is_found_by_its_type() -> None:
    assert image().status.condition("Available") is None


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00"],
    ids=["UTC", "offset", "fraction", "none"],
)
def test_times_are_utc(text: str) -> None:
    time = parse_time(text)
    assert format_time(time) == "2026-01-01T00:00:00Z"
    assert time.tzinfo is UTC


@pytest.mark.parametrize("odd", ["tomorrow", 7, None], ids=repr)
def test_what_is_no_time_is_passed_on(odd: Any) -> None:
    assert parse_time(odd) == odd


def test_the_availability_is_written_under_its_own_name() -> None:
    found = image()
    availability = {"last24h": 0.5, "last30d": None}
    status = CatalogImage.from_object({**found.to_dict(), "status": {"availability": availability}}).status
    assert status.to_dict()["availability"] == {"last24h": 0.5}
    assert parse_time(datetime(2026, 1, 1, tzinfo=UTC)).year == 2026
