"""The value checks of a structural schema: type, format, pattern, bounds, enum and the like."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

import orjson
import re2  # type: ignore[import-untyped]  # the wheel ships no stubs

from image_catalog.local.kubernetes.status import Cause

__all__ = ["Check", "compile_checks", "type_cause", "type_matches"]

Check: TypeAlias = Callable[[Any, str], Iterable[Cause]]
"""Takes a value and its path and yields what is wrong with it."""

_DURATION = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)((ns|us|µs|μs|ms|s|m|h|d|w)(\d+(\.\d*)?|\.\d+)?)*$")
_DATE_TIME = re.compile(r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$")
_FRACTION = re.compile(r"\.\d+")
_INTEGER_BITS = {"int32": 31, "int64": 63}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == int(value),
    "number": _is_number,
    "int-or-string": lambda value: isinstance(value, (int, str)) and not isinstance(value, bool),
}


def type_matches(value: Any, wanted: str) -> bool:
    """Tell whether a JSON value has an OpenAPI type (or is an ``int-or-string``)."""
    matches = _TYPES.get(wanted)
    return matches is None or matches(value)


def type_cause(value: Any, path: str, wanted: str, checks: tuple[Check, ...]) -> Iterable[Cause]:
    """Tell of a value of another type, in the API server's two ways."""
    integer_format = next((check.format for check in checks if isinstance(check, _IntegerFormat)), None)
    if wanted == "integer" and isinstance(value, float) and integer_format is not None:
        parent, _, field = path.rpartition(".")
        yield Cause(
            "FieldValueTypeInvalid",
            f'Invalid value: "float64": {field} in body must be of type {integer_format}: "float64"',
            path,
        )
        yield Cause(
            "FieldValueInvalid",
            f'Invalid value: "": Checked value must be of type integer with format {integer_format} in {field}',
            parent,
        )
        return
    found = _type_name(value)
    named = "integer,string" if wanted == "int-or-string" else wanted
    yield Cause(
        "FieldValueTypeInvalid", f'Invalid value: "{found}": {path} in body must be of type {named}: "{found}"', path
    )


def compile_checks(schema: Mapping[str, Any], kind: str) -> tuple[Check, ...]:
    """Compile a schema's value checks, in the order in which they report.

    Raises
    ------
    ValueError
        When a pattern does not compile.
    """
    checks: list[Check] = []
    if "enum" in schema:
        checks.append(_enum(schema["enum"]))
    if kind in ("string", "int-or-string"):
        checks += _string_checks(schema)
    elif kind in ("integer", "number"):
        checks += _number_checks(schema)
    elif kind in ("array", "object"):
        checks += _size_checks(schema)
    checks += _combinations(schema)
    return tuple(checks)


