"""``caib catalog audit``: who did what."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

import typer

from image_catalog.cli.completion import complete_images
from image_catalog.cli.flags import AllNamespaces, Shown
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.output import Format, notice
from image_catalog.cli.past import Actor, Kinds, Outcomes, Since, Until, filters_of, print_records

__all__ = ["app"]

app = typer.Typer(add_completion=False)

_DEFAULT_LIMIT = 20
_LARGEST_PAGE = 500

_Limit = Annotated[
    int | None, typer.Option(min=1, max=_LARGEST_PAGE, metavar="N", help="How many at most, 1 to 500; 20 when absent.")
]


@app.command("audit", cls=CatalogCommand)
def audit(
    ctx: typer.Context,
    *,
    name: Annotated[str | None, typer.Option(help="Name of the entry.", autocompletion=complete_images)] = None,
    kind: Kinds = None,
    actor: Actor = None,
    outcome: Outcomes = None,
    digest: Annotated[str | None, typer.Option(help="Digest of the content.")] = None,
    since: Since = None,
    until: Until = None,
    limit: _Limit = None,
    everything: Annotated[bool, typer.Option("--all", help="Every record, however many.")] = False,
    all_namespaces: AllNamespaces = False,
    output: Shown = Format.TABLE,
) -> None:
    """Show who did what, when, and how it ended, the newest first. Records stay when their entry is gone."""
    if everything and limit is not None:
        raise typer.BadParameter("--all and --limit exclude each other", param_hint="--limit")
    size = _LARGEST_PAGE if everything else limit or _DEFAULT_LIMIT
    asked = filters_of(
        kind, name=name, actor=actor, outcome=outcome, digest=digest, since=since, until=until, limit=size
    )
    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        where = {"allNamespaces": "true"} if all_namespaces else {"namespace": catalog.namespace}
        pages = catalog.audit({**where, **asked})
        found = list(pages) if everything else [next(pages)]
        here = "any namespace" if all_namespaces else f"namespace {catalog.namespace}"
    print_records(
        chain.from_iterable(page.get("items") or () for page in found),
        output,
        nothing=f"nothing of that is known in {here}",
        with_name=True,
        with_namespace=all_namespaces,
    )
    if (found[-1].get("metadata") or {}).get("continue"):
        notice(f"there are more; --all shows every one, --limit N up to {_LARGEST_PAGE}")
