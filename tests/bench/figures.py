"""Figures: what was measured, how it was measured, and how far the rounds lay apart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.table import Table

__all__ = ["Figure", "document", "quantile", "spread", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number.

    Attributes
    ----------
    name
        What it is called, for good: figures are compared from run to run.
    value
        The number; `None` where it could not be measured, with the reason in the note.
    unit
        Its unit; a ratio has ``ratio``.
    better
        Which way is good.
    note
        How it was measured, and the spread.
    bar
        The least good value that will do; `None` where the figure has none.
    """

    name: str
    value: float | None
    unit: str
    better: Literal["lower", "higher"]
    note: str
    bar: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the value reaches the bar."""
        if self.bar is None or self.value is None:
            return True
        return self.value <= self.bar if self.better == "lower" else self.value >= self.bar


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of all values does not exceed (nearest rank).

    Parameters
    ----------
    values
        At least one.
    share
        0.99 for the 99th percentile.
    """
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Say between what the values lie."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{len(values)} pairs, {low} to {high}, median {middle}"


def document(figures: Sequence[Figure]) -> dict[str, Any]:
    """Return the figures as they are kept in ``build/bench.json``; without those that could not be measured."""
    return {
        "figures": {
            figure.name: {
                "value": round(figure.value, 4),
                "unit": figure.unit,
                "better": figure.better,
                "note": figure.note,
            }
            for figure in figures
            if figure.value is not None
        }
    }


def table(figures: Sequence[Figure]) -> Table:
    """Return the figures as people read them."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column, justify in (("FIGURE", "left"), ("VALUE", "right"), ("UNIT", "left"), ("BAR", "right"), ("", "left")):
        shown.add_column(column, justify="right" if justify == "right" else "left", no_wrap=True)
    shown.add_column("HOW", overflow="fold")
    for figure in figures:
        sign = "≤" if figure.better == "lower" else "≥"
        bar = "" if figure.bar is None else f"{sign} {figure.bar:g}"
        mark = "" if figure.bar is None or figure.value is None else ("✓" if figure.holds else "✗")
        value = "–" if figure.value is None else f"{figure.value:.4g}"
        shown.add_row(figure.name, value, figure.unit, bar, mark, figure.note)
    return shown
