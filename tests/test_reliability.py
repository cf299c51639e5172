"""Every promise of ``docs/reliability.md`` is an invariant or is measured, and names tests that there are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from image_catalog.testing.simulation.invariants import INVARIANTS

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()

CRASHES = "functions/test_crashes.py"
INTERLEAVINGS = "functions/test_interleavings.py"

PLACES = (
    CRASHES,
    INTERLEAVINGS,
    "functions/audit/test_poisoned.py",
    "functions/publish/test_slow_makers.py",
    "functions/reverify",
    "functions/test_fairness.py",
    "functions/verify/test_circuits.py",
    "functions/verify/test_misbehaving.py",
)
"""Where the page's tests are."""

ROW = re.compile(r"^\| (?:`([\w-]+)`( °)?|[^|`]+\.) \| .+ \| (`test_.*`) \|$", re.MULTILINE)


@cache
def names_in(place: Path) -> frozenset[str]:
    """Return the names of the tests of a file, or of every file in a folder."""
    files = [place] if place.is_file() else sorted(place.glob("test_*.py"))
    trees = [ast.walk(ast.parse(file.read_text())) for file in files]
    functions = (node for tree in trees for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def test_the_page_lists_the_invariants_and_which_of_them_are_seen_from_outside() -> None:
    shown = [(name, bool(outside)) for name, outside, _ in ROW.findall(PAGE) if name]
    assert shown == [(kind.name, kind.outside) for kind in INVARIANTS]


@pytest.mark.parametrize("row", ROW.findall(PAGE), ids=lambda row: row[0] or "measured")
def test_what_proves_a_promise_exists(row: tuple[str, str, str]) -> None:
    there = frozenset[str]().union(*(names_in(TESTS / place) for place in PLACES))
    named = set(re.findall(r"`(test_\w+)`", row[2]))
    assert named
    assert named <= there


def test_every_row_is_read() -> None:
    lines = [
        line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| promise", "| ---"))
    ]
    assert len(lines) == len(ROW.findall(PAGE))


def test_every_place_is_used() -> None:
    named = {test for row in ROW.findall(PAGE) for test in re.findall(r"`(test_\w+)`", row[2])}
    assert not [place for place in PLACES if not named & names_in(TESTS / place)]
