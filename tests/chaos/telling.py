"""What a run tells at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from tests.chaos.ledger import Ledger
from tests.chaos.watching import Post

__all__ = ["Outcome", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to.

    Attributes
    ----------
    struck
        Blows by part and kind.
    drained
        From the last blow until nothing was wrong any more, an interval of quiet included.
    promises
        Names of what was judged.
    violations
        What was broken, each with the story of its entry.
    """

    seed: int
    struck: Counter[tuple[str, str]]
    ledger: Ledger
    entries: int
    changes: int
    missed: int
    post: Post
    drained: timedelta
    took: timedelta
    promises: tuple[str, ...]
    violations: tuple[str, ...]


def table(outcome: Outcome) -> str:
    """Write the figures of a run, a line each."""
    ledger, post = outcome.ledger, outcome.post
    edits = sum(edit.acknowledged for edits in ledger.edits.values() for edit in edits)
    rows = [
        *((f"{part} {kind}", count) for (part, kind), count in sorted(outcome.struck.items())),
        ("blows", outcome.struck.total()),
        ("builds completed", ledger.completed),
        ("edits acknowledged", edits),
        ("removals asked for", len(ledger.removals)),
        *((f"checks asked for: {answer}", count) for answer, count in sorted(ledger.checks.items())),
        ("entries at the end", outcome.entries),
        ("changes watched", outcome.changes),
        ("lists instead of changes", outcome.missed),
        ("catalog events", len(post.kinds)),
        ("attempts to deliver", post.deliveries),
        ("retries", post.retries),
        ("deliveries lost", post.lost),
        ("dead letters", len(post.letters)),
        ("seconds to drain", f"{outcome.drained.total_seconds():.1f}"),
        ("seconds in all", f"{outcome.took.total_seconds():.1f}"),
        ("invariants judged", len(outcome.promises)),
        ("violations", len(outcome.violations)),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value:>8}" for name, value in rows]
    return "\n".join(["", *lines, "judged: " + ", ".join(outcome.promises)])
