from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.models import parse_duration
from image_catalog.models.durations import DURATION_PATTERN


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1.5h", timedelta(hours=1, minutes=30)),
        ("100us", timedelta(microseconds=100)),
        ("100µs", timedelta(microseconds=100)),
        ("1h1m1s1ms", timedelta(hours=1, minutes=1, seconds=1, milliseconds=1)),
    ],
    ids=["hours and minutes", "fraction", "us", "µs", "everything"],
)
def test_durations_as_go_writes_them(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "1", "h", "1d", "one hour", "9" * 60 + "h"], ids=repr)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


@given(
    st.lists(
        st.tuples(st.integers(0, 9999), st.sampled_from(["ns", "us", "ms", "s", "m", "h"])), min_size=1, max_size=4
    )
)
def test_whatever_the_schema_admits_can_be_read(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert re.fullmatch(DURATION_PATTERN, text)
    assert parse_duration(text) >= timedelta()
