"""File names that a registry or a bucket chose: none of them leads out of the folder that the user chose."""

from __future__ import annotations

from pathlib import Path

from image_catalog.cli.errors import CommandError

__all__ = ["PART", "UnsafeNameError", "local_path"]

PART = ".part"
"""What the name of a file ends with that is not whole yet."""

_LONGEST = 255 - len(f".{PART}.json")
"""Bytes of a component that every file system in use takes, less what is put around it for the notes beside it."""

_DEEPEST = 8
_FORBIDDEN = frozenset('\\:*?"<>|')
"""Separators and wildcards somewhere: what is one name here must not be two elsewhere."""
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})


class UnsafeNameError(CommandError):
    """A file's name would lead out of the folder, or is none."""

    reason = "UnsafeName"


def local_path(directory: Path, name: str) -> Path:
    """Return where a file is put.

    Folders in the name are kept, below the directory; a link that stands
    there already is not followed out of it.

    Parameters
    ----------
    directory
        The folder that the user chose.
    name
        The file's name as its registry or bucket has it, whatever that is.

    Raises
    ------
    UnsafeNameError
        Raised if the name could lead elsewhere, hide the file, or name none.
    """
    parts = name.split("/")
    if len(parts) > _DEEPEST or not all(map(_is_safe, parts)):
        raise UnsafeNameError(
            f"the artifact {name[:128]!r} has a name that no file is given here",
            hint="download the others with --artifact, or have it published under a plain file name",
        )
    path = directory.joinpath(*parts)
    if not path.parent.resolve().is_relative_to(directory.resolve()) or path.is_symlink():
        raise UnsafeNameError(
            f"{path} leads out of {directory} by a link", hint="remove the link, or choose another -o"
        )
    return path


def _is_safe(part: str) -> bool:
    """Return whether a component names a file that is seen, here and on other systems."""
    stem = part.partition(".")[0].lower()
    return (
        bool(part)
        and not part.startswith((".", "-", "~", " "))
        and not part.endswith((".", " ", PART))
        and part.isprintable()
        and _FORBIDDEN.isdisjoint(part)
        and stem not in _DEVICES
        and _fits(part)
    )


def _fits(part: str) -> bool:
    try:
        return len(part.encode()) <= _LONGEST
    except UnicodeEncodeError:
        return False
