"""The grammar of CloudEvents SQL, and what each of its operators computes.

https://github.com/cloudevents/spec/blob/main/cesql/spec.md, sections 2 and 3.4. The
precedence is that of the grammar which Knative's evaluator is generated from, and it
has a surprise: AND, OR and XOR share one level and associate to the right.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

import lark

from image_catalog.errors import InvalidExpressionError
from image_catalog.events.cesql._functions import (
    INTEGERS,
    ErrorKind,
    EvaluationError,
    Value,
    cast,
    find_function,
    to_integer,
)
from image_catalog.events.cesql._like import compile_pattern

__all__ = ["Node", "compile_expression"]

_GRAMMAR = r"""
?expression: comparison
    | comparison (AND | OR | XOR) expression -> logic
?comparison: sum
    | comparison COMPARE sum -> compare
?sum: product
    | sum (PLUS | MINUS) product -> arithmetic
?product: match
    | product (STAR | SLASH | PERCENT) match -> arithmetic
?match: unary
    | match LIKE text -> like
    | match NOT LIKE text -> not_like
    | match IN set -> within
    | match NOT IN set -> not_within
?unary: atom
    | NOT unary -> negation
    | MINUS unary -> minus
    | EXISTS NAME -> exists
?atom: "(" expression ")"
    | (NAME | FUNCTION) "(" [expression ("," expression)*] ")" -> invocation
    | NAME -> attribute
    | INTEGER -> integer
    | (TRUE | FALSE) -> boolean
    | text
set: "(" expression ("," expression)* ")"
text: SINGLE_QUOTED | DOUBLE_QUOTED

AND.2: /AND(?![A-Z0-9_])/i
OR.2: /OR(?![A-Z0-9_])/i
XOR.2: /XOR(?![A-Z0-9_])/i
NOT.2: /NOT(?![A-Z0-9_])/i
LIKE.2: /LIKE(?![A-Z0-9_])/i
IN.2: /IN(?![A-Z0-9_])/i
EXISTS.2: /EXISTS(?![A-Z0-9_])/i
TRUE.2: /TRUE(?![A-Z0-9_])/i
FALSE.2: /FALSE(?![A-Z0-9_])/i
COMPARE: "<=" | ">=" | "<>" | "!=" | "=" | "<" | ">"
PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
PERCENT: "%"
INTEGER.1: /[+-]?[0-9]+(?![A-Za-z0-9])/
NAME: /[A-Za-z0-9]+(?![A-Za-z0-9_])/
FUNCTION: /[A-Za-z]+_[A-Za-z_]*/
SINGLE_QUOTED: /'(\\.|[^'\\])*'/s
DOUBLE_QUOTED: /"(\\.|[^"\\])*"/s
%import common.WS
%ignore WS
"""

_MAX_DEPTH = 200
"""Each level takes two frames of Python's stack, which has a thousand, when an event is looked at."""

_Attributes = Mapping[str, str]
Node = Callable[[_Attributes], Value]
"""Computes a value from an event's attributes."""


def compile_expression(source: str) -> Node:
    """Turn an expression into closures.

    Raises
    ------
    InvalidExpressionError
        Raised if the text is no expression, is nested too deeply, calls a
        function that does not exist, or holds an integer of more than 32 bits.
    """
    try:
        tree = _PARSER.parse(source)
    except lark.exceptions.UnexpectedInput as e:
        raise _unexpected(source, e) from e
    _check_depth(tree)
    try:
        return _Compiler().transform(tree)
    except lark.exceptions.VisitError as e:
        if isinstance(e.orig_exc, InvalidExpressionError):
            raise e.orig_exc from e
        raise


def _check_depth(tree: lark.ParseTree) -> None:
    level: list[object] = [tree]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level if isinstance(node, lark.Tree) for child in node.children]
        if not level:
            return
    raise InvalidExpressionError(f"the expression is nested too deeply, in more than {_MAX_DEPTH} levels", position=1)


def _unexpected(source: str, error: lark.exceptions.UnexpectedInput) -> InvalidExpressionError:
    token = getattr(error, "token", None)
    if token is not None and token.type == "$END":
        message = "no CloudEvents SQL expression: it ends where something must follow"
        return InvalidExpressionError(message, position=len(source) + 1)
    position = (error.pos_in_stream or 0) + 1
    found = source[position - 1 : position + 15].split()
    what = found[0] if found else "a space"
    return InvalidExpressionError(
        f"no CloudEvents SQL expression: {what!r} cannot stand at character {position}", position=position
    )


def _boolean(node: Node, attributes: _Attributes) -> bool:
    return bool(cast(node(attributes), bool))


