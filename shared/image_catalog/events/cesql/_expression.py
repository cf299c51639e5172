"""An expression, parsed once and evaluated on any number of events.

https://github.com/cloudevents/spec/blob/main/cesql/spec.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from image_catalog.errors import InvalidExpressionError
from image_catalog.events.cesql._compiler import Node, compile_expression
from image_catalog.events.cesql._functions import ErrorKind, EvaluationError, Value

__all__ = ["ErrorKind", "Expression", "Result", "Value", "parse"]

_MAX_LENGTH = 4096
"""Knative sets no limit; a filter longer than this is a mistake, and the parser recurses."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an evaluation gave: a value, or the first error.

    Attributes
    ----------
    value
        `None` when there was an error.
    error
        The kind of the error.
    message
        The error for people.
    """

    value: Value | None = None
    error: ErrorKind | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression, ready to be evaluated on any number of events.

    Attributes
    ----------
    source
        The expression as it was written.
    """

    source: str
    _evaluate: Node = field(repr=False, compare=False)

    def evaluate(self, attributes: Mapping[str, str]) -> Result:
        """Evaluate the expression; stop at the first error (section 4.1, fail fast).

        Parameters
        ----------
        attributes
            The event's context attributes and extensions by name.
        """
        try:
            return Result(self._evaluate(attributes))
        except EvaluationError as e:
            return Result(error=e.kind, message=e.message)

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Tell whether an event passes: the value is `True` and there was no error (section 1.2)."""
        return self.evaluate(attributes).value is True


def parse(source: str) -> Expression:
    """Parse an expression.

    Raises
    ------
    InvalidExpressionError
        Raised if the text is no expression, is nested too deeply, calls a
        function that does not exist, or holds an integer of more than 32 bits.
    """
    if len(source) > _MAX_LENGTH:
        message = f"an expression has at most {_MAX_LENGTH} characters, this one has {len(source)}"
        raise InvalidExpressionError(message, position=_MAX_LENGTH + 1)
    return Expression(source, compile_expression(source))
