"""Every unsuccessful answer becomes the one error that says what the caller can do."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from image_catalog.cluster import CATALOG_IMAGE, SECRET, Response
from image_catalog.cluster._failures import Operation, failure, read_object
from image_catalog.errors import (
    AlreadyExistsError,
    CatalogError,
    ClusterUnavailableError,
    ForbiddenError,
    InvalidObjectError,
    Violation,
    WriteConflictError,
)

PATCH_STATUS = Operation("patch", CATALOG_IMAGE, "team-a", "cs9", "status")


def answer(code: int, *, reason: str = "", headers: dict[str, str] | None = None, **details: object) -> Response:
    status = {"kind": "Status", "message": "what the server says", "reason": reason, "code": code, "details": details}
    return Response(code, headers or {}, orjson.dumps(status))


@pytest.mark.parametrize(
    ("response", "error"),
    [
        pytest.param(answer(409, reason="Conflict"), WriteConflictError, id="409 conflict"),
        pytest.param(answer(409, reason="AlreadyExists"), AlreadyExistsError, id="409 already exists"),
        pytest.param(answer(401, reason="Unauthorized"), ForbiddenError, id="401"),
        pytest.param(answer(403, reason="Forbidden"), ForbiddenError, id="403"),
        pytest.param(answer(404, reason="NotFound", kind="namespaces"), InvalidObjectError, id="404 namespace"),
        pytest.param(answer(404, reason="NotFound"), ClusterUnavailableError, id="404 kind not served"),
        pytest.param(answer(410, reason="Expired"), ClusterUnavailableError, id="410"),
        pytest.param(answer(400, reason="BadRequest"), InvalidObjectError, id="400"),
        pytest.param(answer(413, reason="RequestEntityTooLarge"), InvalidObjectError, id="413"),
        pytest.param(answer(422, reason="Invalid"), InvalidObjectError, id="422"),
        pytest.param(answer(408), ClusterUnavailableError, id="408"),
        pytest.param(answer(429), ClusterUnavailableError, id="429"),
        pytest.param(answer(500), ClusterUnavailableError, id="500"),
        pytest.param(answer(504, reason="Timeout"), ClusterUnavailableError, id="504"),
        pytest.param(Response(302, {}, b""), ClusterUnavailableError, id="a redirect nobody followed"),
        pytest.param(Response(502, {}, b"<html>"), ClusterUnavailableError, id="a proxy's page"),
        pytest.param(Response(503, {}, b"[]"), ClusterUnavailableError, id="a body that is no object"),
    ],
)
def test_answer_becomes_error(response: Response, error: type[CatalogError]) -> None:
    assert type(failure(response, PATCH_STATUS)) is error


def test_message_names_verb_resource_object_and_namespace() -> None:
    message = failure(answer(403), PATCH_STATUS).message
    assert "patch catalogimages.automotive.sdv.cloud.redhat.com/status cs9 in namespace team-a" in message
    assert "what the server says" in message


def test_message_of_a_collection_names_no_object() -> None:
    assert str(Operation("list", SECRET)) == "list secrets"


@pytest.mark.parametrize(
    ("response", "pause"),
    [
        pytest.param(answer(503, headers={"retry-after": "7"}), timedelta(seconds=7), id="header"),
        pytest.param(answer(503, retryAfterSeconds=3), timedelta(seconds=3), id="details"),
        pytest.param(answer(503, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), None, id="a date"),
        pytest.param(answer(503, headers={"retry-after": "0"}), None, id="zero"),
        pytest.param(answer(503), None, id="nothing said"),
    ],
)
def test_pause_that_the_server_asks_for_is_kept(response: Response, pause: timedelta | None) -> None:
    error = failure(response, PATCH_STATUS)
    assert isinstance(error, ClusterUnavailableError)
    assert error.retry_after == pause


def test_causes_become_violations_without_the_server_s_remark_on_skipped_rules() -> None:
    causes = [
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.registryUrl"},
        {"reason": "FieldValueInvalid", "message": "some validation rules were not checked", "field": "<nil>"},
        "not an object",
    ]
    error = failure(answer(422, reason="Invalid", causes=causes), PATCH_STATUS)
    assert isinstance(error, InvalidObjectError)
    assert error.violations == (Violation("spec.registryUrl", "Required value"),)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]"], ids=["empty", "a page", "a list"])
def test_success_that_is_no_object_counts_as_no_answer(body: bytes) -> None:
    with pytest.raises(ClusterUnavailableError, match="is no JSON"):
        read_object(Response(200, {}, body), PATCH_STATUS)
