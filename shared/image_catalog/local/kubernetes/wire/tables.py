"""Table answers (``meta.k8s.io/v1``): what ``kubectl get`` prints without knowing the kind.

See https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables.
A kind of a CustomResourceDefinition is printed by its printer columns, a built-in
kind as :mod:`image_catalog.local.kubernetes.wire.cells` computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, get_args

import orjson

from image_catalog.local.ages import age_since
from image_catalog.local.kubernetes.resources import Column, Resource
from image_catalog.local.kubernetes.wire.cells import builtin_cell
from image_catalog.local.kubernetes.wire.json_path import compile_path

__all__ = ["INCLUDE_OBJECT", "IncludeObject", "render_table"]

IncludeObject = Literal["None", "Metadata", "Object"]
"""How much of an object its row carries (query parameter ``includeObject``)."""

INCLUDE_OBJECT: tuple[IncludeObject, ...] = get_args(IncludeObject)
"""Every value that ``includeObject`` may have; the default is ``Metadata``."""


def render_table(
    resource: Resource,
    objects: Iterable[Mapping[str, Any]],
    *,
    include_object: IncludeObject = "Metadata",
    now: datetime,
    metadata: Mapping[str, Any] | None = None,
    headers: bool = True,
) -> dict[str, Any]:
    """Build the Table of a list, of one object, or of one watch event.

    Parameters
    ----------
    resource
        The kind that is shown; its columns are the Table's.
    objects
        In the order of the rows.
    include_object
        ``None``, ``Metadata`` (a PartialObjectMetadata) or ``Object`` (all of it) in every row.
    now
        Ages are told as of this moment.
    metadata
        The list's own metadata (``resourceVersion``, ``continue``, ``remainingItemCount``);
        without it, the resource version of the only object is told.
    headers
        False for all but the first event of a watch: ``columnDefinitions`` is null there.
    """
    shown = list(objects)
    cells = [_cell(resource, column, now) for column in resource.columns]
    if metadata is None:
        metadata = {"resourceVersion": shown[0]["metadata"].get("resourceVersion", "")} if len(shown) == 1 else {}
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(metadata),
        "columnDefinitions": [_definition(column) for column in resource.columns] if headers else None,
        "rows": [
            {
                "cells": [cell(item) for cell in cells],
                "object": _row_object(resource, item, include_object),
            }
            for item in shown
        ],
    }


def _definition(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _row_object(resource: Resource, item: Mapping[str, Any], include: IncludeObject) -> dict[str, Any] | None:
    if include == "None":
        return None
    if include == "Object":
        return {"apiVersion": resource.api_version, "kind": resource.kind, **item}
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}


def _cell(resource: Resource, column: Column, now: datetime) -> Callable[[Mapping[str, Any]], Any]:
    """Return what makes a column's cell of an object."""
    if not resource.custom:
        return lambda item: builtin_cell(column, item, now)
    try:
        path = compile_path(column.json_path)
    except ValueError:
        # A CRD may hold a path that only a newer API server understands: its cells stay empty, the rest is shown.
        return lambda _: None
    convert: Callable[[Any, datetime], Any] = _CONVERT.get(column.type, _text)

    def cell(item: Mapping[str, Any]) -> Any:
        found = path.find(item)
        return convert(found[0], now) if found and found[0] is not None else None

    return cell


def _text(value: Any, _now: datetime) -> str:
    if isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _integer(value: Any, _now: datetime) -> int | None:
    return int(value) if _is_number(value) else None


def _number(value: Any, _now: datetime) -> float | None:
    return float(value) if _is_number(value) else None


def _boolean(value: Any, _now: datetime) -> bool | None:
    return value if isinstance(value, bool) else None


def _date(value: Any, now: datetime) -> str | None:
    return age_since(value, now) if isinstance(value, str) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# A value of another type than its column's becomes an empty cell, as the API server has it.
_CONVERT: dict[str, Callable[[Any, datetime], Any]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
}
