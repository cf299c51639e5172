"""Times as Kubernetes writes them, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from image_catalog.models import Condition, format_time, parse_time


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        pytest.param(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "2026-01-02T03:04:05Z", id="to-the-second"),
        pytest.param(
            datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T23:00:00Z", id="another-zone"
        ),
        pytest.param(datetime(5, 1, 2, tzinfo=UTC), "0005-01-02T00:00:00Z", id="four-digits-of-a-year"),
    ],
)
def test_a_time_is_written_as_the_api_server_reads_it(moment: datetime, text: str) -> None:
    assert format_time(moment) == text
    assert parse_time(text) == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    ["soon", "", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"],
    ids=["word", "empty", "early", "late"],
)
def test_what_is_no_time_is_refused_with_its_path(text: str) -> None:
    fields = {"type": "Available", "status": "True", "reason": "Because", "message": ""}
    with pytest.raises(ValueError, match="lastTransitionTime"):
        Condition.model_validate({**fields, "lastTransitionTime": text})
