"""The types, casts and built-in functions of CloudEvents SQL.

https://github.com/cloudevents/spec/blob/main/cesql/spec.md, sections 3.1, 3.5 and 3.7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["INTEGERS", "ErrorKind", "EvaluationError", "Function", "Value", "cast", "find_function", "to_integer"]

Value = str | int | bool
"""What an expression yields: String, Integer or Boolean."""

INTEGERS = range(-(2**31), 2**31)
"""An Integer of CESQL has 32 bits and a sign (section 3.1)."""


_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,10})")


class ErrorKind(StrEnum):
    """Why an expression could not be evaluated (section 3.3)."""

    CAST = "cast"
    MATH = "math"
    MISSING_ATTRIBUTE = "missingAttribute"
    FUNCTION_EVALUATION = "functionEvaluation"


class EvaluationError(Exception):
    """An expression met an error; it never leaves the evaluator.

    Parameters
    ----------
    kind
        What happened.
    message
        On which value.
    """

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def cast(value: Value, target: type[Value]) -> Value:
    """Turn a value into another type, implicitly as operators do or on demand (section 3.7).

    Raises
    ------
    EvaluationError
        Raised if the text is no integer of 32 bits or no Boolean.
    """
    if type(value) is target:
        return value
    if target is str:
        return str(value).lower() if isinstance(value, bool) else str(value)
    if target is bool:
        return _to_boolean(value)
    return to_integer(value)


def to_integer(value: Value) -> int:
    """Read a value as an Integer.

    Raises
    ------
    EvaluationError
        Raised if the text is no integer of 32 bits.
    """
    digits = str(int(value)) if isinstance(value, int) else value
    # int() alone would also take " 1", "1_000" and digits of other scripts, and fail on thousands of them.
    found = _INTEGER.fullmatch(digits)
    if found and (number := int(found[1] + found[2])) in INTEGERS:
        return number
    raise EvaluationError(ErrorKind.CAST, f"{value!r} is no Integer")


def _to_boolean(value: Value) -> bool:
    if isinstance(value, int):
        return value != 0
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise EvaluationError(ErrorKind.CAST, f"{value!r} is no Boolean")


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a fixed number of arguments, or of any number of further ones.

    Attributes
    ----------
    parameters
        The types of the fixed arguments.
    call
        The implementation; gets arguments that are cast already.
    rest
        The type of the arguments after the fixed ones; `None` when there are none.
    """

    parameters: tuple[type[Value], ...]
    call: Callable[..., Value]
    rest: type[Value] | None = None

    def takes(self, count: int) -> bool:
        """Tell whether the function can be called with this number of arguments."""
        return count == len(self.parameters) or (self.rest is not None and count > len(self.parameters))

    def __call__(self, arguments: Sequence[Value]) -> Value:
        fixed = len(self.parameters)
        typed = [cast(value, kind) for value, kind in zip(arguments, self.parameters, strict=False)]
        if self.rest is not None:
            typed += [cast(value, self.rest) for value in arguments[fixed:]]
        return self.call(*typed)


def find_function(name: str, count: int) -> Function | None:
    """Find the built-in function of a name and a number of arguments.

    Parameters
    ----------
    name
        In any case: names are case-insensitive.
    count
        How many arguments the invocation has.
    """
    return next((function for function in _FUNCTIONS.get(name.upper(), ()) if function.takes(count)), None)


def _absolute(x: int) -> int:
    if -x not in INTEGERS:
        raise EvaluationError(ErrorKind.MATH, f"ABS({x}) is no Integer of 32 bits")
    return abs(x)


def _left(x: str, count: int) -> str:
    return x[: _count(count)]


def _right(x: str, count: int) -> str:
    return x[max(len(x) - _count(count), 0) :]


def _count(count: int) -> int:
    if count < 0:
        raise EvaluationError(ErrorKind.FUNCTION_EVALUATION, f"a length of {count} is negative")
    return count


def _substring(x: str, position: int, length: int | None = None) -> str:
    # Positions count from 1, or from the end when negative; 0 is before the text and yields nothing.
    if abs(position) > len(x):
        raise EvaluationError(ErrorKind.FUNCTION_EVALUATION, f"position {position} is outside of {x!r}")
    if length is not None:
        _count(length)
    if position == 0:
        return ""
    tail = x[position - 1 :] if position > 0 else x[position:]
    return tail if length is None else tail[:length]


_FUNCTIONS: Mapping[str, tuple[Function, ...]] = {
    "ABS": (Function((int,), _absolute),),
    "BOOL": (Function((bool,), bool),),
    "CONCAT": (Function((), lambda *texts: "".join(texts), rest=str),),
    "CONCAT_WS": (Function((str,), lambda delimiter, *texts: delimiter.join(texts), rest=str),),
    "INT": (Function((int,), int),),
    "LEFT": (Function((str, int), _left),),
    "LENGTH": (Function((str,), len),),
    "LOWER": (Function((str,), str.lower),),
    "RIGHT": (Function((str, int), _right),),
    "STRING": (Function((str,), str),),
    "SUBSTRING": (Function((str, int), _substring), Function((str, int, int), _substring)),
    "TRIM": (Function((str,), str.strip),),
    "UPPER": (Function((str,), str.upper),),
}
