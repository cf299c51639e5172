"""``caib images list``: builds that can be published."""

from __future__ import annotations

import typer

from image_catalog.cli.flags import AllNamespaces, Shown
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.output import Format

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("list", cls=CatalogCommand)
def list_builds(
    ctx: typer.Context,
    *,
    all_namespaces: AllNamespaces = False,
    output: Shown = Format.TABLE,
) -> None:
    """List the completed builds that can be published, and the entry of each that is."""
    from datetime import UTC, datetime  # noqa: PLC0415 - `--help` needs no tables

    from image_catalog.cli.tables import print_items  # noqa: PLC0415 - the same
    from image_catalog.local.ages import age_since  # noqa: PLC0415 - the same

    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        where = {"allNamespaces": "true"} if all_namespaces else {"namespace": catalog.namespace}
        builds = [build for page in catalog.builds({**where, "limit": "500"}) for build in page.get("items") or ()]
        place = "any namespace" if all_namespaces else f"namespace {catalog.namespace}"
    now = datetime.now(UTC)
    cells = {
        "NAME": lambda build: build.get("name"),
        "REGISTRY": lambda build: build.get("registryUrl"),
        "ARCHITECTURE": lambda build: build.get("architecture"),
        "DISTRO": lambda build: build.get("distro"),
        "TARGET": lambda build: build.get("target"),
        "CATALOG IMAGE": _entry,
        "PHASE": lambda build: (build.get("entry") or {}).get("phase"),
        "REASON": lambda build: (build.get("unpublished") or {}).get("reason"),
        "COMPLETED": lambda build: age_since(at, now) if (at := build.get("completionTime")) else None,
    }
    if all_namespaces:
        cells = {"NAMESPACE": lambda build: build.get("namespace"), **cells}
    print_items(
        builds,
        cells,
        output,
        name=lambda build: f"imagebuild/{build.get('name')}",
        nothing=f"no completed builds in {place}",
    )


def _entry(build: dict[str, object]) -> str | None:
    """Return the entry of a build, with its namespace where that is another one."""
    entry = build.get("entry")
    if not isinstance(entry, dict):
        return None
    same = entry.get("namespace") == build.get("namespace")
    return str(entry["name"]) if same else f"{entry.get('namespace')}/{entry['name']}"
