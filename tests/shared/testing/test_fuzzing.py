"""That what judges generated input does judge."""

from __future__ import annotations

import gc
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.errors import InvalidReferenceError
from image_catalog.testing.fuzzing import FEW, document, examples, mutated, refused, within


def test_work_that_takes_too_long_is_told_and_garbage_is_collected_again() -> None:
    with within(timedelta(seconds=10)):
        assert not gc.isenabled()
    with pytest.raises(AssertionError, match="more than"), within(timedelta()):
        sum(range(100_000))
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("message", "options"),
    [
        pytest.param("two\nlines", {}, id="lines"),
        pytest.param("x" * 2049, {}, id="long"),
        pytest.param("it is hush", {"without": "hush"}, id="a secret"),
    ],
)
def test_refusal_that_cannot_be_shown_is_told(message: str, options: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        refused(InvalidReferenceError(message), **options)
    refused(InvalidReferenceError("it is no reference"), **options)


@examples()
@given(mutated({"size": st.just(1)}))
def test_objects_are_right_or_nearly_so(value: dict[str, Any]) -> None:
    assert value.keys() <= {"size"}
    assert json.loads(document(value)) == value or value["size"] != 1


def test_few_examples_are_enough_for_every_day() -> None:
    assert FEW < 100
