"""``caib catalog verify``: has a registry asked now, for an entry or for a reference without one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

import typer

from image_catalog.cli.completion import complete_images
from image_catalog.cli.errors import ApiError, UsageError
from image_catalog.cli.flags import AuthSecret, CheckTimeout, DataFormat, Output
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.parameters import secret_reference
from image_catalog.cli.steps import Telling
from image_catalog.cli.summary import check_facts, is_in_trouble, summary
from image_catalog.cli.waiting import Deadline, is_passing
from image_catalog.cli.writing import ask, interruptible, make_narrator, not_available, print_data

if TYPE_CHECKING:
    from image_catalog.cli.client import Answer, CatalogClient

__all__ = ["app"]

app = typer.Typer(add_completion=False)

_PATIENCE = timedelta(minutes=2)


@app.command("verify", cls=CatalogCommand)
def verify(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Name of the entry.", autocompletion=complete_images)] = None,
    *,
    reference: Annotated[
        str | None, typer.Option("--reference", help="Explain this reference in place of an entry; writes nothing.")
    ] = None,
    auth_secret: AuthSecret = None,
    deep: Annotated[bool, typer.Option("--deep", help="Ask for every config and layer too.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait through trouble that passes.")] = False,
    timeout: CheckTimeout = None,
    output: Output = None,
) -> None:
    """Ask the registry now whether an image is still there, and is what it was."""
    options: GlobalOptions = ctx.obj
    if (name is None) == (reference is None):
        raise UsageError("name an entry, or a reference with --reference; see caib catalog verify --help")
    if name is not None and auth_secret is not None:
        raise UsageError("--auth-secret goes with --reference: an entry names its own Secret")
    # Whoever asks for an explanation wants to know where the time goes, too.
    timed = reference is not None
    narrator = make_narrator(Telling.CHECKING, options=options, data=output is not None, timed=timed)
    subject = f'catalog image "{name}"' if name else f'reference "{reference}"'
    see = f"caib catalog get {name}" if name else f"caib catalog verify --reference {reference}"
    with options.connect() as catalog, interruptible(see):

        def request(left: timedelta) -> Answer:
            if name is not None:
                found = catalog.verify_image(name, deep=deep, timeout=left)
            else:
                found = catalog.explain(_question(catalog, reference or "", auth_secret, deep=deep), timeout=left)
            if wait:
                _refuse_passing(found.document)
            return found

        narrator.say(f"Verifying {subject}...")
        answer = ask(
            narrator, request, busy="Asking the registry", deadline=Deadline(timeout or _PATIENCE), patient=wait
        ).document
    narrator.say()
    narrator.say(summary(check_facts(answer)))
    # An answer names no object: `name` prints the one that was asked about.
    print_data({"metadata": {"name": name or reference}} if output is DataFormat.NAME else answer, output)
    if is_in_trouble(answer.get("phase")):
        raise not_available(subject, answer["phase"], answer.get("reason"), _untold(answer))


def _untold(answer: Mapping[str, Any]) -> str | None:
    """Return why an image is not there; nothing where a step has said it."""
    message: str | None = answer.get("message")
    told = any((message or "") in step.get("message", "") for step in answer.get("steps") or ())
    return None if told else message


def _refuse_passing(answer: Mapping[str, Any]) -> None:
    """Take a registry's trouble, which is a finding for who only looks, for what it is to who waits."""
    if is_in_trouble(answer.get("phase")) and is_passing(answer.get("reason")):
        raise ApiError(
            answer.get("message") or "",
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            reason=answer["reason"],
            details=answer,
        )


def _question(catalog: CatalogClient, reference: str, secret: str | None, *, deep: bool) -> dict[str, Any]:
    question: dict[str, Any] = {"registryUrl": reference}
    if secret is not None:
        question["authSecretRef"] = {"namespace": catalog.namespace, **(secret_reference(secret) or {})}
    if deep:
        question["deep"] = True
    return question
