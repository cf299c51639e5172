"""What every property over hostile input has in common: how many examples, and how long one may take."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

__all__ = ["FEW", "JSON", "document", "examples", "mutated", "refused", "within"]

FEW = 40
"""Examples of each property in an ordinary run; `make fuzz` loads a profile with thousands."""

_PROFILE_IS_LARGE = 1_000

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
"""Whatever JSON can say, and a little more: Python writes NaN and numbers of any size."""


def examples() -> Callable[[Any], Any]:
    """Return the settings of a property: `FEW` examples, or as many as a large profile says."""
    loaded = settings.default.max_examples if settings.default else FEW
    number = loaded if loaded >= _PROFILE_IS_LARGE else FEW
    return settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck))


@contextmanager
def within(limit: timedelta) -> Iterator[None]:
    """Make sure that what happens inside takes no more of the processor than a limit.

    The processor's time and not the clock's: a busy machine is slow, not wrong.

    Parameters
    ----------
    limit
        The most that it may take.
    """
    # What the tests themselves have left is not collected at the expense of what is measured.
    gc.disable()
    start = time.thread_time()
    try:
        yield
        taken = timedelta(seconds=time.thread_time() - start)
    finally:
        gc.enable()
    assert taken <= limit, f"it took {taken}, more than {limit}"  # noqa: S101 - for tests


def document(value: Any) -> bytes:
    """Write anything as JSON, also what JSON cannot say."""
    return json.dumps(value).encode()


def mutated(fields: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw objects that are nearly right: each field as it should be, anything else, or not there.

    Parameters
    ----------
    fields
        What each field should be.
    """
    return st.fixed_dictionaries({}, optional={name: right | JSON for name, right in fields.items()})


def refused(error: Exception, *, longest: int = 2048, without: str = "\n") -> None:
    """Make sure that a refusal can be shown: one line, of bounded length.

    Parameters
    ----------
    error
        The refusal.
    longest
        Most characters of its message.
    without
        What it must not repeat.
    """
    message = str(error)
    assert len(message) <= longest, f"{len(message)} characters"  # noqa: S101 - for tests
    assert without not in message, f"it says {without!r}"  # noqa: S101 - the same
