"""A Prometheus for tests: keeps scrapes and answers the part of PromQL that dashboard and alerts are written in.

What an expression means follows `Prometheus <https://prometheus.io/docs/prometheus/latest/querying/basics/>`__, save
that `rate` and `increase` are what was counted and are not extrapolated to the ends of their range. Whatever is not
known here raises, so that no expression passes for one that is understood.
"""

from __future__ import annotations

import math
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final

import promql_parser as promql
from prometheus_client.parser import text_string_to_metric_families

from image_catalog.local.figures import quantile_of

__all__ = ["Labels", "NotUnderstoodError", "Prometheus", "Vector", "parse", "selectors"]

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Points = dict[Labels, list[tuple[float, float]]]

_LOOKBACK: Final = 300.0
"""Seconds after which a series without a new sample is gone, as with Prometheus."""

_NAME: Final = "__name__"

_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: (
        left / right if right else math.nan if left in (0, math.nan) else math.copysign(math.inf, left)
    ),
}
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_AGGREGATIONS: Final[dict[str, Callable[[list[float]], float]]] = {
    "sum": math.fsum,
    "max": max,
    "min": min,
    "count": len,
    "avg": lambda values: math.fsum(values) / len(values),
}


class NotUnderstoodError(Exception):
    """An expression is not of the part of PromQL that is known here."""


def parse(expression: str) -> promql.Expr:
    """Parse an expression; Grafana's variables stand for what a range and a choice of everything are.

    Raises
    ------
    ValueError
        Raised if it is not PromQL; the message says where.
    """
    text = expression.replace("$__rate_interval", "5m").replace("$__range", "24h")
    return promql.parse(re.sub(r"\$[a-z]+", ".*", text))


