"""What a process shows of itself: in which format, and with the traces that it counted only where somebody asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import Counter

from image_catalog import __version__
from image_catalog.metrics import exemplar, exposition, show_exemplars

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

_SAMPLES = Counter("sample_exemplars_total", "Counts what these tests do.")


@pytest.fixture
def exemplars() -> Iterator[None]:
    """Exemplars are shown."""
    show_exemplars(shown=True)
    yield
    show_exemplars(shown=False)


def test_no_exemplar_is_made_unless_somebody_wants_them() -> None:
    assert exemplar(TRACE) is None


@pytest.mark.usefixtures("exemplars")
def test_an_exemplar_names_the_trace_of_the_log_lines() -> None:
    with structlog.contextvars.bound_contextvars(trace_id=TRACE):
        assert exemplar() == {"trace_id": TRACE}
    assert exemplar() is None


@pytest.mark.usefixtures("exemplars")
@pytest.mark.parametrize(
    "trace_id",
    ["nonsense", TRACE[1:], TRACE.upper(), f"{TRACE}\n"],
    ids=["nonsense", "cut", "upper case", "line break"],
)
def test_what_is_no_trace_is_no_exemplar(trace_id: str) -> None:
    assert exemplar(trace_id) is None


@pytest.mark.usefixtures("exemplars")
@pytest.mark.parametrize(("accept", "shown"), [(OPEN_METRICS, True), ("*/*", False), ("", False)])
def test_exemplars_are_shown_to_who_asks_for_open_metrics(accept: str, shown: bool) -> None:  # noqa: FBT001 - a case
    _SAMPLES.inc(1, exemplar(TRACE))
    body, content_type = exposition(accept)
    assert (f'# {{trace_id="{TRACE}"}}' in body.decode()) is shown
    assert content_type.startswith("application/openmetrics-text" if shown else "text/plain")


def test_a_process_says_which_version_it_is() -> None:
    assert f'image_catalog_build_info{{version="{__version__}"}} 1.0' in exposition("")[0].decode()
