"""Recalling and restoring: which content is meant, and what has come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from image_catalog.cli.entries import without_server_fields
from image_catalog.cli.errors import CommandError
from image_catalog.cli.output import Table, notice, print_document
from image_catalog.cli.steps import Telling, one_line
from image_catalog.cli.summary import summary
from image_catalog.cli.writing import confirm, interruptible, make_narrator

if TYPE_CHECKING:
    from image_catalog.cli.client import CatalogClient
    from image_catalog.cli.flags import DataFormat
    from image_catalog.cli.options import GlobalOptions
    from image_catalog.cli.steps import Narrator

__all__ = ["RECALL", "RESTORE", "current_digest", "move_recall"]

_KINDS = {"image.resolved": "resolved", "image.downloaded": "downloaded"}


class _Words(NamedTuple):
    """How a command speaks of what it does."""

    does: str
    doing: str
    done: str


RECALL: Final = _Words("Recall", "Recalling", "Recalled")
RESTORE: Final = _Words("Restore", "Restoring", "Restored")


def move_recall(
    words: _Words,
    options: GlobalOptions,
    name: str,
    *,
    reason: str,
    digest: str | None,
    force: bool,
    output: DataFormat | None,
) -> None:
    """Recall a content of an entry, or take that back, and tell what it has come to.

    Parameters
    ----------
    words
        `RECALL` or `RESTORE`.
    options
        The options of every command.
    name
        The entry.
    reason
        Why.
    digest
        The content; `None` takes the current one.
    force
        Whether nobody is asked.
    output
        The format that was asked for; `None` tells people.
    """
    with options.connect() as catalog:
        content = digest or current_digest(catalog, name)
        where = f'{content} of catalog image "{name}" in namespace "{catalog.namespace}"'
        if not (force or options.dry_run):
            nothing = words.done.lower()
            refusal = f"{where} is not {nothing} without being asked for"
            confirm(f"{words.does} {where}?", refusal=refusal, nothing=nothing)
        narrator = make_narrator(Telling.PUBLISHING, options=options, data=output is not None)
        with interruptible(f"caib catalog get {name} -n {catalog.namespace}"), narrator.busy(words.doing):
            body = {"digest": content, "reason": reason}
            answer = catalog.recall_image(name, body, restore=words is RESTORE).document
        _tell_report(narrator, answer, f"{words.done} {where}", output)


def current_digest(catalog: CatalogClient, name: str) -> str:
    """Return the content that an entry has now.

    Raises
    ------
    CommandError
        Raised when nobody knows it yet.
    """
    image = catalog.get_image(name).document
    digest = ((image.get("status") or {}).get("registryMetadata") or {}).get("resolvedDigest")
    if not digest:
        hint = "name the content with --digest"
        raise CommandError(f'what catalog image "{name}" has in its registry is not known yet', hint=hint)
    return str(digest)


def _tell_report(narrator: Narrator, answer: Mapping[str, Any], done: str, output: DataFormat | None) -> None:
    """Tell what a recall, or the end of one, has come to.

    Parameters
    ----------
    narrator
        Tells it.
    answer
        The API's answer.
    done
        What is said when this call has done it.
    output
        The format that was asked for; `None` tells people.
    """
    report = answer["recall"]
    narrator.mark("ok" if report["changed"] else "skipped", done if report["changed"] else one_line(report["message"]))
    narrator.say()
    narrator.say(summary(_facts(report)))
    if not report["told"] and report["changed"]:
        notice(one_line(report["message"]))
    if output is not None:
        print_document(without_server_fields(answer) | {"recall": report}, output)
        return
    if report["recalled"]:
        _tell_consumers(narrator, report)


def _facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    recall: Mapping[str, Any] = next(iter(report["recalls"]), {})
    marked = [f"{entry['namespace']}/{entry['name']}" for entry in report["marked"]]
    if report["markedElsewhere"]:
        marked.append(f"{report['markedElsewhere']} in namespaces that you may not look into")
    return [
        ("Digest", report["digest"]),
        ("Recalled", "yes" if report["recalled"] else "no"),
        ("Reason", recall.get("reason", "")),
        ("Recalled at", f"{recall['namespace']}/{recall['name']}" if recall else ""),
        ("Recalled by", recall.get("recalledBy", "")),
        ("Also marked", ", ".join(marked)),
    ]


def _tell_consumers(narrator: Narrator, report: Mapping[str, Any]) -> None:
    """Print who has the content: those have to be told by somebody."""
    consumers = report.get("consumers")
    if report["consumersMessage"]:
        notice(one_line(report["consumersMessage"]))
    if not consumers:
        if consumers is not None:
            narrator.say("\nNobody has resolved or downloaded it.")
        return
    narrator.say("\nResolved or downloaded by:")
    Table(["WHO", "WHAT", "TIMES", "FIRST", "LAST"]).print(
        [each["actor"], _KINDS.get(each["kind"], each["kind"]), str(each["count"]), each["first"], each["last"]]
        for each in consumers
    )
    if report.get("consumersRemaining"):
        notice("there are more; see: caib catalog audit")
