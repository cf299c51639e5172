"""Runs every check, in the order in which trouble is worth mending."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from image_catalog.cli.installation.definitions import check_definitions
from image_catalog.cli.installation.delivery import check_delivery
from image_catalog.cli.installation.entries import check_entries, check_secrets
from image_catalog.cli.installation.findings import Finding, State
from image_catalog.cli.installation.history import check_history
from image_catalog.cli.installation.registries import check_registries
from image_catalog.cli.installation.rights import check_rights
from image_catalog.cli.installation.rival import check_rival
from image_catalog.cli.installation.surroundings import Surroundings
from image_catalog.errors import ClusterUnavailableError, ForbiddenError

__all__ = ["CHECKS", "run_checks"]

CHECKS: Final[dict[str, Callable[[Surroundings], Awaitable[list[Finding]]]]] = {
    "crds": check_definitions,
    "operator": check_rival,
    "rights": check_rights,
    "delivery": check_delivery,
    "registries": check_registries,
    "database": check_history,
    "secrets": check_secrets,
    "entries": check_entries,
}
"""Every check by its name."""


async def run_checks(around: Surroundings) -> list[Finding]:
    """Run every check; one that cannot be made says so, and the others go on.

    Raises
    ------
    ClusterUnavailableError
        Raised if the very first question to the API server is not answered.
    """
    findings: list[Finding] = []
    for name, check in CHECKS.items():
        try:
            findings += await check(around)
        except ForbiddenError as e:
            findings.append(Finding(check=name, subject="cluster", state=State.UNKNOWN, message=e.message, remedy=_ASK))
        except ClusterUnavailableError as e:
            if not findings:
                raise
            # A kind that is not installed cannot be listed, which the checks before have told.
            findings.append(Finding(check=name, subject="cluster", state=State.UNKNOWN, message=e.message))
    return findings


_ASK: Final = "run it as somebody who may read these things: a cluster's administrator may"
