from __future__ import annotations

from datetime import UTC, datetime

import pytest

from image_catalog.catalog.publication import Publication, read_publication
from image_catalog.models import CatalogImage
from image_catalog.models.names import ANNOTATION_PUBLICATION


def image(text: str | None) -> CatalogImage:
    annotations = {} if text is None else {ANNOTATION_PUBLICATION: text}
    return CatalogImage.model_validate(
        {"metadata": {"name": "os", "annotations": annotations}, "spec": {"registryUrl": "quay.io/acme/os:1"}}
    )


def test_a_record_is_read_as_it_was_written() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    record = Publication(cause="c", time=now, applied_at=now, metadata={"distro": "cs9"})
    assert read_publication(image(record.to_annotation()[ANNOTATION_PUBLICATION])) == record


@pytest.mark.parametrize("text", [None, "", "no JSON", "{}", "[]", '{"cause": 1}'], ids=repr)
def test_a_record_that_somebody_spoiled_counts_as_none(text: str | None) -> None:
    assert read_publication(image(text)) is None
