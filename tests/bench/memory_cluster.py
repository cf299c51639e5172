"""A cluster that is as little as a cluster can be: objects in a dictionary, with resource versions that conflict."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import orjson

from image_catalog.cluster import CATALOG_IMAGE, CATALOG_REGISTRY, Response, StreamingResponse

__all__ = ["MemoryCluster"]

_JSON = {"content-type": "application/json"}
_COLLECTIONS = (CATALOG_REGISTRY.plural, CATALOG_IMAGE.plural)
"""Ends of the paths that are listed, where any other names an object."""


class MemoryCluster:
    """A `image_catalog.cluster.Transport` that answers by itself.

    It knows what `image_catalog.cluster` sends to read, create and patch, and
    nothing of schemas: what it measures is our side, not an API server in Python.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._objects: dict[str, dict[str, Any]] = {}
        self._versions = itertools.count(1)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,  # noqa: ARG002 - the Protocol's parameter, as those that follow
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",  # noqa: ARG002 - the same
        accept: str = "application/json",  # noqa: ARG002 - the same
        most_bytes: int | None = None,  # noqa: ARG002 - the same
        timeout: timedelta,  # noqa: ARG002, ASYNC109 - the same
    ) -> Response:
        """Answer one request; bodies are bytes both ways, as on a wire."""
        self.calls += 1
        sent = orjson.loads(orjson.dumps(body)) if body is not None else {}
        if method == "POST":
            return self._create(path, sent)
        found = self._objects.get(path.removesuffix("/status"))
        if found is None and path.endswith(_COLLECTIONS):
            return self._list(path)
        if found is None:
            return _failure(404, "NotFound")
        if method == "PATCH":
            return self._patch(path, found, sent)
        return Response(200, _JSON, orjson.dumps(found))

    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,  # noqa: ARG002 - the name is the protocol's
        timeout: timedelta,  # noqa: ARG002 - the same
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        """Refuse: nobody watches here."""
        raise AssertionError(f"nobody watches here, and {path} was watched")

    async def close(self) -> None:
        """Nothing is open."""

    def _create(self, path: str, sent: dict[str, Any]) -> Response:
        name = f"{path}/{sent['metadata']['name']}"
        if name in self._objects:
            return _failure(409, "AlreadyExists")
        namespace = path.partition("/namespaces/")[2].partition("/")[0]
        fields = {"namespace": namespace, "uid": str(uuid.uuid4()), "generation": 1}
        kept = {**sent, "metadata": {**sent["metadata"], **fields}}
        return self._keep(201, name, kept)

    def _patch(self, path: str, found: dict[str, Any], sent: dict[str, Any]) -> Response:
        version = (sent.get("metadata") or {}).pop("resourceVersion", None)
        if version is not None and version != found["metadata"]["resourceVersion"]:
            return _failure(409, "Conflict")
        (sent.get("metadata") or {}).pop("uid", None)
        name = path.removesuffix("/status")
        changed = {"status": sent.get("status")} if name != path else sent
        return self._keep(200, name, _merge(found, changed))

    def _keep(self, status: int, name: str, kept: dict[str, Any]) -> Response:
        kept["metadata"]["resourceVersion"] = str(next(self._versions))
        self._objects[name] = kept
        return Response(status, _JSON, orjson.dumps(kept))

    def _list(self, path: str) -> Response:
        items = [found for name, found in self._objects.items() if name.rpartition("/")[0] == path]
        return Response(200, _JSON, orjson.dumps({"metadata": {"resourceVersion": "0"}, "items": items}))


def _merge(before: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a merge patch (RFC 7386)."""
    merged = dict(before)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            current = merged.get(key)
            merged[key] = _merge(current if isinstance(current, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def _failure(code: int, reason: str) -> Response:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
    return Response(code, _JSON, orjson.dumps({**status, "message": reason}))
