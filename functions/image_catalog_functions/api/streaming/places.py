"""Where in the log a stream begins."""

from __future__ import annotations

import re
from typing import Final

from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.streaming.tail import Log

__all__ = ["LAST_EVENT_ID", "PLACE_PATTERN", "place_of"]

LAST_EVENT_ID: Final = "Last-Event-ID"

PLACE_PATTERN: Final = "^[0-9]{1,18}$"
_PLACE: Final = re.compile(PLACE_PATTERN[1:-1], re.ASCII)


async def place_of(log: Log, last: str) -> int:
    """Return the place behind which the stream of a client goes on that comes back.

    Parameters
    ----------
    log
        The audit.
    last
        Id of the last event that the client has.

    Raises
    ------
    Problem
        400 for what was never given out; 410 when what followed it may be gone.
    """
    details = {"header": LAST_EVENT_ID}
    if not _PLACE.fullmatch(last):
        detail = f"{LAST_EVENT_ID} is none that was given out: send the id of the last event, as it came"
        raise Problem(400, ProblemReason.INVALID_PARAMETER, detail, details=details)
    seq = int(last)
    if seq > await log.newest() or seq < await log.oldest() - 1:
        detail = (
            f"what followed this id is not kept any more; begin anew without {LAST_EVENT_ID}, with since for what is"
        )
        raise Problem(410, ProblemReason.EVENT_ID_GONE, detail, details=details)
    return seq
