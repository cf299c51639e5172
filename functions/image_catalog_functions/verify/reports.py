"""Keeps what tests on boards have shown, in the status of the entry whose content was tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from image_catalog.catalog.evidence import ReportRefusedError, read_report, record
from image_catalog.cluster import CatalogImages
from image_catalog.config import Settings
from image_catalog.events import ReceivedEvent
from image_catalog.models import CatalogImage, CatalogImageStatus
from image_catalog.models.events import TestReport
from image_catalog.models.reasons import ReportRefusal

__all__ = ["Reports"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Takes reports of tests.

    Parameters
    ----------
    images
        Reads and writes entries.
    settings
        Whether reporters are taken, and believed, whom nobody knows.
    clock
        Tells the time.
    """

    images: CatalogImages
    settings: Settings
    clock: Callable[[], datetime]

    async def take(self, event: ReceivedEvent[object], data: TestReport) -> None:
        """Keep what an event reports; one that came before changes nothing.

        Parameters
        ----------
        event
            The event.
        data
            Its data.

        Raises
        ------
        ReportRefusedError
            Raised for an entry that is not there, a content that it never had,
            a board that it is not for, a time that has not come, and for a
            reporter whom nobody knows where those are not taken. The broker
            makes a dead letter of it, which can be sent again once the entry
            is mended.
        TransientError
            Raised when the API server is in trouble that passes.
        """
        settings = self.settings
        if not event.is_authenticated and not settings.accept_unauthenticated:
            raise ReportRefusedError(
                ReportRefusal.UNAUTHENTICATED,
                "reports at the broker's ingress are turned off; post it to the catalog's API",
            )
        report = read_report(event, data, now=self.clock(), believe_everybody=settings.believe_unauthenticated_tests)

        def decide(fresh: CatalogImage) -> CatalogImageStatus | None:
            if fresh.metadata.deletion_timestamp is not None:
                raise _not_found(data)
            return record(fresh, report)

        if await self.images.apply_status(data.namespace, data.name, decide) is None:
            raise _not_found(data)
        _log.info(
            "test reported",
            image=f"{data.namespace}/{data.name}",
            digest=data.digest,
            target=data.target,
            result=data.result,
            actor=event.actor,
        )


def _not_found(data: TestReport) -> ReportRefusedError:
    return ReportRefusedError(
        ReportRefusal.NOT_FOUND, f'catalog image "{data.name}" not found in namespace "{data.namespace}"'
    )
