"""What the catalog answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is no refusal.

    Attributes
    ----------
    status
        HTTP status.
    document
        The JSON object; empty for an answer without a body.
    etag
        What a later request may name in ``If-None-Match``.
    """

    status: int
    document: dict[str, Any]
    etag: str | None
