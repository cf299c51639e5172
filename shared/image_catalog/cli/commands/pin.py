"""``caib catalog pin``: which content an entry stands for, and what becomes of it when its tag moves."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from image_catalog.cli.errors import CommandError, UsageError
from image_catalog.cli.flags import DataFormat, EntryName, Output
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.steps import Telling
from image_catalog.cli.summary import check_facts, is_in_trouble, summary
from image_catalog.cli.writing import interruptible, make_narrator, not_available, print_data

__all__ = ["app"]

app = typer.Typer(add_completion=False)


class _Policy(StrEnum):
    ALERT = "alert"
    FOLLOW = "follow"
    QUARANTINE = "quarantine"


@app.command("pin", cls=CatalogCommand)
def pin(
    ctx: typer.Context,
    name: EntryName,
    *,
    digest: Annotated[str | None, typer.Option(metavar="DIGEST", help="Pin this content.")] = None,
    moved: Annotated[bool, typer.Option("--moved", help="Pin what its tag has since it moved.")] = False,
    free: Annotated[bool, typer.Option("--free", help="Pin nothing, until it is published again.")] = False,
    drift_policy: Annotated[
        _Policy | None,
        typer.Option(metavar="POLICY", help="When its tag moves: alert says so, follow moves the pin, or quarantine."),
    ] = None,
    output: Output = None,
) -> None:
    """Decide what an entry stands for and what happens when its tag moves, and check it at once."""
    ways = sum((digest is not None, moved, free))
    if ways > 1 or (ways == 0 and drift_policy is None):
        raise UsageError("say one of --digest, --moved and --free, or --drift-policy; see caib catalog pin --help")
    options: GlobalOptions = ctx.obj
    narrator = make_narrator(Telling.CHECKING, options=options, data=output is not None)
    with options.connect() as catalog, interruptible(f"caib catalog get {name}"):
        entry = catalog.get_image(name).document
        spec = dict(entry["spec"]) | ({} if drift_policy is None else {"driftPolicy": drift_policy.value})
        if ways:
            spec |= _pinned(spec, _moved_to(entry) if moved else digest)
        body = {"spec": spec, "resourceVersion": entry["metadata"]["resourceVersion"]}
        catalog.replace_image(name, body)
        narrator.mark("ok", _decided(name, spec))
        with narrator.busy("Asking the registry"):
            found = catalog.verify_image(name).document
    narrator.tell(found.get("steps") or ())
    narrator.say()
    narrator.say(summary(check_facts(found)))
    print_data({"metadata": {"name": name}} if output is DataFormat.NAME else found, output)
    if is_in_trouble(found.get("phase")):
        raise not_available(f'catalog image "{name}"', found["phase"], found.get("reason"), found.get("message"))


def _moved_to(entry: Mapping[str, Any]) -> str:
    drift = (entry.get("status") or {}).get("drift")
    if drift is None:
        name = entry["metadata"]["name"]
        raise CommandError(f'the tag of catalog image "{name}" has not moved away from its pin, as far as is known')
    return str(drift["tagDigest"])


def _pinned(spec: Mapping[str, Any], digest: str | None) -> dict[str, Any]:
    """Return what a pin changes; a digest in the reference is the same pin in another place."""
    reference, at, _ = str(spec["registryUrl"]).partition("@")
    if digest is not None:
        return {"digest": digest, "registryUrl": f"{reference}@{digest}" if at else reference}
    if at and ":" not in reference.rpartition("/")[2]:
        raise UsageError(f"{spec['registryUrl']} has no tag that it could follow")
    return {"digest": None, "registryUrl": reference}


def _decided(name: str, spec: Mapping[str, Any]) -> str:
    pinned = f"pinned to {spec['digest']}" if spec.get("digest") else "pinned to nothing"
    return f'Catalog image "{name}": {pinned}, drift policy {spec.get("driftPolicy", _Policy.ALERT.value)}'
