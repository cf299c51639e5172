"""Query parameters, read strictly: nothing unknown, nothing twice but lists, nothing impossible."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, TypeVar, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from image_catalog.models.violations import complaint_of
from image_catalog_functions.api.http.problems import Problem, ProblemReason

__all__ = ["MAX_QUERY_BYTES", "QueryFlag", "QueryModel", "QueryNumber", "QueryShare", "read_query"]

MAX_QUERY_BYTES = 8 * 1024
"""Longest query string that is read; servers and proxies refuse longer ones anyhow."""

_MAX_PARAMETERS = 64
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 32


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError("must be true or false")
        return value == "true"
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str):
        # int() takes spaces, signs, underscores and the digits of every script.
        if not (value.isascii() and value.isdigit() and len(value) <= 9):  # noqa: PLR2004 - beyond every limit of ours
            raise ValueError("must be a whole number")
        return int(value)
    return value


def _share(value: Any) -> Any:
    if isinstance(value, str):
        # As JSON writes numbers; float() takes spaces, underscores, infinity and the digits of every script, too.
        if len(value) > _LONGEST_NUMBER or not _NUMBER.fullmatch(value):
            raise ValueError("must be a number from 0 to 1")
        return float(value)
    return value


QueryFlag = Annotated[bool, BeforeValidator(_flag)]
"""``true`` or ``false``, and no other way to say it."""
QueryNumber = Annotated[int, BeforeValidator(_number)]
"""A whole number in decimal digits."""
QueryShare = Annotated[float, Field(ge=0, le=1), BeforeValidator(_share)]
"""A share from 0 to 1, ``0.995`` for example."""


class QueryModel(BaseModel):
    """Base of the parameters of a call: camelCase in the URL, unknown ones refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=False, validate_by_name=True, extra="forbid", frozen=True
    )


QueryT = TypeVar("QueryT", bound=QueryModel)


def read_query(model: type[QueryT], raw: bytes) -> QueryT:
    """Read the parameters of a call.

    Parameters
    ----------
    model
        What the call takes.
    raw
        The query string as it came.

    Raises
    ------
    Problem
        400 ``InvalidParameter`` naming the parameter and its allowed values.
    """
    values = _values(model, raw) if raw else {}
    try:
        return model.model_validate(values, by_alias=True, by_name=False)
    except ValidationError as e:
        raise _refused(model, e) from e


def _values(model: type[BaseModel], raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_QUERY_BYTES:
        raise Problem(400, ProblemReason.INVALID_PARAMETER, f"the query string is longer than {MAX_QUERY_BYTES} bytes")
    try:
        pairs = _pairs(raw.decode("ascii"))
    except ValueError as e:  # UnicodeDecodeError is one
        message = "the query string cannot be read: it must be name=value pairs, percent-encoded UTF-8"
        raise Problem(400, ProblemReason.INVALID_PARAMETER, message) from e
    values: dict[str, Any] = dict(pairs)
    lists = _lists(model)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs if name not in lists]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise Problem(
                400,
                ProblemReason.INVALID_PARAMETER,
                f"parameter {_shown(twice)} is given more than once",
                details={"parameter": _shown(twice), "allowed": allowed(model).get(twice)},
            )
    for name in lists & values.keys():
        values[name] = [value for known, value in pairs if known == name]
    return values


@cache
def _lists(model: type[BaseModel]) -> frozenset[str]:
    """Return the parameters that may be given more than once."""
    fields = model.model_fields.items()
    return frozenset(field.alias or name for name, field in fields if get_origin(field.annotation) is list)


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return names and values; what is written without escapes needs no more than being cut apart."""
    if "%" not in text and "+" not in text:
        parts = [part.partition("=") for part in text.split("&", _MAX_PARAMETERS)]
        if len(parts) <= _MAX_PARAMETERS and all(part[1] for part in parts):
            return [(name, value) for name, _, value in parts]
    return parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MAX_PARAMETERS)


def allowed(model: type[BaseModel]) -> Mapping[str, Mapping[str, Any]]:
    """Return what each parameter may be, as JSON Schema says it."""
    known = _ALLOWED.get(model)
    if known is None:
        document = model.model_json_schema(by_alias=True)
        properties, shared = document["properties"], document.get("$defs", {})
        keep = ("type", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern")
        known = _ALLOWED[model] = {
            name: {key: schema[key] for key in keep if key in schema}
            for name, schema in ((name, _plain(schema, shared)) for name, schema in properties.items())
        }
    return known


_ALLOWED: dict[type[BaseModel], Mapping[str, Mapping[str, Any]]] = {}


def _plain(schema: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Leave out the null that stands for a parameter which is not given, and what only points elsewhere."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    whole = {**schema, **choices[0]} if len(choices) == 1 else schema
    return {**whole, **shared.get(str(whole.get("$ref", "")).rpartition("/")[2], {})}


def _refused(model: type[BaseModel], error: ValidationError) -> Problem:
    known = allowed(model)
    violations: list[dict[str, Any]] = []
    for each in error.errors(include_url=False, include_input=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        if each["type"] == "extra_forbidden":
            violations.append({"parameter": _shown(name), "message": _UNKNOWN, "allowed": sorted(known)})
        else:
            message = complaint_of(each)
            message = message[:1].lower() + message[1:]
            violations.append({"parameter": name, "message": message, "allowed": known.get(name)})
    # What is not known comes first: it may be what is missing, mistyped.
    violations.sort(key=lambda violation: violation["message"] != _UNKNOWN)
    first = violations[0]
    detail = "; ".join(f"parameter {v['parameter']} {_sentence(v)}" for v in violations[:5])
    return Problem(
        400,
        ProblemReason.INVALID_PARAMETER,
        detail,
        details={"parameter": first["parameter"], "allowed": first["allowed"], "violations": violations},
    )


_UNKNOWN: Final = "is not known"
_VERBS: Final = ("must ", "has ", "is ")
"""How a complaint begins that goes on behind a parameter's name."""


def _sentence(violation: dict[str, Any]) -> str:
    choices = violation["allowed"]
    if isinstance(choices, list):
        known = f"known are {', '.join(choices)}" if choices else "this call takes none"
        return f"{violation['message']}; {known}"
    if choices and "enum" in choices:
        return f"must be one of {', '.join(map(str, choices['enum']))}"
    if choices and "minimum" in choices and "maximum" in choices:
        kind = "number" if choices.get("type") == "number" else "whole number"
        return f"must be a {kind} from {choices['minimum']} to {choices['maximum']}"
    message: str = violation["message"]
    return message if message.startswith(_VERBS) else f"is not possible: {message}"


def _shown(name: str) -> str:
    return name if len(name) <= 64 else f"{name[:64]}…"  # noqa: PLR2004 - longer than every name of ours
