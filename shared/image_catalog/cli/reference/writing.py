"""The pages, the picture and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from image_catalog.cli.reference.commands import commands_page
from image_catalog.cli.reference.events import events_page
from image_catalog.cli.reference.picture import draw_publication
from image_catalog.cli.reference.resources import resources_page
from image_catalog.cli.reference.settings import settings_page
from image_catalog.pages.blocks import Block
from image_catalog.pages.markdown import render, write_page

__all__ = ["PAGES", "write_reference"]


def _rendered(page: Callable[[], Iterable[Block]]) -> Callable[[], str]:
    return lambda: render(page())


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "cli.md": _rendered(commands_page),
    "crds.md": _rendered(resources_page),
    "events.md": _rendered(events_page),
    "publication.svg": draw_publication,
    "settings.md": _rendered(settings_page),
}
"""What makes the text of each file, by its name."""


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
    wanted = {folder / name: page() for name, page in PAGES.items()}
    return [path for path, text in wanted.items() if write_page(path, text)]