def selectors(expression: promql.Expr) -> Iterator[promql.VectorSelector]:
    """Yield every series selector of an expression."""
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)

    promql.walk(expression, pre_visit=visit)
    # A range's selector is visited by itself or not, as the library's version has it.
    yield from {id(selector): selector for selector in found}.values()


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Keeps what was scraped.

    Parameters
    ----------
    points
        Time and value of every sample, by series.
    """

    points: Points

    @classmethod
    def empty(cls) -> Prometheus:
        """Return one that has scraped nothing."""
        return cls(defaultdict(list))

    def scrape(self, exposition: str, *, at: float, **target: str) -> None:
        """Keep what a process shows.

        Parameters
        ----------
        exposition
            Its figures in Prometheus's text format.
        at
            Seconds since any time; later scrapes have later ones.
        target
            Labels of the process, as a scrape configuration gives them.
        """
        for family in text_string_to_metric_families(exposition):
            for sample in family.samples:
                labels = {**sample.labels, **target, _NAME: sample.name}
                self.points[frozenset(labels.items())].append((at, sample.value))

    def query(self, expression: str, *, at: float) -> Vector:
        """Return the value of an expression at a time, by labels; that of a number has none.

        Raises
        ------
        NotUnderstoodError
            Raised if it is not of the part of PromQL that is known here.
        """
        value = _Query(self.points, at).value(parse(expression))
        return value if isinstance(value, dict) else {frozenset(): value}


@dataclass(frozen=True, slots=True)
class _Query:
    points: Points
    at: float

    def value(self, node: promql.Expr) -> Vector | float:
        match node:
            case promql.NumberLiteral():
                return node.val
            case promql.ParenExpr():
                return self.value(node.expr)
            case promql.VectorSelector():
                return {_unnamed(s): p[-1][1] for s, p in self._select(node, _LOOKBACK).items()}
            case promql.AggregateExpr():
                return self._aggregate(node)
            case promql.Call():
                return self._call(node)
            case promql.BinaryExpr():
                return self._combine(node)
            case _:
                raise NotUnderstoodError(f"not known here: {type(node).__name__}")

    def _select(self, node: promql.VectorSelector, seconds: float) -> Points:
        offset = node.offset if isinstance(node.offset, timedelta) else timedelta()
        until = self.at - offset.total_seconds()
        selected = {}
        for series, points in self.points.items():
            if (_NAME, node.name) not in series:
                continue
            labels = dict(series)
            if all(_matches(matcher, labels) for matcher in node.matchers.matchers):
                within = [(time, value) for time, value in points if until - seconds < time <= until]
                if within:
                    selected[series] = within
        return selected

    def _aggregate(self, node: promql.AggregateExpr) -> Vector:
        aggregation = _AGGREGATIONS.get(str(node.op))
        by = node.modifier.labels if node.modifier else []
        if aggregation is None or (node.modifier and node.modifier.type != promql.AggModifierType.By):
            raise NotUnderstoodError(f"not known here: {node.op}, or its modifier")
        groups: dict[Labels, list[float]] = defaultdict(list)
        for labels, value in self._vector(node.expr).items():
            groups[frozenset(pair for pair in labels if pair[0] in by)].append(value)
        return {labels: float(aggregation(values)) for labels, values in groups.items()}

    def _call(self, node: promql.Call) -> Vector | float:
        name, arguments = node.func.name, node.args
        match name:
            case "time":
                return self.at
            case "vector":
                return {frozenset(): self._scalar(arguments[0])}
            case "histogram_quantile":
                return _quantiles(self._scalar(arguments[0]), self._vector(arguments[1]))
            case "rate" | "increase" | "max_over_time" | "absent_over_time":
                ranged = arguments[0]
                if not isinstance(ranged, promql.MatrixSelector):
                    raise NotUnderstoodError(f"{name} is not given a range")
                seconds = ranged.range.total_seconds()
                selected = self._select(ranged.vector_selector, seconds)
                if name == "absent_over_time":
                    return {} if selected else {_equalities(ranged.vector_selector): 1.0}
                if name == "max_over_time":
                    return {_unnamed(s): max(value for _, value in points) for s, points in selected.items()}
                grown = {_unnamed(s): _increase(points) for s, points in selected.items() if len(points) > 1}
                return grown if name == "increase" else {labels: value / seconds for labels, value in grown.items()}
            case _:
                raise NotUnderstoodError(f"not known here: {name}")

    def _combine(self, node: promql.BinaryExpr) -> Vector | float:
        if node.modifier and (node.modifier.matching is not None or node.modifier.return_bool):
            raise NotUnderstoodError("not known here: on, ignoring and bool")
        word, left, right = str(node.op), self.value(node.lhs), self.value(node.rhs)
        if word in {"and", "or", "unless"}:
            if not isinstance(left, dict) or not isinstance(right, dict):
                raise NotUnderstoodError(f"{word} combines vectors")
            return _combine_sets(word, left, right)
        return _combine_values(word, left, right)

    def _vector(self, node: promql.Expr) -> Vector:
        value = self.value(node)
        if not isinstance(value, dict):
            raise NotUnderstoodError(f"a number where a vector is needed: {value}")
        return value

    def _scalar(self, node: promql.Expr) -> float:
        value = self.value(node)
        if isinstance(value, dict):
            raise NotUnderstoodError("a vector where a number is needed")
        return value


def _combine_sets(word: str, left: Vector, right: Vector) -> Vector:
    match word:
        case "and":
            return {labels: value for labels, value in left.items() if labels in right}
        case "unless":
            return {labels: value for labels, value in left.items() if labels not in right}
        case _:
            return {**right, **left}


def _combine_values(word: str, left: Vector | float, right: Vector | float) -> Vector | float:
    pairs: Mapping[Labels, tuple[float, float]]
    match left, right:
        case dict(), dict():
            pairs = {labels: (value, right[labels]) for labels, value in left.items() if labels in right}
        case dict(), _:
            pairs = {labels: (value, float(right)) for labels, value in left.items()}  # type: ignore[arg-type]  # a number
        case _, dict():
            pairs = {labels: (float(left), value) for labels, value in right.items()}
        case _:
            return _ARITHMETIC[word](left, right)
    if word in _ARITHMETIC:
        return {labels: _ARITHMETIC[word](*pair) for labels, pair in pairs.items()}
    return {labels: pair[0] for labels, pair in pairs.items() if _COMPARISONS[word](*pair)}


def _matches(matcher: promql.Matcher, labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher.name, "")
    if matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual):
        return (value == matcher.value) is (matcher.op == promql.MatchOp.Equal)
    return (re.fullmatch(matcher.value, value) is not None) is (matcher.op == promql.MatchOp.Re)


def _equalities(node: promql.VectorSelector) -> Labels:
    return frozenset((m.name, m.value) for m in node.matchers.matchers if m.op == promql.MatchOp.Equal)


def _unnamed(series: Labels) -> Labels:
    return frozenset(pair for pair in series if pair[0] != _NAME)


def _increase(points: list[tuple[float, float]]) -> float:
    """Return what was counted between the first sample and the last; a counter that falls has begun anew."""
    values = [value for _, value in points]
    return math.fsum(after - before if after >= before else after for before, after in pairwise(values))


def _quantiles(quantile: float, buckets: Vector) -> Vector:
    """Return the quantile of each histogram, by linear interpolation within the bucket that it falls into."""
    histograms: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, value in buckets.items():
        bound = float(dict(labels)["le"])
        histograms[frozenset(pair for pair in labels if pair[0] != "le")].append((bound, value))
    return {labels: quantile_of(quantile, sorted(counts)) for labels, counts in histograms.items()}
