"""Answers: objects, lists and watch events as JSON, as Tables, as metadata, or as YAML."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson
import yaml
from starlette.responses import Response

from image_catalog.local.kubernetes.resources import Resource
from image_catalog.local.kubernetes.status import StatusError, bad_request, expired
from image_catalog.local.kubernetes.storage.store import Stored
from image_catalog.local.kubernetes.storage.watch import Page, WatchEvent
from image_catalog.local.kubernetes.wire.negotiation import Rendering
from image_catalog.local.kubernetes.wire.tables import INCLUDE_OBJECT, IncludeObject, render_table

__all__ = ["Answers", "include_object", "status_response"]

_META = "meta.k8s.io/v1"


def include_object(value: str) -> IncludeObject:
    """Read the query parameter ``includeObject``."""
    for known in INCLUDE_OBJECT:
        if value == known:
            return known
    if not value:
        return "Metadata"
    raise bad_request(f"includeObject: Unsupported value: {value!r}")


def status_response(error: StatusError, warnings: Iterable[str] = ()) -> Response:
    """Answer with a Status body."""
    response = Response(orjson.dumps(error.body()), status_code=error.code, media_type="application/json")
    return with_warnings(response, warnings)


def with_warnings(response: Response, warnings: Iterable[str]) -> Response:
    """Add a ``Warning`` header for each text (RFC 7234, code 299)."""
    for text in dict.fromkeys(warnings):
        # As the API server does: a text that would break the header is not sent, others go out as UTF-8.
        if text.isprintable():
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            response.raw_headers.append((b"warning", f'299 - "{quoted}"'.encode()))
    return response


class Answers:
    """Renders what was read or written.

    Parameters
    ----------
    resource
        The kind that is shown.
    rendering
        The form that the client wants.
    include
        How much of an object a Table's row carries.
    shown
        Turns a stored object into the version that was asked for.
    clock
        Tells the moment as of which ages are told.
    """

    def __init__(
        self,
        *,
        resource: Resource,
        rendering: Rendering,
        include: IncludeObject,
        shown: Callable[[Resource, Stored], Stored],
        clock: Callable[[], datetime],
    ) -> None:
        self._resource = resource
        self._rendering = rendering
        self._include = include
        self._shown = shown
        self._clock = clock

    def one(self, stored: Stored, code: int, warnings: Iterable[str] = ()) -> Response:
        """Answer with one object."""
        stored = self._shown(self._resource, stored)
        if self._rendering.view == "object" and not self._rendering.yaml:
            response = Response(stored.encoded, status_code=code, media_type="application/json")
        else:
            response = self._document(self._view(stored.body, headers=True), code)
        return with_warnings(response, warnings)

    def body(self, body: Mapping[str, Any], code: int) -> Response:
        """Answer with a document that is no stored object."""
        return self._document(body, code)

    def page(self, page: Page) -> Response:
        """Answer with a list."""
        metadata: dict[str, Any] = {"resourceVersion": str(page.revision)}
        if page.continue_token or (self._resource.custom and self._rendering.view == "object"):
            # The API server tells an empty token in lists of custom resources alone.
            metadata["continue"] = page.continue_token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
        items = [self._shown(self._resource, stored) for stored in page.items]
        match self._rendering.view:
            case "table":
                return self._document(self._table([stored.body for stored in items], metadata=metadata), 200)
            case "metadata":
                partial = [_partial(stored.body) for stored in items]
                head = {"kind": "PartialObjectMetadataList", "apiVersion": _META, "metadata": metadata}
                return self._document({**head, "items": partial}, 200)
            case "object":
                head = {
                    "kind": self._resource.list_kind,
                    "apiVersion": self._resource.api_version,
                    "metadata": metadata,
                }
                if self._rendering.yaml or not self._resource.custom:
                    return self._document({**head, "items": [self._item(stored.body) for stored in items]}, 200)
                # Every object is encoded once in its life; a list joins what is there.
                joined = b",".join(stored.encoded for stored in items)
                content = orjson.dumps(head)[:-1] + b',"items":[' + joined + b"]}"
                return Response(content, media_type="application/json")

    def _item(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Show an object in a list: those of built-in kinds do not tell their type there."""
        if self._resource.custom:
            return body
        return {key: value for key, value in body.items() if key not in ("apiVersion", "kind")}

    async def stream(self, events: AsyncIterator[WatchEvent]) -> AsyncGenerator[bytes, None]:
        """Yield a watch's answer line by line."""
        headers = True
        async for event in events:
            yield self._line(event, headers=headers)
            headers = False

    def _line(self, event: WatchEvent, *, headers: bool) -> bytes:
        if event.type == "ERROR":
            gone = expired(f"too old resource version: {event.revision}")
            return orjson.dumps({"type": "ERROR", "object": gone.body()}) + b"\n"
        if event.stored is None:
            return orjson.dumps({"type": event.type, "object": self._bookmark(event, headers=headers)}) + b"\n"
        stored = self._shown(self._resource, event.stored)
        if self._rendering.view == "object":
            return b'{"type":"' + event.type.encode() + b'","object":' + stored.encoded + b"}\n"
        return orjson.dumps({"type": event.type, "object": self._view(stored.body, headers=headers)}) + b"\n"

    def _bookmark(self, event: WatchEvent, *, headers: bool) -> dict[str, Any]:
        metadata: dict[str, Any] = {"resourceVersion": str(event.revision)}
        if event.initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        bare = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        if self._rendering.view == "table":
            return self._table([], metadata=metadata, headers=headers)
        return _partial(bare) if self._rendering.view == "metadata" else bare

    def _view(self, body: Mapping[str, Any], *, headers: bool) -> dict[str, Any]:
        match self._rendering.view:
            case "table":
                return self._table([body], headers=headers)
            case "metadata":
                return _partial(body)
            case "object":
                return dict(body)

    def _table(
        self,
        bodies: list[Mapping[str, Any]] | list[dict[str, Any]],
        *,
        metadata: Mapping[str, Any] | None = None,
        headers: bool = True,
    ) -> dict[str, Any]:
        return render_table(
            self._resource,
            bodies,
            include_object=self._include,
            now=self._clock(),
            metadata=metadata,
            headers=headers,
        )

    def _document(self, document: Mapping[str, Any], code: int) -> Response:
        if self._rendering.yaml:
            text = yaml.safe_dump(dict(document), sort_keys=False)
            return Response(text, status_code=code, headers={"Content-Type": "application/yaml"})
        return Response(orjson.dumps(document), status_code=code, media_type="application/json")


def _partial(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": body["metadata"]}
