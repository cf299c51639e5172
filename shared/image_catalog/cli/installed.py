"""``image-catalog check`` and ``image-catalog uninstall``: an installation in a cluster, looked at and taken away."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from image_catalog.cli.audit import Structured
from image_catalog.cli.clusters import ClusterContext, ClusterKubeconfig, with_cluster
from image_catalog.cli.errors import ExitCode
from image_catalog.cli.output import Format, is_terminal, notice, paint, print_document

if TYPE_CHECKING:
    from image_catalog.cli.installation import Finding, Removal, Surroundings
    from image_catalog.cluster import KubernetesAPI

__all__ = ["check", "print_findings", "uninstall"]

_MARKS: Final = {"ok": ("✓", "green"), "unknown": ("?", "yellow"), "wrong": ("✗", "red")}

Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="IMAGE_CATALOG_DATABASE_URL",
        help="The history's database; without it the Secret in the cluster says which.",
    ),
]


def check(
    *,
    kubeconfig: ClusterKubeconfig = None,
    context: ClusterContext = None,
    database: Database = None,
    output: Structured = Format.TABLE,
) -> None:
    """Look whether the catalog can run in a cluster; say what is wrong, and how to mend it: exit 1 then."""
    from image_catalog.cli.installation import State, run_checks  # noqa: PLC0415 - only this command needs it

    async def look(api: KubernetesAPI) -> list[Finding]:
        return await run_checks(_surroundings(api, database))

    findings = with_cluster(kubeconfig, context, look)
    print_findings(findings, output)
    if any(finding.state is State.WRONG for finding in findings):
        raise typer.Exit(code=ExitCode.ERROR)


def _surroundings(api: KubernetesAPI, database: str | None) -> Surroundings:
    from image_catalog.audit import AuditStore  # noqa: PLC0415 - only this command needs it
    from image_catalog.cli.installation import Surroundings, probe  # noqa: PLC0415 - the same
    from image_catalog.local.manifests import load_manifests  # noqa: PLC0415 - the same

    async def version(url: str) -> tuple[str | None, str]:
        store = AuditStore.open(url)
        try:
            return await store.version()
        finally:
            await store.aclose()

    return Surroundings(
        api=api,
        manifests=load_manifests(),
        probe=probe,
        database_version=version,
        database_url=database,
        clock=lambda: datetime.now(UTC),
    )


def print_findings(findings: Iterable[Finding], output: Format) -> None:
    """Print what was found: a line each, with the remedy below it, or as a document.

    Parameters
    ----------
    findings
        In their order.
    output
        ``table``, ``json`` or ``yaml``.
    """
    found = list(findings)
    counts = Counter(finding.state.value for finding in found)
    if output in {Format.JSON, Format.YAML}:
        print_document({"ok": not counts["wrong"], "checks": [finding.to_dict() for finding in found]}, output)
        return
    coloured = is_terminal(sys.stdout)
    width = max((len(finding.check) for finding in found), default=0)
    for finding in found:
        mark, colour = _MARKS[finding.state.value]
        line = f"{finding.check:<{width}}  {finding.subject}: {finding.message}"
        typer.echo(f"{paint(mark, colour) if coloured else mark} {line}")
        if finding.remedy:
            typer.echo(f"  {'':<{width}}  → {finding.remedy}")
    told = [f"{counts[state]} {word}" for state, word in _COUNTED.items() if counts[state]]
    notice(", ".join(told) or "nothing was looked at")


_COUNTED: Final = {"ok": "well", "unknown": "not to be told from here", "wrong": "wrong"}


def uninstall(
    *,
    kubeconfig: ClusterKubeconfig = None,
    context: ClusterContext = None,
    everything: Annotated[
        bool, typer.Option("--remove", help="Remove what was installed, too; the entries and their kinds stay.")
    ] = False,
    entries: Annotated[
        bool,
        typer.Option("--delete-entries", help="Delete every entry, with its kind and its claims; in every namespace."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop the functions and take the catalog's finalizer off every entry, so that nothing deleted later hangs."""
    from image_catalog.cli.installation import carry_out, plan_removal  # noqa: PLC0415 - only this command needs it
    from image_catalog.cli.writing import confirm  # noqa: PLC0415 - the same

    plan: Removal = with_cluster(
        kubeconfig, context, lambda api: plan_removal(api, everything=everything, entries=entries)
    )
    for line in _told(plan):
        typer.echo(line)
    for note in plan.notes:
        notice(note)
    if plan.is_empty:
        typer.echo("nothing of the catalog is left to take away")
        return
    if dry_run:
        return
    if not yes:
        what = "Go on? Nothing brings the entries back." if plan.entries else "Go on?"
        confirm(what, refusal="nothing is taken away without being asked for", nothing="taken away", flag="--yes")
    with_cluster(kubeconfig, context, lambda api: carry_out(api, plan, typer.echo))
    typer.echo("done")


def _told(plan: Removal) -> Iterable[str]:
    """Say what is to be done, in its order."""
    yield from (f"delete {step}" for step in plan.stopped)
    held = Counter(namespace for namespace, _ in plan.held)
    yield from (f"take the finalizer off {_entries(count)} in {where}" for where, count in sorted(held.items()))
    yield from (f"delete {step}" for step in plan.removed)
    if plan.entries:
        yield f"delete {_entries(plan.entries)}, in every namespace"
    yield from (f"delete {step}" for step in plan.definitions)


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"
