"""What recalling and restoring have in common: which content is meant, and what has come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from image_catalog.cli.entries import without_server_fields
from image_catalog.cli.errors import CommandError
from image_catalog.cli.output import Table, notice, print_document
from image_catalog.cli.steps import one_line
from image_catalog.cli.summary import summary

if TYPE_CHECKING:
    from image_catalog.cli.client import CatalogClient
    from image_catalog.cli.flags import DataFormat
    from image_catalog.cli.steps import Narrator

__all__ = ["current_digest", "tell_report"]

_KINDS = {"image.resolved": "resolved", "image.downloaded": "downloaded"}


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


def tell_report(narrator: Narrator, answer: Mapping[str, Any], done: str, output: DataFormat | None) -> None:
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
