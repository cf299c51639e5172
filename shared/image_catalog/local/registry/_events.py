"""What the registry tells of what is pushed and deleted: the events of distribution.

See https://distribution.github.io/distribution/about/notifications/.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image_catalog.local.registry._digest import is_digest
from image_catalog.models import format_time

__all__ = ["Listener", "PushEvents"]

_MANIFEST: Final = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<reference>[^/]+)")
_ACTIONS: Final = {("PUT", 201): "push", ("DELETE", 202): "delete"}
"""By method and answer."""

Listener: TypeAlias = Callable[[dict[str, Any]], None]
"""Is given each event; must not wait."""


class PushEvents:
    """Tells listeners of every manifest that was pushed or deleted, by a tag or by its digest.

    Parameters
    ----------
    app
        The registry.

    Attributes
    ----------
    listeners
        Who is told, once the client has its answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.listeners: list[Listener] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and tell what came of it."""
        place = _MANIFEST.fullmatch(scope["path"]) if self.listeners and scope["type"] == "http" else None
        answered: list[tuple[int, str | None]] = []

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                digest = Headers(raw=message["headers"]).get("docker-content-digest")
                answered.append((message["status"], digest))
            await send(message)

        await self._app(scope, receive, send if place is None else note)
        for status, digest in answered:
            action = _ACTIONS.get((scope["method"], status))
            if place is not None and action is not None:
                event = _event(action, place["repository"], place["reference"], digest)
                for listener in self.listeners:
                    listener(event)


def _event(action: str, repository: str, reference: str, digest: str | None) -> dict[str, Any]:
    content = reference if is_digest(reference) else digest
    target: dict[str, Any] = {"repository": repository} | ({"digest": content} if content else {})
    if not is_digest(reference):
        target["tag"] = reference
    return {
        "id": str(uuid.uuid4()),
        "timestamp": format_time(datetime.now(UTC)),
        "action": action,
        "target": target,
    }
