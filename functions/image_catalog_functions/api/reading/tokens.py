"""Continue tokens: where a page ended, for whoever asks for the next one.

A token is opaque and good for a day. It carries no secret and opens nothing: the
query that it continues is authorized like every other. So its digest keeps a
token from being read with another query, or after damage, and needs no key that
all instances would have to share.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import orjson

from image_catalog_functions.api.http.problems import Problem, ProblemReason

__all__ = ["GOOD_FOR", "MAX_TOKEN", "Asked", "ContinueTokens"]

Asked: TypeAlias = Mapping[str, Any] | Sequence[Any]
"""Everything that decides what an answer holds and how it is sorted."""

GOOD_FOR: Final = timedelta(days=1)
MAX_TOKEN: Final = 2048

# Tokens of one step are equal, so that an answer can be kept and compared while nothing changed.
_STEP: Final = timedelta(minutes=10)
_STEP_SECONDS: Final = _STEP.total_seconds()
_DIGEST_BYTES: Final = 12
_VERSION: Final = b"1"


class ContinueTokens:
    """Writes and reads continue tokens.

    Parameters
    ----------
    clock
        Tells the time.
    """

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def step(self) -> int:
        """Return the number of the step of time that tokens are written in now."""
        return int(self._clock().timestamp() // _STEP_SECONDS) + 1

    def write(self, call: str, query: Asked, position: list[Any]) -> str:
        """Write the token that continues an answer.

        Parameters
        ----------
        call
            Name of the call.
        query
            Everything that decides what the answer holds and how it is sorted.
        position
            Where the page ended; values of JSON.
        """
        payload = orjson.dumps([self.step(), position])
        return base64.urlsafe_b64encode(_digest(call, query, payload) + payload).rstrip(b"=").decode()

    def read(self, call: str, query: Asked, token: str) -> list[Any]:
        """Return where the page before ended.

        Raises
        ------
        Problem
            400 ``InvalidContinue`` for a token that was not given out with this
            query; 410 ``ContinueExpired`` for one older than a day.
        """
        try:
            whole = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            digest, payload = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
            # The decoder passes over characters that are not its own, so that many texts would be one token.
            genuine = digest == _digest(call, query, payload) and len(token) == (len(whole) * 8 + 5) // 6
            step, position = orjson.loads(payload) if genuine else (None, None)
        except (ValueError, binascii.Error):
            step, position = None, None
        now = self.step()
        if not isinstance(step, int) or not isinstance(position, list) or step > now:
            raise Problem(
                400,
                ProblemReason.INVALID_CONTINUE,
                "parameter continue is no token that was given out with these parameters; start again without it",
                details={"parameter": "continue", "allowed": "metadata.continue of an answer to the same parameters"},
            )
        if (now - step) * _STEP > GOOD_FOR:
            at = datetime.fromtimestamp(step * _STEP_SECONDS, UTC)
            raise Problem(
                410,
                ProblemReason.CONTINUE_EXPIRED,
                f"parameter continue is older than a day (from {at:%Y-%m-%dT%H:%MZ}); start again without it",
                details={"parameter": "continue", "allowed": "a token that is younger than a day"},
            )
        return position


def _digest(call: str, query: Asked, payload: bytes) -> bytes:
    text = orjson.dumps([call, query], option=orjson.OPT_SORT_KEYS, default=str)
    return blake2b(text + b"\0" + payload, digest_size=_DIGEST_BYTES, person=b"continue" + _VERSION).digest()
