"""Files that are made from the code: written where they say something else, or compared with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_changed", "write_files"]


def write_changed(wanted: Mapping[Path, str]) -> list[Path]:
    """Write each file that says something else, and return those that did.

    Parameters
    ----------
    wanted
        What each file is to say; a folder that is absent is made.
    """
    changed = [path for path, text in wanted.items() if not _says(path, text)]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    return changed


def write_files(wanted: Mapping[Path, str], *, check: bool) -> int:
    """Write the files and tell which, or tell which are behind; return the exit code.

    Parameters
    ----------
    wanted
        What each file is to say.
    check
        Whether nothing is written.
    """
    if not check:
        for path in write_changed(wanted):
            sys.stdout.write(f"wrote {path}\n")
        return 0
    behind = [str(path) for path, text in wanted.items() if not _says(path, text)]
    if behind:
        sys.stderr.write(f"behind the code: {', '.join(behind)}; run `make docs`\n")
    return 1 if behind else 0


def _says(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
