"""Plays the story step by step and tells it so that a newcomer understands."""

from __future__ import annotations

import time

from rich.console import Console
from rich.table import Table
from rich.text import Text

from image_catalog.errors import CatalogError
from image_catalog.local.demo.commands import show_catalog
from image_catalog.local.demo.figures import show_figures
from image_catalog.local.demo.story import CHAPTERS
from image_catalog.local.demo.telling import StoryFailedError, Teller
from image_catalog.local.demo.world import World

__all__ = ["play"]


async def play(world: World, console: Console) -> None:
    """Play every chapter, then show what is there with `caib`, and the figures of it all.

    Parameters
    ----------
    world
        The running stack.
    console
        Where the story is told.

    Raises
    ------
    StoryFailedError
        Raised at the first step that is not as it should be, with the reason.
    """
    started = time.monotonic()
    for letter, (title, chapter) in zip("abcdefghijkl", CHAPTERS, strict=True):
        console.print()
        console.print(Text(f"({letter}) {title}", style="bold"))
        try:
            await chapter(world, Teller(console))
        except (TimeoutError, CatalogError, OSError) as e:
            raise StoryFailedError(f"({letter}) {title}: {getattr(e, 'message', e)}") from e
    console.print()
    console.print(_event_table(world))
    console.print()
    try:
        await show_catalog(world, console)
        show_figures(await world.figures(), console)
        console.print()
    except (TimeoutError, CatalogError, OSError) as e:
        raise StoryFailedError(f"the catalog cannot be shown: {getattr(e, 'message', e)}") from e
    seconds = time.monotonic() - started
    console.print(Text(f"Every step was as it should be. The story took {seconds:.1f} s.", style="bold green"))


def _event_table(world: World) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("EVENT", no_wrap=True)
    table.add_column("COUNT", justify="right")
    for event_type, count in sorted(world.subscriber.counts().items()):
        table.add_row(event_type, str(count))
    return table
