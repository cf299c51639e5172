"""Boards as people read them: whether the image passed its last test there, how often it did, and when that was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from image_catalog.local.ages import age_since

__all__ = ["board_text", "tested_word"]

_Target = Mapping[str, Any]


def board_text(target: _Target, now: datetime) -> str:
    """Return a board with what holds of it: ``raspberry-pi ✓ 97 % (32 runs, 2d ago)``.

    Parameters
    ----------
    target
        An item of an entry's ``status.targets``. One that is verified without a test is so by somebody's word.
    now
        What the age is counted from.
    """
    name = str(target.get("name", ""))
    if not target.get("tested"):
        return f"{name} ✓ (claimed, not tested)" if target.get("verified") else name
    runs = int(target.get("runs", 0))
    noun = "run" if runs == 1 else "runs"
    return f"{name} {_mark(target)} {_percent(target)} % ({runs} {noun}, {_age(target, now)} ago)"


def tested_word(target: _Target, now: datetime) -> str:
    """Return the same of a board that was tested, as one word for awk: ``raspberry-pi✓97%/32/2d``."""
    return f"{target.get('name', '')}{_mark(target)}{_percent(target)}%/{target.get('runs', 0)}/{_age(target, now)}"


def _mark(target: _Target) -> str:
    return "✓" if target.get("verified") else "✗"


def _percent(target: _Target) -> int:
    # Downwards: 100 % is what never failed.
    return int(float(target.get("passRate") or 0) * 100)


def _age(target: _Target, now: datetime) -> str:
    return age_since(str(target.get("lastTested") or ""), now)
