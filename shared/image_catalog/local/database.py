"""The history of a stack: a file in its folder, given to those that a cluster gives a database."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["KEEPERS", "fresh_database"]

KEEPERS: Final = frozenset({"audit", "api"})
"""The Services whose manifests name the Secret with the database."""

_FILE: Final = "audit.db"


def fresh_database(folder: Path) -> str:
    """Return the URL of a database that has nothing of the stack before: its entries are gone as well.

    Parameters
    ----------
    folder
        The stack's folder, which no other stack uses.
    """
    path = (folder / _FILE).resolve()
    for leftover in path.parent.glob(f"{_FILE}*"):
        leftover.unlink()
    return f"sqlite:///{path}"
