from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from image_catalog.models.events import (
    ImagePublished,
    PhaseChanged,
    PublishRejected,
    PublishRequest,
    RejectionReason,
    Step,
    TestReport,
    VerificationReason,
    VerificationRequest,
)


def test_a_publish_request_has_sensible_defaults() -> None:
    request = PublishRequest.model_validate({"registryUrl": "quay.io/a/b:c"})
    assert (request.if_exists, request.verify, request.tags, request.labels) == ("update", True, [], {})
    assert (request.name, request.digest, request.auth_secret_ref, request.metadata) == (None, None, None, None)


def test_a_publish_request_reads_every_field() -> None:
    data = {
        "imageBuild": {"name": "nightly-1", "namespace": "builds"},
        "name": "nightly",
        "namespace": "default",
        "tags": ["nightly"],
        "labels": {"team": "adas"},
        "metadata": {"architecture": "arm64", "targets": [{"name": "qemu"}], "bootc": True},
        "authSecretRef": {"name": "pull"},
        "digest": "sha256:" + "a" * 64,
        "verificationInterval": "1h30m",
        "verifyBlobs": True,
        "ifExists": "fail",
        "verify": False,
        "actor": "jane",
    }
    request = PublishRequest.model_validate(data)
    assert request.metadata is not None
    assert request.metadata.is_bootc_capable
    assert PublishRequest.model_validate(request.to_dict()) == request


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"name": "a"}, id="no-namespace"),
        pytest.param({"name": "a", "namespace": "b", "reference": "quay.io/a/b"}, id="both"),
        pytest.param({"name": "a", "namespace": "b", "authSecretRef": {"name": "c"}}, id="secret-with-entry"),
        pytest.param({"name": "a", "namespace": "b", "reason": "bored"}, id="unknown-reason"),
    ],
)
def test_a_verification_request_names_one_subject(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VerificationRequest.model_validate(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"name": "a", "namespace": "b"}, id="entry"),
        pytest.param({"reference": "quay.io/a/b", "authSecretRef": {"name": "c", "namespace": "d"}}, id="explain"),
    ],
)
def test_a_verification_is_manual_unless_it_says_why(data: dict[str, Any]) -> None:
    assert VerificationRequest.model_validate(data).reason is VerificationReason.MANUAL


def test_reasons_are_closed_sets() -> None:
    with pytest.raises(ValidationError, match="reason"):
        PublishRejected.model_validate({"namespace": "a", "reason": "Because", "message": ""})
    with pytest.raises(ValidationError, match="reason"):
        PhaseChanged.model_validate({"name": "a", "namespace": "b", "registryUrl": "c", "reason": "Because"})


def test_what_is_emitted_has_no_unknown_field() -> None:
    with pytest.raises(ValidationError, match="colour"):
        ImagePublished.model_validate(
            {"name": "a", "namespace": "b", "registryUrl": "c", "change": "created", "colour": "red"}
        )


def test_a_long_message_is_cut_so_that_its_event_can_still_be_sent() -> None:
    rejected = PublishRejected(namespace="a", reason=RejectionReason.ACCESS_DENIED, message="x" * 5000)
    assert len(rejected.message) == 4096
    assert rejected.message.endswith("…")
    assert Step(name="Registry", status="failed", message="short").message == "short"


def test_times_are_written_in_utc_to_the_second() -> None:
    report = TestReport.model_validate(
        {
            "name": "a",
            "namespace": "b",
            "digest": "sha256:" + "a" * 64,
            "target": "qemu",
            "result": "passed",
            "at": "2026-01-02T03:04:05.678+02:00",
        }
    )
    assert report.to_dict()["at"] == "2026-01-02T01:04:05Z"
