"""The pages, the picture and their files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from image_catalog.cli.reference.commands import commands_page
from image_catalog.cli.reference.events import events_page
from image_catalog.cli.reference.picture import draw_publication
from image_catalog.cli.reference.resources import resources_page
from image_catalog.cli.reference.settings import settings_page
from image_catalog.pages.blocks import Block
from image_catalog.pages.files import write_files
from image_catalog.pages.markdown import render

__all__ = ["PAGES", "main"]


_FOLDER: Final = Path("docs/reference")


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the pages; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the pages that are generated from the code.")
    parser.add_argument("--output", type=Path, default=_FOLDER, help="their folder (%(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is behind")
    chosen = parser.parse_args(arguments)
    return write_files({chosen.output / name: page() for name, page in PAGES.items()}, check=chosen.check)
