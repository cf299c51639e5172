"""What a real API server answered, read as the catalog reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from image_catalog.cluster import LEASE, Response
from image_catalog.cluster._failures import Operation, failure
from image_catalog.errors import (
    AlreadyExistsError,
    CatalogError,
    ClusterUnavailableError,
    ForbiddenError,
    InvalidObjectError,
    PermanentError,
    TransientError,
    WriteConflictError,
)

RECORDED = Path(__file__).parents[2] / "contract" / "kubernetes"

# By code and reason; what is not listed here has a test of its own.
EXPECTED: dict[tuple[int, str], type[CatalogError]] = {
    (400, "BadRequest"): InvalidObjectError,
    (401, "Unauthorized"): ForbiddenError,
    (403, "Forbidden"): ForbiddenError,
    (404, "NotFound"): ClusterUnavailableError,
    (406, "NotAcceptable"): InvalidObjectError,
    (409, "AlreadyExists"): AlreadyExistsError,
    (409, "Conflict"): WriteConflictError,
    (410, "Expired"): ClusterUnavailableError,
    (415, "UnsupportedMediaType"): InvalidObjectError,
    (422, "Invalid"): InvalidObjectError,
    (500, ""): ClusterUnavailableError,
    (504, "Timeout"): ClusterUnavailableError,
}


def recorded() -> list[Any]:
    cases = []
    for scenario in sorted(RECORDED.glob("*.json")):
        for number, step in enumerate(orjson.loads(scenario.read_bytes()).get("steps", ())):
            response = step.get("response") or {}
            body = response.get("body")
            if response.get("status", 0) >= 400 and isinstance(body, dict) and not response.get("partial"):
                cases.append(pytest.param(response["status"], body, id=f"{scenario.stem}-{number}"))
    return cases


@pytest.mark.parametrize(("code", "body"), recorded())
def test_recorded_failure_becomes_the_error_of_its_reason(code: int, body: dict[str, Any]) -> None:
    error = failure(Response(code, {}, orjson.dumps(body)), Operation("create", LEASE, "contract", "a"))
    details = body.get("details") or {}
    if details.get("kind") == "namespaces" and code == 404:
        assert type(error) is InvalidObjectError
        return
    expected = EXPECTED[code, body.get("reason", "")]
    assert type(error) is expected
    assert isinstance(error, PermanentError) != isinstance(error, TransientError)
    assert body["message"] in error.message
    if isinstance(error, InvalidObjectError):
        fields = [cause["field"] for cause in details.get("causes") or () if cause["field"] != "<nil>"]
        assert [violation.path for violation in error.violations] == fields


def test_the_record_is_there() -> None:
    assert len(recorded()) > 30
