"""``caib catalog resolve``: the one image for a board."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from image_catalog.cli.completion import complete_distros, complete_tags, complete_targets
from image_catalog.cli.flags import AllNamespaces, Architecture, BootcCapable, BuildMode
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.parameters import split_list

__all__ = ["app"]

app = typer.Typer(add_completion=False)


class _Form(StrEnum):
    REFERENCE = "reference"
    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


_Target = Annotated[str, typer.Option(metavar="BOARD", help="The board.", autocompletion=complete_targets)]
_Distro = Annotated[str | None, typer.Option(help="Distribution, cs9 for example.", autocompletion=complete_distros)]
_Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        "--tags",
        metavar="A,B",
        help="Words that an image carries, all of them; repeatable.",
        autocompletion=complete_tags,
    ),
]
_Share = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="Share of time that it was there, 0 to 1; over 30 days, or else 24 hours."),
]
_Age = Annotated[str | None, typer.Option(metavar="AGE", help="Published so long ago at most: 30d, 12h or P30D.")]
_Verified = Annotated[
    bool, typer.Option("--verified-only", help="Only what is known to work on the board, by a test or a person.")
]
_Limit = Annotated[
    int | None, typer.Option(min=0, max=500, metavar="N", help="How many that lost are shown; 20 when absent.")
]
_Output = Annotated[
    _Form,
    typer.Option(
        "--output",
        "-o",
        metavar="FORMAT",
        help="The bare reference, or with why the others lost: table, wide, json or yaml; or the entry's name.",
    ),
]


@app.command("resolve", cls=CatalogCommand)
def resolve(
    ctx: typer.Context,
    *,
    target: _Target,
    distro: _Distro = None,
    distro_version: Annotated[str | None, typer.Option(help="Version of the distribution.")] = None,
    architecture: Architecture = None,
    tag: _Tags = None,
    bootc_capable: BootcCapable = None,
    build_mode: BuildMode = None,
    min_availability: _Share = None,
    verified_only: _Verified = False,
    max_age: _Age = None,
    limit: _Limit = None,
    all_namespaces: AllNamespaces = False,
    output: _Output = _Form.REFERENCE,
) -> None:
    """Name the one image to flash on a board, by digest: the last published of those that fit.

    skopeo copy docker://$(caib catalog resolve --target BOARD) … copies exactly what was chosen.
    """
    from image_catalog.cli.resolving import print_resolution  # noqa: PLC0415 - `--help` needs no HTTP

    wanted = {
        "target": target,
        "distro": distro,
        "distroVersion": distro_version,
        "architecture": architecture,
        "bootcCapable": None if bootc_capable is None else str(bootc_capable).lower(),
        "buildMode": build_mode,
        "minAvailability": min_availability,
        "verifiedOnly": "true" if verified_only else None,
        "maxAge": max_age,
        "limit": limit,
    }
    parameters: dict[str, str | list[str]] = {key: str(value) for key, value in wanted.items() if value is not None}
    if tags := split_list(tag or ()):
        parameters["tag"] = tags
    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        where = {"allNamespaces": "true"} if all_namespaces else {"namespace": catalog.namespace}
        print_resolution(catalog, {**where, **parameters}, output)
