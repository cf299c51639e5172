"""How a process loads much code at once."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec

__all__ = ["collector_paused", "leave_front_page_unread", "leave_out", "left_out"]


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


def leave_front_page_unread(package: str) -> None:
    """Let modules of a package be imported without running its ``__init__``.

    For a package whose ``__init__`` imports all that it has, while a function
    needs one module of it. Afterwards ``from package import module`` and
    ``import package.module`` do what they always do; a name that ``__init__``
    itself would define is missing.

    Parameters
    ----------
    package
        Its full name; one that has been imported already stays as it is.

    Raises
    ------
    ModuleNotFoundError
        Raised if there is no such package.
    """
    if package in sys.modules:
        return
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"no package named {package!r}", name=package)
    sys.modules[package] = module_from_spec(spec)


def leave_out(module: str) -> None:
    """Let a module be not found from now on, by those who take it when it is there.

    Parameters
    ----------
    module
        Its full name; one that has been imported already stays as it is.
    """
    # What is None there is not found: https://docs.python.org/3.11/reference/import.html#the-module-cache
    sys.modules.setdefault(module, None)  # type: ignore[arg-type]  # typeshed does not know of it


@contextmanager
def left_out(module: str) -> Iterator[None]:
    """Let a module be not found by what is imported meanwhile; see `leave_out`."""
    leave_out(module)
    try:
        yield
    finally:
        if sys.modules[module] is None:
            del sys.modules[module]
