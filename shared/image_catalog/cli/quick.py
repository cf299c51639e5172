"""Parameters of commands, read without pydantic wherever their values need none.

typer 0.29 builds a pydantic adapter for each parameter of a command, given or not: for a command with thirty of them
that takes longer than everything else together. Absent values, texts and words of a closed set are read here; the
rest, and whatever is wrong and has to be explained, is typer's.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from typer.core import TyperArgument, TyperOption

__all__ = ["quick"]

_TYPERS: Final[Any] = object()
"""Says that a value is to be read by typer."""


class _QuickOption(TyperOption):
    def process_value(self, ctx: Any, value: Any) -> Any:
        found = _read(self, value)
        if found is _TYPERS:
            return super().process_value(ctx, value)
        return found if self.callback is None else self.callback(ctx, self, found)


class _QuickArgument(TyperArgument):
    def process_value(self, ctx: Any, value: Any) -> Any:
        found = _read(self, value)
        return super().process_value(ctx, value) if found is _TYPERS else found


def quick(parameters: Iterable[Any]) -> list[Any]:
    """Return the parameters that typer made, with the quick way to their values.

    Parameters
    ----------
    parameters
        Options and arguments.
    """
    found = list(parameters)
    for parameter in found:
        # typer has no place to name the class that it makes parameters of.
        if type(parameter) is TyperOption:
            parameter.__class__ = _QuickOption
        elif type(parameter) is TyperArgument:
            parameter.__class__ = _QuickArgument
    return found


def _read(parameter: TyperOption | TyperArgument, value: Any) -> Any:
    kind = parameter.type_descriptor.annotation
    found = _TYPERS
    if value is None:
        if not parameter.required:
            found = () if parameter.multiple or parameter.nargs == -1 else None
    elif kind is str and isinstance(value, str):
        found = value
    elif kind == list[str] and isinstance(value, list | tuple):
        found = list(value)
    elif isinstance(kind, type) and issubclass(kind, StrEnum) and value in set(kind):
        found = kind(value)
    return found
