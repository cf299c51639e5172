"""Tells the world of recalls, until it was told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from image_catalog.catalog.recall_events import recall_event, untold
from image_catalog.catalog.recalling import told
from image_catalog.cluster import CatalogImages, EventRecorder
from image_catalog.errors import SinkUnavailableError
from image_catalog.events import CatalogEvent, EventSink
from image_catalog.models import CatalogImage
from image_catalog.models.events import ImageRecalled, ImageRestored

__all__ = ["Teller"]

_log = structlog.get_logger(__name__)


class Teller:
    """Emits the events that entries owe for their recalls.

    An entry says of each recall whether the broker took its event. What it has
    not taken is owed, whoever wrote the recall and died since, and is told under
    the id that it always had.

    Parameters
    ----------
    images
        Writes that the world was told.
    recorder
        Writes Kubernetes Events; a second time none is written twice.
    sink
        Takes the events; `None` without a broker: then nobody is told.
    clock
        Tells the time.
    """

    def __init__(
        self, *, images: CatalogImages, recorder: EventRecorder, sink: EventSink | None, clock: Callable[[], datetime]
    ) -> None:
        self._images = images
        self._recorder = recorder
        self._sink = sink
        self._clock = clock

    @property
    def has_sink(self) -> bool:
        """Whether there is a broker to tell."""
        return self._sink is not None

    async def tell(self, image: CatalogImage) -> bool:
        """Tell what an entry owes.

        Parameters
        ----------
        image
            The entry, as it was written.

        Returns
        -------
        bool
            Whether the entry was written: that the broker took what it owed.

        Raises
        ------
        SinkUnavailableError
            Raised when the broker did not take it; the entry goes on to owe it.
        CatalogError
            Raised when the entry cannot be written; then it is told again.
        """
        tellings = untold(image)
        events = [event for telling in tellings if (event := recall_event(telling, image)) is not None]
        for event in events:
            await self._note(image, event)
        if self._sink is None or not events:
            return False
        try:
            await self._sink.send(events)
        except SinkUnavailableError as e:
            _log.warning("recall not told", image=image.subject, error=e.message)
            raise
        meta = image.metadata
        await self._images.apply_status(
            meta.namespace, meta.name, lambda fresh: told(fresh, tellings, now=self._clock()), start=image
        )
        return True

    async def _note(self, image: CatalogImage, event: CatalogEvent) -> None:
        """Show in `kubectl describe` what happened."""
        data = event.data
        if isinstance(data, ImageRecalled):
            message = f"{data.actor} recalled {data.digest}: {data.reason}"
            await self._recorder.record(image, event_id=event.id, reason="Recalled", message=message, type="Warning")
        elif isinstance(data, ImageRestored):
            message = f"{data.actor} restored {data.digest}: {data.reason}"
            await self._recorder.record(image, event_id=event.id, reason="Restored", message=message)
