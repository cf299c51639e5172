"""``caib``: what users of the catalog run. Imports nothing here, because ``caib --version`` needs nothing."""

from __future__ import annotations

import sys

from image_catalog import __version__

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["--version"]:
        print(f"caib {__version__}")  # noqa: T201 - typer alone would take three times as long as all of this
        return
    from image_catalog.cli.process import run_process  # noqa: PLC0415 - the same

    run_process(_run)


def _run() -> int:
    from image_catalog.cli.tree import run  # noqa: PLC0415 - the same

    return run(sys.argv[1:])
