"""``caib catalog list``: the entries that fit."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from image_catalog.cli.completion import complete_distros, complete_tags, complete_targets
from image_catalog.cli.flags import AllNamespaces, Architecture, BootcCapable, BuildMode, Shown
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.output import Format
from image_catalog.cli.parameters import split_list

__all__ = ["app"]

app = typer.Typer(add_completion=False)


class _Phase(StrEnum):
    PENDING = "Pending"
    VERIFYING = "Verifying"
    AVAILABLE = "Available"
    UNAVAILABLE = "Unavailable"
    FAILED = "Failed"


class _Sort(StrEnum):
    PUBLISHED = "published"
    NAME = "name"
    SIZE = "size"
    VERIFIED = "verified"
    AVAILABILITY = "availability"


class _Window(StrEnum):
    DAY = "24h"
    MONTH = "30d"


class _Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


_Distro = Annotated[str | None, typer.Option(help="Distribution, cs9 for example.", autocompletion=complete_distros)]
_Target = Annotated[str | None, typer.Option(help="A board that the image is for.", autocompletion=complete_targets)]
_Phases = Annotated[
    _Phase | None,
    typer.Option(
        case_sensitive=False,
        metavar="NAME",
        help="Where it stands: Pending, Verifying, Available, Unavailable or Failed.",
    ),
]
_Sorts = Annotated[
    _Sort | None,
    typer.Option(metavar="BY", help="What to sort by: published (when absent), name, size, verified, availability."),
]
_Limit = Annotated[
    int | None, typer.Option(min=1, max=500, metavar="N", help="How many at most, 1 to 500; 20 when absent.")
]
_Tags = Annotated[
    list[str] | None,
    typer.Option(
        metavar="A,B", help="Words that an image carries, all of them; repeatable.", autocompletion=complete_tags
    ),
]
_Recalled = Annotated[
    bool | None, typer.Option("--recalled/--no-recalled", help="Whether its content must not be used any more.")
]
_MinAvailability = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, metavar="SHARE", help="Least share of known time that the image was there, 0.995 for example."
    ),
]
_Windows = Annotated[
    _Window | None,
    typer.Option(metavar="TIME", help="What availability is counted over: 24h (when absent) or 30d."),
]
_Build = Annotated[str | None, typer.Option(metavar="[NAMESPACE/]NAME", help="The build that made the image.")]
_Latest = Annotated[
    bool,
    typer.Option(
        "--latest", help="The last published, of each schedule or distro, architecture and target, that matches."
    ),
]


_AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="TIME", help="The catalog as it was: 7d for a week ago, or a time (RFC 3339)."),
]


@app.command("list", cls=CatalogCommand)
def list_images(
    ctx: typer.Context,
    *,
    architecture: Architecture = None,
    distro: _Distro = None,
    distro_version: Annotated[str | None, typer.Option(help="Version of the distribution.")] = None,
    target: _Target = None,
    phase: _Phases = None,
    tags: _Tags = None,
    bootc_capable: BootcCapable = None,
    recalled: _Recalled = None,
    min_availability: _MinAvailability = None,
    availability_window: _Windows = None,
    build_mode: BuildMode = None,
    digest: Annotated[str | None, typer.Option(help="Digest of the content.")] = None,
    registry_url: Annotated[str | None, typer.Option(metavar="REFERENCE", help="Where the image lies.")] = None,
    kernel_version: Annotated[str | None, typer.Option(help="Version of the kernel.")] = None,
    source_image_build: _Build = None,
    schedule: Annotated[str | None, typer.Option(help="The schedule that made the build.")] = None,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Part of name, reference or tag.")] = None,
    latest: _Latest = False,
    as_of: _AsOf = None,
    sort: _Sorts = None,
    order: Annotated[_Order | None, typer.Option(help="Which way; newest, largest or A first when absent.")] = None,
    limit: _Limit = None,
    everything: Annotated[bool, typer.Option("--all", help="Every entry, however many.")] = False,
    all_namespaces: AllNamespaces = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Then a line for every change, until Ctrl-C.")] = False,
    output: Shown = Format.TABLE,
    wide: Annotated[bool, typer.Option("--wide", help="The table with every column, as --output wide.")] = False,
) -> None:
    """List the published images, newest publication first."""
    from image_catalog.cli.listing import Listed, print_list, watch_list  # noqa: PLC0415 - `--help` needs no HTTP

    form = Format.WIDE if wide else output
    _refuse_both(("--all", everything, "--limit", limit), ("--watch", watch, "--as-of", as_of))
    _refuse_both(("--wide", wide, "--output", None if output in {Format.TABLE, form} else output))
    given = _given(
        architecture=architecture, distro=distro, distroVersion=distro_version, target=target, phase=phase,
        tags=",".join(split_list(tags or ())) or None, bootcCapable=bootc_capable, recalled=recalled,
        minAvailability=min_availability, availabilityWindow=availability_window, buildMode=build_mode,
        digest=digest, registryUrl=registry_url, kernelVersion=kernel_version, sourceImageBuild=source_image_build,
        schedule=schedule, q=query, latest=latest or None, asOf=as_of, sort=sort, order=order,
    )  # fmt: skip
    asked = Listed(filters=given, limit=limit, everything=everything, all_namespaces=all_namespaces, form=form)
    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        (watch_list if watch else print_list)(catalog, asked)


def _refuse_both(*pairs: tuple[str, bool, str, object]) -> None:
    for one, is_given, other, value in pairs:
        if is_given and value is not None:
            raise typer.BadParameter(f"{one} and {other} exclude each other", param_hint=other)


def _given(**filters: object) -> dict[str, str]:
    """Return the filters that were given, by their names in the API and as it takes them."""
    given = {key: value for key, value in filters.items() if value is not None}
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given.items()}
