"""The figures that the dashboard draws, as small tables: what Prometheus would have scraped by now."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from image_catalog.local.figures import Figures

__all__ = ["show_figures"]

_HANDLING = "image_catalog_event_duration_seconds"
_ASKING = "image_catalog_registry_request_duration_seconds"
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_LAG = "image_catalog_audit_lag_seconds"


def show_figures(figures: Figures, console: Console) -> None:
    """Show what the dashboard shows.

    Parameters
    ----------
    figures
        Of every process.
    console
        Where they are shown.
    """
    console.print(Text("What the dashboard shows, scraped from /metrics of every process", style="bold"))
    for table in (_events(figures), _checks(figures), _requests(figures), _state(figures)):
        console.print()
        console.print(table)


def _events(figures: Figures) -> Table:
    table = _table("EVENTS HANDLED BY", "OK", "REFUSED", "CAME AGAIN", "FAULTS", "P50", "P99")
    counts = figures.by("image_catalog_events_total", "function", "outcome")
    for function in sorted({function for function, _ in counts}):
        outcomes = [("ok",), ("refused", "invalid"), ("transient", "unavailable"), ("crashed",)]
        sums = (sum(counts.get((function, word), 0.0) for word in words) for words in outcomes)
        times = (figures.quantile(q, _HANDLING, function=function) for q in (0.5, 0.99))
        table.add_row(function, *map(_count, sums), *map(_time, times))
    return table


def _checks(figures: Figures) -> Table:
    table = _table("CHECKS THAT FOUND", "COUNT")
    counts = figures.by("image_catalog_verifications_total", "phase", "reason")
    for (phase, reason), count in sorted(counts.items(), key=lambda item: -item[1]):
        table.add_row(f"{phase}, {reason}", _count(count))
    return table


def _requests(figures: Figures) -> Table:
    table = _table("REQUESTS TO", "ANSWERED", "NO ANSWER", "NOT MADE", "P99", "AVAILABLE")
    counts = figures.by("image_catalog_registry_requests_total", "registry", "outcome")
    held = figures.by("image_catalog_registry_refusals_total", "registry")
    shares = figures.by("image_catalog_registry_availability_ratio", "registry", "window")
    silent = {"timeout", "unreachable", "tls", "crowded", "cancelled", "invalid"}
    for registry in sorted({registry for registry, _ in counts} | {registry for (registry,) in held}):
        mine = {outcome: count for (asked, outcome), count in counts.items() if asked == registry}
        lost = sum(count for outcome, count in mine.items() if outcome in silent)
        numbers = (sum(mine.values()) - lost, lost, held.get((registry,), 0.0))
        share = shares.get((registry, "24h"))
        slow = _time(figures.quantile(0.99, _ASKING, registry=registry))
        table.add_row(registry, *map(_count, numbers), slow, "–" if share is None else f"{share:.1%}")
    return table


def _state(figures: Figures) -> Table:
    """Return what is one figure each, in a sentence."""
    entries = figures.by("image_catalog_api_index_entries", "kind")
    due, late = (figures.largest(f"image_catalog_{word}_entries") for word in ("due", "late"))
    oldest = figures.largest("image_catalog_due_oldest_seconds")
    asked = figures.by("image_catalog_api_requests_total", "route", "code")
    # A process that is not ready yet says so with a 503.
    asked = {(route, code): count for (route, code), count in asked.items() if route not in _PROBES}
    failed = sum(count for (_, code), count in asked.items() if code.startswith("5"))
    letters = figures.by("image_catalog_dead_letters_total", "function")
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    table.add_row("API", f"{_count(sum(asked.values()))} requests, {_count(failed)} failed")
    table.add_row(
        "INDEX",
        f"{_count(entries.get(('CatalogImage',), 0.0))} images, {_count(entries.get(('ImageBuild',), 0.0))} builds, "
        f"{_time(figures.largest('image_catalog_api_index_age_seconds'))} behind the cluster",
    )
    table.add_row(
        "DUE", f"{_count(due)} at the last tick, {_count(late)} of them late; the longest for {_time(oldest)}"
    )
    table.add_row(
        "HISTORY",
        f"a record is written {_time(figures.quantile(0.5, _LAG))} after what it tells of, "
        f"99 of 100 within {_time(figures.quantile(0.99, _LAG))}",
    )
    lost = ", ".join(f"{_count(count)} of {function}" for (function,), count in letters.items())
    table.add_row("DEAD LETTERS", lost or "none")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True, min_width=28)
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _count(count: float) -> str:
    return f"{count:.0f}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if not seconds:
        return "0 s"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
