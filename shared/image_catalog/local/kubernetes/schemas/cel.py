"""CEL rules (``x-kubernetes-validations``), compiled once and judged per write.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import celpy
import lark
import orjson
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError

from image_catalog.local.kubernetes.status import Cause

__all__ = ["Rules", "compile_rules"]

_OLD_SELF = re.compile(r"\boldSelf\b")
_REASONS = {
    "FieldValueInvalid": "Invalid value: ",
    "FieldValueForbidden": "Forbidden: ",
    "FieldValueRequired": "Required value: ",
    "FieldValueDuplicate": "Duplicate value: ",
}


class _Rule:
    def __init__(self, rule: Mapping[str, Any], environment: celpy.Environment) -> None:
        source = rule["rule"]
        self._program = _program(environment, source)
        self._message: str = rule.get("message") or f"failed rule: {source.strip()}"
        expression = rule.get("messageExpression")
        self._expression = None if expression is None else _program(environment, expression)
        self._reason: str = rule.get("reason") or "FieldValueInvalid"
        self._field: str = rule.get("fieldPath") or ""
        self.transition = _OLD_SELF.search(source) is not None

    def judge(self, scope: dict[str, Any], path: str) -> Cause | None:
        try:
            if bool(self._program.evaluate(scope)):
                return None
            message = self._message if self._expression is None else str(self._expression.evaluate(scope))
        except CELEvalError as e:
            message = f"rule evaluation error: {e.args[0] if e.args else e}"
        return Cause(self._reason, _REASONS.get(self._reason, "") + message, (path + self._field).removeprefix("."))


class Rules:
    """The rules of one schema node.

    Parameters
    ----------
    rules
        The entries of ``x-kubernetes-validations``.
    """

    def __init__(self, rules: Sequence[Mapping[str, Any]]) -> None:
        environment = celpy.Environment()
        self._rules = [_Rule(rule, environment) for rule in rules]
        # The interpreter takes as long as all the rest of a write, and many a value has been judged before.
        self._known = lru_cache(maxsize=256)(self._judge)

    def judge(self, value: Any, old: Any, path: str) -> Sequence[Cause]:
        """Return a cause for every rule that does not hold.

        Parameters
        ----------
        value
            What ``self`` stands for.
        old
            What ``oldSelf`` stands for; None when there was nothing before, and
            then rules that name ``oldSelf`` do not apply.
        path
            Where the value stands.
        """
        return self._known(orjson.dumps(value), None if old is None else orjson.dumps(old), path)

    def _judge(self, value: bytes, old: bytes | None, path: str) -> Sequence[Cause]:
        scope = {"self": json_to_cel(orjson.loads(value))}
        if old is not None:
            scope["oldSelf"] = json_to_cel(orjson.loads(old))
        judged = [rule.judge(scope, path) for rule in self._rules if old is not None or not rule.transition]
        return tuple(cause for cause in judged if cause is not None)


def compile_rules(rules: Sequence[Mapping[str, Any]]) -> Rules | None:
    """Compile a node's rules; None when it has none.

    Raises
    ------
    ValueError
        When a rule is no CEL, with the rule's text.
    """
    return Rules(rules) if rules else None


_PRECEDENCE = frozenset(
    {"expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary", "member"}
)
"""The grammar's levels of precedence; one with a single child only passes that child's value on."""


def _shortened(tree: lark.Tree[lark.Token]) -> lark.Tree[lark.Token]:
    """Cut out the levels that only pass a value on, which is most of the tree and half of the time."""
    children = [_shortened(child) if isinstance(child, lark.Tree) else child for child in tree.children]
    only = children[0] if len(children) == 1 else None
    if tree.data in _PRECEDENCE and isinstance(only, lark.Tree):
        return only
    return lark.Tree(tree.data, children, tree.meta)


def _program(environment: celpy.Environment, source: str) -> celpy.Runner:
    try:
        return environment.program(_shortened(environment.compile(source)))
    except CELParseError as e:
        raise ValueError(f"CEL rule {source!r} does not compile: {e.args[0] if e.args else e}") from e
