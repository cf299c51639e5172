"""Keeps what happened: catalog events, changes of entries, and what no function could take."""

from __future__ import annotations

from typing import Any

import structlog

from image_catalog.errors import TransientError
from image_catalog.events import PREFIX, CatalogEvent, ReceivedEvent, SourceType
from image_catalog_functions.audit.destinations import destination_of
from image_catalog_functions.audit.history import History
from image_catalog_functions.audit.letters import Letters

__all__ = ["handle"]

_log = structlog.get_logger(__name__)

_CHANGES = frozenset({SourceType.RESOURCE_ADDED, SourceType.RESOURCE_UPDATED, SourceType.RESOURCE_DELETED})


async def handle(event: ReceivedEvent[Any], *, history: History, letters: Letters) -> list[CatalogEvent]:
    """Keep an event, or show and keep it as a dead letter.

    The broker has no way back for a dead letter, and the function that takes
    them has one of its own for what it could not keep: an event of the history
    that comes as a dead letter is kept in the history after all.

    Parameters
    ----------
    event
        The event, its data as it came.
    history
        Keeps what happened.
    letters
        Shows and keeps what no function could take.

    Returns
    -------
    list of CatalogEvent
        Nothing: what is kept here is told by others, and a dead letter that
        begot events could beget itself.

    Raises
    ------
    TransientError
        Raised when the database does not answer, so that the broker tries again.
    InvalidEventError
        Raised for what says that it is a change of an entry and is none.
    """
    destination = destination_of(event.extensions)
    if destination is None:
        if not _is_of_history(event):
            # A broker that does not say that it is a dead letter; nothing else sends such an event here.
            await letters.take(event)
        else:
            await history.keep(event)
    elif destination.is_own and _is_of_history(event) and await _is_kept_late(event, history):
        _log.info("kept after all", id=event.id, type=event.type)
    else:
        await letters.take(event)
    await history.tidy()
    return []


def _is_of_history(event: ReceivedEvent[Any]) -> bool:
    is_change = event.type in _CHANGES and event.extensions.get("kind") == "CatalogImage"
    return is_change or event.type.startswith(PREFIX)


async def _is_kept_late(event: ReceivedEvent[Any], history: History) -> bool:
    """Return whether the history takes an event now that it could not take before."""
    if history.is_off:
        return False
    try:
        await history.keep(event)
    except TransientError:
        raise
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is a dead letter then, which is kept whole
        _log.exception("not kept", id=event.id, type=event.type)
        return False
    return True