def _type_name(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")


def _quoted(value: Any) -> str:
    return orjson.dumps(value).decode()


def _invalid(value: Any, path: str, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {_quoted(value)}: {path} in body {why}", path)


def _enum(allowed: list[Any]) -> Check:
    supported = ", ".join(_quoted(value) for value in allowed)

    def check(value: Any, path: str) -> Iterable[Cause]:
        if value not in allowed:
            yield Cause(
                "FieldValueNotSupported", f"Unsupported value: {_quoted(value)}: supported values: {supported}", path
            )

    return check


def _string_checks(schema: Mapping[str, Any]) -> Iterable[Check]:
    if (longest := schema.get("maxLength")) is not None:
        yield _max_length(longest)
    if (shortest := schema.get("minLength")) is not None:
        yield (
            lambda value, path: (
                [_invalid(value, path, f"should be at least {shortest} chars long")]
                if isinstance(value, str) and len(value) < shortest
                else ()
            )
        )
    if (pattern := schema.get("pattern")) is not None:
        yield _pattern(pattern)
    if (accepts := _FORMATS.get(schema.get("format", ""))) is not None:
        yield _format(schema["format"], accepts)


def _max_length(longest: int) -> Check:
    def check(value: Any, path: str) -> Iterable[Cause]:
        if isinstance(value, str) and len(value) > longest:
            yield Cause("FieldValueTooLong", f"Too long: may not be more than {longest} bytes", path)

    return check


def _pattern(pattern: str) -> Check:
    try:
        # The API server compiles patterns with Go's RE2; the same engine here keeps the edge cases equal.
        search = re2.compile(pattern).search
    except re2.error as e:
        raise ValueError(f"pattern {pattern!r} does not compile: {e}") from e

    def check(value: Any, path: str) -> Iterable[Cause]:
        if isinstance(value, str) and search(value) is None:
            yield _invalid(value, path, f"should match '{pattern}'")

    return check


def _format(name: str, accepts: Callable[[str], bool]) -> Check:
    def check(value: Any, path: str) -> Iterable[Cause]:
        if isinstance(value, str) and not accepts(value):
            field = path.rpartition(".")[2]
            told = f"Invalid value: {_quoted(value)}: {field} in body must be of type {name}: {_quoted(value)}"
            yield Cause("FieldValueTypeInvalid", told, path)

    return check


class _IntegerFormat:
    def __init__(self, name: str) -> None:
        self.format = name
        self._limit = 1 << _INTEGER_BITS[name]

    def __call__(self, value: Any, path: str) -> Iterable[Cause]:
        if not -self._limit <= value < self._limit:
            field = path.rpartition(".")[2]
            told = f'Invalid value: "number": {field} in body must be of type {self.format}: "number"'
            yield Cause("FieldValueTypeInvalid", told, path)


def _number_checks(schema: Mapping[str, Any]) -> Iterable[Check]:
    if schema.get("format") in _INTEGER_BITS:
        yield _IntegerFormat(schema["format"])
    if (most := schema.get("maximum")) is not None:
        yield _bound(most, upper=True, exclusive=bool(schema.get("exclusiveMaximum")))
    if (least := schema.get("minimum")) is not None:
        yield _bound(least, upper=False, exclusive=bool(schema.get("exclusiveMinimum")))
    if (step := schema.get("multipleOf")) is not None:
        yield lambda value, path: [_invalid(value, path, f"should be a multiple of {step}")] if value % step else ()


def _bound(limit: float, *, upper: bool, exclusive: bool) -> Check:
    side = "less" if upper else "greater"
    told = f"should be {side} than {'' if exclusive else 'or equal to '}{limit}"

    def check(value: Any, path: str) -> Iterable[Cause]:
        beyond = value > limit if upper else value < limit
        if beyond or (exclusive and value == limit):
            yield _invalid(value, path, told)

    return check


def _size_checks(schema: Mapping[str, Any]) -> Iterable[Check]:
    for most_key, least_key, noun in (
        ("maxItems", "minItems", "items"),
        ("maxProperties", "minProperties", "properties"),
    ):
        most, least = schema.get(most_key), schema.get(least_key)
        if most is not None:
            yield _at_most(most, noun)
        if least is not None:
            yield _at_least(least, noun)


def _at_most(most: int, noun: str) -> Check:
    def check(value: Any, path: str) -> Iterable[Cause]:
        if len(value) > most:
            yield Cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {most} {noun}", path)

    return check


def _at_least(least: int, noun: str) -> Check:
    def check(value: Any, path: str) -> Iterable[Cause]:
        if len(value) < least:
            told = f"Invalid value: {len(value)}: {path} in body should have at least {least} {noun}"
            yield Cause("FieldValueInvalid", told, path)

    return check


def _combinations(schema: Mapping[str, Any]) -> Iterable[Check]:
    """Compile ``allOf``, ``anyOf``, ``oneOf`` and ``not``, whose members check values but never prune or default."""
    if members := schema.get("allOf"):
        matchers = [_matcher(member) for member in members]
        yield (
            lambda value, path: (
                ()
                if all(m(value) for m in matchers)
                else [_invalid(value, path, "must validate all the schemas (allOf)")]
            )
        )
    # An int-or-string field carries an anyOf of the two types, which its type check has answered already.
    if (members := schema.get("anyOf")) and not schema.get("x-kubernetes-int-or-string"):
        some = [_matcher(member) for member in members]
        yield (
            lambda value, path: (
                ()
                if any(m(value) for m in some)
                else [_invalid(value, path, "must validate at least one schema (anyOf)")]
            )
        )
    if members := schema.get("oneOf"):
        exactly = [_matcher(member) for member in members]
        yield (
            lambda value, path: (
                ()
                if sum(m(value) for m in exactly) == 1
                else [_invalid(value, path, "must validate one and only one schema (oneOf)")]
            )
        )
    if (member := schema.get("not")) is not None:
        never = _matcher(member)
        yield lambda value, path: [_invalid(value, path, "must not validate the schema (not)")] if never(value) else ()


def _matcher(schema: Mapping[str, Any]) -> Callable[[Any], bool]:
    kind = schema.get("type", "")
    properties = {name: _matcher(sub) for name, sub in (schema.get("properties") or {}).items()}
    needed = tuple(schema.get("required") or ())
    by_type = {name: compile_checks(schema, name) for name in ("string", "number", "array", "object")}

    def matches(value: Any) -> bool:
        if kind and not type_matches(value, kind):
            return False
        named = "number" if _is_number(value) else _type_name(value)
        if any(cause for check in by_type.get(named, ()) for cause in check(value, "")):
            return False
        if isinstance(value, Mapping):
            return all(name in value for name in needed) and all(
                matcher(value[name]) for name, matcher in properties.items() if name in value
            )
        return True

    return matches


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def accepts(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return accepts


_is_moment = _parses(datetime.fromisoformat)


def _date_time(value: str) -> bool:
    return _DATE_TIME.match(value) is not None and _is_moment(_FRACTION.sub("", value.upper()))


_FORMATS: Mapping[str, Callable[[str], bool]] = {
    "date": _parses(date.fromisoformat),
    "date-time": _date_time,
    "duration": lambda value: _DURATION.match(value) is not None,
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _parses(lambda value: ipaddress.ip_network(value, strict=False)),
    "uri": lambda value: bool(urlsplit(value).scheme or value.startswith("/")),
    "uuid": _parses(UUID),
    "byte": lambda value: (
        re.fullmatch(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", value) is not None
    ),
    "email": lambda value: re.fullmatch(r"[^@\s]+@[^@\s]+", value) is not None,
    "hostname": lambda value: (
        re.fullmatch(r"(?i)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", value) is not None
    ),
}
"""Formats that the API server checks, of those that CRDs use; others are accepted as they are there."""
