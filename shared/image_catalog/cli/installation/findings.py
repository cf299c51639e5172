"""What a check found: well, wrong, or not to be told from here; and how it is mended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "State"]


class State(StrEnum):
    """How something stands."""

    OK = "ok"
    UNKNOWN = "unknown"
    """It cannot be told from here, or by this user; the message says why."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a check.

    Attributes
    ----------
    check
        Which check found it: ``crds``, ``rights`` and so on.
    subject
        What it is about, as kubectl names it.
    state
        How it stands.
    message
        What was found, in one sentence.
    remedy
        What to do; empty where all is well.
    """

    check: str
    subject: str
    state: State
    message: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return it as it is printed for scripts."""
        return {
            "check": self.check,
            "subject": self.subject,
            "state": self.state.value,
            "message": self.message,
            "remedy": self.remedy,
        }
