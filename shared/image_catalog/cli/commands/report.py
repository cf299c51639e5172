"""``caib catalog report``: tells how an image did on a board, as a laboratory does after each test."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from image_catalog.cli.boards import board_text
from image_catalog.cli.completion import complete_targets
from image_catalog.cli.flags import DataFormat, EntryName, Output
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.recalls import current_digest
from image_catalog.cli.steps import Telling
from image_catalog.cli.summary import summary
from image_catalog.cli.writing import interruptible, make_narrator, print_data

__all__ = ["app"]

app = typer.Typer(add_completion=False)

_TYPE = "com.redhat.automotive.catalog.test.reported"


class _Result(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@app.command("report", cls=CatalogCommand)
def report(
    ctx: typer.Context,
    name: EntryName,
    *,
    target: Annotated[
        str, typer.Option("--target", help="The board that was tested.", autocompletion=complete_targets)
    ],
    result: Annotated[
        _Result, typer.Option("--result", metavar="RESULT", help="How the test ended: passed, failed or skipped.")
    ],
    digest: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help="The content that was tested; the entry's present one when absent."),
    ] = None,
    report_url: Annotated[
        str | None, typer.Option("--report-url", metavar="URL", help="Where the report can be read.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the test ended, as RFC 3339 says; now when absent.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="ID", help="The test's id: told twice under the same, it counts once."),
    ] = None,
    output: Output = None,
) -> None:
    """Tell how an image did on a board; whether it is verified there goes by the last result."""
    options: GlobalOptions = ctx.obj
    narrator = make_narrator(Telling.CHECKING, options=options, data=output is not None)
    with options.connect() as catalog, interruptible(f"caib catalog get {name}"):
        content = digest or current_digest(catalog, name)
        said = {"digest": content, "target": target, "result": result.value, "reportUrl": report_url, "at": at}
        data = {key: value for key, value in said.items() if value is not None}
        answer = catalog.send_event(
            _TYPE, {"name": name, "namespace": catalog.namespace, **data}, event_id=run
        ).document
    if answer.get("outcome") == "recorded":
        narrator.mark("ok", f'Recorded: catalog image "{name}" {result.value} on {target}')
    else:
        narrator.mark("skipped", f"Not kept: the last tests of this content on {target} ended later, all of them")
    narrator.say()
    board = answer.get("target") or {"name": target}
    facts = [("Catalog Image", name), ("Digest", content), ("Target", board_text(board, datetime.now(UTC)))]
    narrator.say(summary(facts))
    print_data({"metadata": {"name": name}} if output is DataFormat.NAME else answer, output)
