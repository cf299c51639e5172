"""Arguments and options that more than one command takes."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from image_catalog.cli.completion import complete_images, complete_secrets, complete_tags
from image_catalog.cli.output import Format
from image_catalog.cli.parameters import parse_duration

__all__ = [
    "AllNamespaces",
    "Architecture",
    "AuthSecret",
    "BootcCapable",
    "BuildMode",
    "CheckTimeout",
    "DataFormat",
    "EntryName",
    "Output",
    "RemoveTimeout",
    "Shown",
    "Tags",
    "WriteTimeout",
]


class DataFormat(StrEnum):
    """How a command that writes prints its outcome for scripts; without one it is told to people."""

    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class _Architecture(StrEnum):
    AMD64 = "amd64"
    ARM64 = "arm64"
    X86_64 = "x86_64"
    AARCH64 = "aarch64"


class _BuildMode(StrEnum):
    BOOTC = "bootc"
    IMAGE = "image"
    PACKAGE = "package"


EntryName = Annotated[str, typer.Argument(help="Name of the entry.", autocompletion=complete_images)]
Shown = Annotated[
    Format,
    typer.Option(
        "--output", "-o", metavar="FORMAT", help="How to print what is found: table, wide, json, yaml or name."
    ),
]
Architecture = Annotated[
    _Architecture | None, typer.Option(metavar="NAME", help="Processor: amd64, arm64, x86_64 or aarch64.")
]
BuildMode = Annotated[
    _BuildMode | None, typer.Option(metavar="NAME", help="How the image was built: bootc, image or package.")
]
BootcCapable = Annotated[
    bool | None, typer.Option("--bootc-capable/--no-bootc-capable", help="Whether bootc can run the image.")
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Every namespace.")]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tags", metavar="A,B", help="Words to find the image by; may be repeated.", autocompletion=complete_tags
    ),
]
AuthSecret = Annotated[
    str | None,
    typer.Option(
        "--auth-secret",
        metavar="SECRET",
        help="Secret with the credential for the registry; NAMESPACE/SECRET for another namespace's that allows it.",
        autocompletion=complete_secrets,
    ),
]


def _patience(usual: str) -> Any:
    """Return the option that says how long a command may take.

    Parameters
    ----------
    usual
        What it is when nobody says.
    """
    help_text = f"How long all of it may take; {usual} when absent."
    return typer.Option("--timeout", parser=parse_duration, metavar="DURATION", help=help_text)


WriteTimeout = Annotated[timedelta | None, _patience("5m")]
CheckTimeout = Annotated[timedelta | None, _patience("2m")]
RemoveTimeout = Annotated[timedelta | None, _patience("1m")]
Output = Annotated[
    DataFormat | None, typer.Option("--output", "-o", help="Print data on stdout, and the steps on stderr.")
]
