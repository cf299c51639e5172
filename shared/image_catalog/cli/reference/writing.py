"""The pages and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from image_catalog.cli.reference.commands import commands_page
from image_catalog.cli.reference.events import events_page
from image_catalog.cli.reference.resources import resources_page
from image_catalog.cli.reference.settings import settings_page
from image_catalog.pages.blocks import Block
from image_catalog.pages.markdown import render, write_page

__all__ = ["PAGES", "write_reference"]

PAGES: Final[Mapping[str, Callable[[], Iterable[Block]]]] = {
    "cli.md": commands_page,
    "crds.md": resources_page,
    "events.md": events_page,
    "settings.md": settings_page,
}
"""What is on each page, by the name of its file."""


def write_reference(folder: Path) -> list[Path]:
    """Write every page into a folder.

    Parameters
    ----------
    folder
        Where the files go; made when it is absent.

    Returns
    -------
    list of pathlib.Path
        The files whose content changed.
    """
    wanted = {folder / name: render(page()) for name, page in PAGES.items()}
    return [path for path, text in wanted.items() if write_page(path, text)]
