"""The committed schemas are what the models make of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from image_catalog.events import EVENT_DATA, EventType
from image_catalog.events.schema import SCHEMAS_FOLDER, event_schema, schema_file, write_schemas
from image_catalog.events.types import PUBLIC_TYPES
from image_catalog.models.events import EventData, PublishRejected, RejectionReason, Step, StepStatus

REMEDY = "run `make crds`"


def test_every_type_has_a_model() -> None:
    assert set(EVENT_DATA) == set(EventType)


@pytest.mark.parametrize("event_type", PUBLIC_TYPES, ids=lambda t: t.short)
def test_the_committed_schema_is_the_models(event_type: EventType) -> None:
    committed = json.loads((SCHEMAS_FOLDER / schema_file(event_type)).read_text())
    assert committed == event_schema(event_type), REMEDY


def test_no_schema_is_left_of_a_type_that_is_gone() -> None:
    assert {path.name for path in SCHEMAS_FOLDER.iterdir()} == {schema_file(t) for t in PUBLIC_TYPES}, REMEDY


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "image.forgotten.json").write_text("{}")
    changed = {path.name for path in write_schemas(tmp_path)}
    assert changed == {schema_file(t) for t in PUBLIC_TYPES} | {"image.forgotten.json"}
    assert write_schemas(tmp_path) == []
    assert not (tmp_path / "image.forgotten.json").exists()


@pytest.mark.parametrize("event_type", PUBLIC_TYPES, ids=lambda t: t.short)
def test_every_field_is_described(event_type: EventType) -> None:
    schema = event_schema(event_type)
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, field in part.get("properties", {}).items():
            assert field.get("description"), name


def test_what_is_sent_fits_its_schema() -> None:
    data = PublishRejected(
        namespace="default",
        reason=RejectionReason.IMAGE_NOT_FOUND,
        message="no such image",
        steps=[Step(name="Registry accessibility", status=StepStatus.FAILED, message="404", milliseconds=12)],
    )
    validator = jsonschema_rs.validator_for(event_schema(EventType.PUBLISH_REJECTED))
    validator.validate(data.to_dict())
    assert not validator.is_valid(data.to_dict() | {"reason": "Whatever"})


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        pytest.param({"registryUrl": "quay.io/a/b"}, True, id="reference"),
        pytest.param({"imageBuild": {"name": "a", "namespace": "b"}}, True, id="build"),
        pytest.param({}, False, id="neither"),
        pytest.param({"registryUrl": "quay.io/a/b", "imageBuild": {"name": "a", "namespace": "b"}}, False, id="both"),
    ],
)
def test_the_schema_of_a_request_refuses_what_the_model_refuses(data: dict[str, Any], *, valid: bool) -> None:
    assert jsonschema_rs.validator_for(event_schema(EventType.PUBLISH_REQUESTED)).is_valid(data) is valid


def test_every_emitted_event_begins_with_the_common_data() -> None:
    requests = {
        EventType.PUBLISH_REQUESTED,
        EventType.VERIFICATION_REQUESTED,
        EventType.TEST_REPORTED,
        EventType.ARTIFACTS_REQUESTED,
    }
    assert {t for t in EventType if not issubclass(EVENT_DATA[t], EventData)} == requests
