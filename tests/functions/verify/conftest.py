"""What verify finds is the same whether anybody records it."""

from __future__ import annotations

import pytest

from image_catalog.testing.pipeline import PipelineFunction


@pytest.fixture
def acting(functions: tuple[PipelineFunction, ...]) -> tuple[PipelineFunction, ...]:
    """Return all but audit: without a database it has nothing to do, and to tell it everything is a tenth of a test."""
    return tuple(function for function in functions if function.name != "audit")