def _checked(value: int) -> int:
    if value not in INTEGERS:
        raise EvaluationError(ErrorKind.MATH, f"{value} has more than 32 bits")
    return value


def _divide(x: int, y: int) -> int:
    if y == 0:
        raise EvaluationError(ErrorKind.MATH, f"{x} is divided by zero")
    # Python rounds down; the specification rounds towards zero.
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


_ARITHMETIC: Mapping[str, Callable[[int, int], int]] = {
    "PLUS": operator.add,
    "MINUS": operator.sub,
    "STAR": operator.mul,
    "SLASH": _divide,
    "PERCENT": lambda x, y: x - y * _divide(x, y),
}

_ORDER: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _equal(x: Value, y: Value) -> bool:
    # The right operand's type decides which of the three definitions of = is meant (section 3.7).
    return cast(x, type(y)) == y


def _position(token: lark.Token) -> int:
    return (token.start_pos or 0) + 1


@lark.v_args(inline=True)
class _Compiler(lark.Transformer[lark.Token, Node]):
    """Turns the tree into closures once, so that an evaluation does no parsing."""

    def logic(self, left: Node, word: lark.Token, right: Node) -> Node:
        if word.type == "AND":
            return lambda event: _boolean(left, event) and _boolean(right, event)
        if word.type == "OR":
            return lambda event: _boolean(left, event) or _boolean(right, event)
        return lambda event: _boolean(left, event) != _boolean(right, event)

    def compare(self, left: Node, sign: lark.Token, right: Node) -> Node:
        if sign == "=":
            return lambda event: _equal(left(event), right(event))
        if sign in ("!=", "<>"):
            return lambda event: not _equal(left(event), right(event))
        order = _ORDER[sign]
        return lambda event: order(to_integer(left(event)), to_integer(right(event)))

    def arithmetic(self, left: Node, sign: lark.Token, right: Node) -> Node:
        compute = _ARITHMETIC[sign.type]
        return lambda event: _checked(compute(to_integer(left(event)), to_integer(right(event))))

    def like(self, left: Node, _word: lark.Token, pattern: Node) -> Node:
        matches = compile_pattern(str(pattern({})))
        return lambda event: matches(str(cast(left(event), str)))

    def not_like(self, left: Node, _not: lark.Token, word: lark.Token, pattern: Node) -> Node:
        return self.negation(_not, self.like(left, word, pattern))

    def within(self, left: Node, _word: lark.Token, members: tuple[Node, ...]) -> Node:
        def evaluate(event: _Attributes) -> bool:
            value = left(event)
            return any(cast(member(event), type(value)) == value for member in members)

        return evaluate

    def not_within(self, left: Node, _not: lark.Token, word: lark.Token, members: tuple[Node, ...]) -> Node:
        return self.negation(_not, self.within(left, word, members))

    def negation(self, _not: lark.Token, node: Node) -> Node:
        return lambda event: not _boolean(node, event)

    def minus(self, _sign: lark.Token, node: Node) -> Node:
        return lambda event: _checked(-to_integer(node(event)))

    def exists(self, _word: lark.Token, name: lark.Token) -> Node:
        key = name.lower()
        return lambda event: key in event

    def attribute(self, name: lark.Token) -> Node:
        key = name.lower()

        def evaluate(event: _Attributes) -> str:
            if key not in event:
                raise EvaluationError(ErrorKind.MISSING_ATTRIBUTE, f"the event has no attribute {key}")
            return event[key]

        return evaluate

    def integer(self, digits: lark.Token) -> Node:
        value = int(digits)
        if value not in INTEGERS:
            raise InvalidExpressionError(f"{digits} has more than 32 bits", position=_position(digits))
        return lambda _event: value

    def boolean(self, word: lark.Token) -> Node:
        value = word.type == "TRUE"
        return lambda _event: value

    def text(self, quoted: lark.Token) -> Node:
        quote = quoted[0]
        value = quoted[1:-1].replace(f"\\{quote}", quote)
        return lambda _event: value

    def invocation(self, name: lark.Token, *arguments: Node | None) -> Node:
        given = tuple(argument for argument in arguments if argument is not None)
        function = find_function(name, len(given))
        if function is None:
            message = f"there is no function {name.upper()} of {len(given)} arguments"
            raise InvalidExpressionError(message, position=_position(name))
        return lambda event: function([argument(event) for argument in given])

    def set(self, *members: Node) -> tuple[Node, ...]:
        return members


_PARSER = lark.Lark(_GRAMMAR, start="expression", parser="lalr", maybe_placeholders=True)
