"""Reading the manifests of sources."""

from __future__ import annotations

import base64
import binascii
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import croniter
import orjson

from image_catalog.local.knative._fields import Fields
from image_catalog.local.knative._specs import read_destination, read_extensions
from image_catalog.local.knative.filters import Filter, read_filters
from image_catalog.local.knative.resources import ApiServerSource, PingSource, WatchedResource

__all__ = ["read_api_server_source", "read_ping_source"]

_OPERATORS = {
    "In": "{key} in ({values})",
    "NotIn": "{key} notin ({values})",
    "Exists": "{key}",
    "DoesNotExist": "!{key}",
}

_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


def read_api_server_source(fields: Fields, namespace: str, name: str) -> ApiServerSource:
    """Read an ApiServerSource of mode Resource."""
    spec = fields.child("spec", required=True)
    # Knative's default is Reference, which sends no object: a function could not decide from the event alone.
    if spec.text("mode", "Reference") != "Resource":
        spec.refuse("mode", "the local stack knows mode Resource only")
    spec.skip("serviceAccountName")
    resources = tuple(_read_resource(resource) for resource in spec.children("resources"))
    if not resources:
        spec.refuse("resources", "at least one resource is needed")
    source = ApiServerSource(
        namespace=namespace,
        name=name,
        resources=resources,
        watched_namespace=_read_watched_namespace(spec, namespace),
        sink=read_destination(spec, "sink", namespace),
        accepts=_read_filter(spec),
        extensions=read_extensions(spec),
    )
    spec.finish()
    return source


def _read_filter(spec: Fields) -> Filter:
    entries = spec.value("filters") or []
    if not isinstance(entries, list):
        spec.refuse("filters", "a list is needed")
    try:
        return read_filters(entries)
    except ValueError as e:
        spec.refuse("filters", str(e))


def _read_resource(resource: Fields) -> WatchedResource:
    watched = WatchedResource(
        api_version=resource.text("apiVersion"),
        kind=resource.text("kind"),
        label_selector=_read_selector(resource.child("selector")),
    )
    resource.finish()
    return watched


def _read_watched_namespace(spec: Fields, namespace: str) -> str | None:
    if "namespaceSelector" not in spec:
        return namespace
    if _read_selector(spec.child("namespaceSelector")) is not None:
        spec.refuse("namespaceSelector", "the local stack watches one namespace (no selector) or all of them ({})")
    return None


def _read_selector(selector: Fields) -> str | None:
    """Write a label selector as the API's query parameter has it; `None` when it selects all."""
    terms = [f"{key}={value}" for key, value in selector.texts("matchLabels").items()]
    for expression in selector.children("matchExpressions"):
        template = _OPERATORS.get(expression.text("operator"))
        if template is None:
            expression.refuse("operator", f"none of {', '.join(_OPERATORS)}")
        values = expression.value("values") or []
        terms.append(template.format(key=expression.text("key"), values=",".join(map(str, values))))
        expression.finish()
    selector.finish()
    return ",".join(terms) or None


def read_ping_source(fields: Fields, namespace: str, name: str) -> PingSource:
    """Read a PingSource."""
    spec = fields.child("spec", required=True)
    source = PingSource(
        namespace=namespace,
        name=name,
        schedule=_read_schedule(spec),
        timezone=_read_timezone(spec),
        content_type=spec.text("contentType", "application/json"),
        data=_read_data(spec),
        sink=read_destination(spec, "sink", namespace),
        extensions=read_extensions(spec),
    )
    spec.finish()
    return source


def _read_schedule(spec: Fields) -> str:
    schedule = spec.text("schedule", "* * * * *")
    known = schedule in _DESCRIPTORS if schedule.startswith("@") else len(schedule.split()) in (5, 6)
    if not known or not croniter.croniter.is_valid(schedule, second_at_beginning=True):
        spec.refuse(
            "schedule",
            f"{schedule!r} is no schedule: five cron fields, six with leading seconds, or {', '.join(_DESCRIPTORS)}",
        )
    return schedule


def _read_timezone(spec: Fields) -> str:
    timezone = spec.text("timezone", "UTC")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        spec.refuse("timezone", f"{timezone!r} is no time zone of the IANA database")
    return timezone


def _read_data(spec: Fields) -> bytes:
    if "data" in spec and "dataBase64" in spec:
        spec.refuse("dataBase64", "data is given already")
    try:
        encoded = base64.b64decode(spec.text("dataBase64", ""), validate=True)
    except binascii.Error:
        spec.refuse("dataBase64", "no base64 text")
    data = spec.text("data", "").encode() or encoded
    if data and spec.text("contentType", "application/json") == "application/json":
        _require_object(spec, data)
    return data


def _require_object(spec: Fields, data: bytes) -> None:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        spec.refuse("data", "with contentType application/json it must be a JSON object")
