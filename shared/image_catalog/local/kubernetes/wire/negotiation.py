"""Content types: how a body is read, and in which form an answer is wanted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import orjson
import yaml

from image_catalog.local.kubernetes.status import StatusError, bad_request, not_acceptable, unsupported_media_type
from image_catalog.local.kubernetes.wire import protobuf

__all__ = ["BODY_TYPES", "Rendering", "decode", "media_type", "negotiate"]

BODY_TYPES = ("application/json", "application/yaml", protobuf.MEDIA_TYPE)
"""What bodies may be, in the order in which the API server lists them."""

_SHOWN = 30


class _JsonLoader(yaml.SafeLoader):
    """Reads a date as the string that JSON would have."""

    yaml_constructors: ClassVar = yaml.SafeLoader.yaml_constructors | {
        "tag:yaml.org,2002:timestamp": yaml.SafeLoader.construct_yaml_str
    }


@dataclass(frozen=True, slots=True)
class Rendering:
    """The form of an answer.

    Attributes
    ----------
    view
        The objects themselves, a Table of them, or their metadata alone.
    yaml
        Whether YAML is wanted instead of JSON.
    """

    view: Literal["object", "table", "metadata"] = "object"
    yaml: bool = False


_PLAIN = Rendering()
_VIEWS: dict[str, Literal["table", "metadata"]] = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}


@lru_cache(maxsize=128)
def negotiate(accept: str) -> Rendering:
    """Choose the first form of an ``Accept`` header that is served.

    Raises
    ------
    StatusError
        406 when none is.
    """
    for media_range in accept.split(",") if accept.strip() else ("*/*",):
        kind, *rest = (part.strip() for part in media_range.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        if kind in ("application/json", "application/*", "*/*", "application/yaml"):
            wanted = parameters.get("as")
            is_yaml = kind == "application/yaml"
            if wanted is None:
                return Rendering(yaml=True) if is_yaml else _PLAIN
            if wanted in _VIEWS and parameters.get("v") == "v1" and parameters.get("g") == "meta.k8s.io":
                return Rendering(_VIEWS[wanted], is_yaml)
    raise not_acceptable(BODY_TYPES)


def media_type(content_type: str) -> str:
    """Return a content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def decode(raw: bytes, content_type: str, kind: str) -> Any:
    """Read a request's body.

    Parameters
    ----------
    kind
        What it should hold, for the message when it cannot be read.

    Raises
    ------
    StatusError
        400 for a body that cannot be read, 415 for one of another type.
    """
    match media_type(content_type) or "application/json":
        case "application/json":
            return _decode_json(raw, kind)
        case "application/yaml":
            return _decode_yaml(raw, kind)
        case protobuf.MEDIA_TYPE:
            return protobuf.decode_body(raw)
        case _:
            raise unsupported_media_type(BODY_TYPES)


def _decode_yaml(raw: bytes, kind: str) -> Any:
    """Read YAML as the JSON that it stands for: nothing behind this knows dates, sets and other keys than strings."""
    try:
        body = json.dumps(yaml.load(raw, _JsonLoader), allow_nan=False)  # noqa: S506 - a SafeLoader that knows less
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as e:
        raise _unrecognized(raw, kind, f"yaml: {e}") from e
    return _decode_json(body.encode(), kind)


def _decode_json(raw: bytes, kind: str) -> Any:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as e:
        why = "unexpected end of JSON input" if not raw.strip() else str(e)
        raise _unrecognized(raw, kind, why) from e
    if not isinstance(body, dict):
        raise _unrecognized(raw, kind, f"json: cannot unmarshal {type(body).__name__} into an object")
    return body


def _unrecognized(raw: bytes, kind: str, why: str) -> StatusError:
    shown = raw[:_SHOWN].decode(errors="replace") + (" ..." if len(raw) > _SHOWN else "") or "<empty>"
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; "
        f"json parse error: {why} ({shown})"
    )
