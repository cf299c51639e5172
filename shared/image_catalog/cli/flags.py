"""Arguments and options that more than one command takes."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from image_catalog.cli.completion import complete_images
from image_catalog.cli.output import Format
from image_catalog.cli.parameters import parse_duration

__all__ = ["AllNamespaces", "AuthSecret", "DataFormat", "EntryName", "Output", "Shown", "Tags", "Timeout"]

_PATIENCE = "How long all of it may take; 5m when absent, 2m for verify, 1m for remove."


class DataFormat(StrEnum):
    """How a command that writes prints its outcome for scripts; without one it is told to people."""

    JSON = "json"
    YAML = "yaml"
    NAME = "name"


EntryName = Annotated[str, typer.Argument(help="Name of the entry.", autocompletion=complete_images)]
Shown = Annotated[Format, typer.Option("--output", "-o", help="How to print what is found.")]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Every namespace.")]
Tags = Annotated[
    list[str] | None, typer.Option("--tags", metavar="A,B", help="Words to find the image by; may be repeated.")
]
AuthSecret = Annotated[
    str | None, typer.Option("--auth-secret", metavar="SECRET", help="Secret with the credential for the registry.")
]
Timeout = Annotated[
    timedelta | None,
    typer.Option("--timeout", parser=parse_duration, metavar="DURATION", help=_PATIENCE),
]
Output = Annotated[
    DataFormat | None, typer.Option("--output", "-o", help="Print data on stdout, and the steps on stderr.")
]
