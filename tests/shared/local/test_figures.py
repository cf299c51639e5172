"""The figures of the stack's processes: added up as Prometheus does, and shown so that a newcomer reads them."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from image_catalog.errors import PermanentError
from image_catalog.local.demo.figures import show_figures
from image_catalog.local.figures import Figures, quantile_of, scrape
from image_catalog.local.functions import free_port

VERIFY = """\
image_catalog_events_total{function="verify",type="a",outcome="ok"} 7
image_catalog_events_total{function="verify",type="b",outcome="ok"} 3
image_catalog_events_total{function="verify",type="b",outcome="transient"} 2
image_catalog_event_duration_seconds_bucket{function="verify",type="a",le="0.1"} 8
image_catalog_event_duration_seconds_bucket{function="verify",type="a",le="1.0"} 12
image_catalog_event_duration_seconds_bucket{function="verify",type="a",le="+Inf"} 12
image_catalog_verifications_total{registry="quay.io",phase="Available",reason="RegistryAccessible"} 4
image_catalog_verifications_total{registry="quay.io",phase="Unavailable",reason="RegistryUnreachable"} 5
image_catalog_registry_requests_total{registry="quay.io",method="GET",outcome="ok"} 20
image_catalog_registry_requests_total{registry="quay.io",method="GET",outcome="timeout"} 3
image_catalog_registry_availability_ratio{registry="quay.io",window="24h"} 0.975
image_catalog_registry_refusals_total{registry="quay.io",reason="circuit_open"} 9
"""
API = """\
image_catalog_api_requests_total{method="GET",route="/images",code="200"} 11
image_catalog_api_requests_total{method="GET",route="/images",code="503"} 1
image_catalog_api_requests_total{method="GET",route="/readyz",code="503"} 40
image_catalog_api_index_entries{kind="CatalogImage"} 9
image_catalog_api_index_entries{kind="ImageBuild"} 6
image_catalog_api_index_age_seconds{kind="CatalogImage"} 90
"""
AUDIT = """\
image_catalog_dead_letters_total{function="publish",type="a"} 2
image_catalog_audit_lag_seconds_bucket{le="0.25"} 100
image_catalog_audit_lag_seconds_bucket{le="+Inf"} 100
"""


def shown(*expositions: str) -> list[list[str]]:
    """Return the words of each line, runs of blanks between them."""
    out = io.StringIO()
    show_figures(Figures.read(expositions), Console(file=out, width=200))
    return [line.split() for line in out.getvalue().splitlines()]


def test_functions_show_what_became_of_their_events_and_how_fast() -> None:
    assert ["verify", "10", "0", "2", "0", "75", "ms", "973", "ms"] in shown(VERIFY)


def test_checks_and_requests_are_told_by_what_came_of_them() -> None:
    lines = shown(VERIFY)
    checks = [line for line in lines if line[:1] in (["Available,"], ["Unavailable,"])]
    assert checks == [["Unavailable,", "RegistryUnreachable", "5"], ["Available,", "RegistryAccessible", "4"]]
    assert ["quay.io", "20", "3", "9", "–", "97.5%"] in lines


def test_what_is_one_figure_is_a_sentence() -> None:
    lines = [" ".join(line) for line in shown(API, AUDIT)]
    assert "API 12 requests, 1 failed" in lines, "a process that is not ready yet has not failed"
    assert "INDEX 9 images, 6 builds, 90.0 s behind the cluster" in lines
    assert "DEAD LETTERS 2 of publish" in lines
    assert "HISTORY a record is written 125 ms after what it tells of, 99 of 100 within 248 ms" in lines


def test_a_stack_that_has_done_nothing_yet_has_figures_as_well() -> None:
    lines = [" ".join(line) for line in shown("")]
    assert "DUE 0 at the last tick, 0 of them late; the longest for 0 s" in lines
    assert "DEAD LETTERS none" in lines


@pytest.mark.parametrize(
    ("quantile", "buckets", "expected"),
    [
        (0.5, [(1.0, 10.0), (math.inf, 10.0)], 0.5),
        (0.5, [(1.0, 0.0), (3.0, 10.0), (math.inf, 10.0)], 2.0),
        (0.99, [(1.0, 10.0), (math.inf, 20.0)], 1.0),
        (0.0, [(1.0, 0.0), (math.inf, 2.0)], 1.0),
    ],
    ids=["first bucket", "within a bucket", "above every bound", "of nothing"],
)
def test_a_quantile_is_where_prometheus_puts_it(
    quantile: float, buckets: list[tuple[float, float]], expected: float
) -> None:
    assert quantile_of(quantile, buckets) == pytest.approx(expected)


@pytest.mark.parametrize("buckets", [[], [(1.0, 0.0), (math.inf, 0.0)]], ids=["no bucket", "nothing counted"])
def test_there_is_no_quantile_of_nothing(buckets: list[tuple[float, float]]) -> None:
    assert math.isnan(quantile_of(0.5, buckets))


async def test_a_process_that_does_not_answer_is_named_as_trouble() -> None:
    with pytest.raises(PermanentError, match="does not show its figures"):
        await scrape([f"http://127.0.0.1:{free_port()}/metrics"])
