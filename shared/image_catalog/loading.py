"""How a process loads much code at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_paused"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector away from what is imported, while it is imported and afterwards.

    Imports make tens of thousands of objects that live as long as the process.
    The collector runs whenever enough objects are new, and would go through
    these again and again for a fifth of a function's start. In the end all
    that is there is set aside by `gc.freeze
    <https://docs.python.org/3.11/library/gc.html#gc.freeze>`__, which also
    keeps its pages shared when gunicorn forks.

    What is set aside is never collected, so this is for what a process does
    once.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
