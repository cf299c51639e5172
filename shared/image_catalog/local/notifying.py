"""Has the stack's registry tell the catalog of pushes, as an administrator sets it up on a cluster."""

from __future__ import annotations

import asyncio
import base64
import secrets
from typing import Any, Final

import httpx
import structlog

from image_catalog.local.clients import IN_CLEAR

__all__ = ["PushNotifier"]

_log = structlog.get_logger(__name__)

_NAME: Final = "registry-pushes"
"""Name of the Secret, and of the Role that lets the API read it."""

_RBAC: Final = "rbac.authorization.k8s.io"
_MOST: Final = 1000
"""Events that wait to be sent; of more the oldest are dropped: their entries are checked when they are due."""

_TRIES: Final = 5
_PAUSE: Final = 1.0
"""Seconds before an event is sent again that was not taken."""


class PushNotifier:
    """Sends what a registry tells to the notification calls of the catalog's API.

    Parameters
    ----------
    namespace
        Where the functions, and the Secret with the token, are.
    account
        ServiceAccount of the API.
    """

    def __init__(self, *, namespace: str, account: str) -> None:
        self._namespace = namespace
        self._account = account
        self._token = secrets.token_urlsafe(32)
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @property
    def notifications(self) -> dict[str, Any]:
        """What a CatalogRegistry says of it."""
        return {"type": "distribution", "secretRef": {"name": _NAME, "namespace": self._namespace}}

    def documents(self) -> list[dict[str, Any]]:
        """Return the Secret, and what lets the API read that one."""
        metadata = {"name": _NAME, "namespace": self._namespace}
        rules = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [_NAME], "verbs": ["get"]}]
        token = base64.b64encode(self._token.encode()).decode()
        return [
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": {"token": token}},
            {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": _NAME},
                "subjects": [{"kind": "ServiceAccount", "name": self._account, "namespace": self._namespace}],
            },
        ]

    def hear(self, event: dict[str, Any]) -> None:
        """Take an event of the registry."""
        if self._waiting.qsize() >= _MOST:
            self._waiting.get_nowait()
        self._waiting.put_nowait(event)

    async def run(self, *urls: str) -> None:
        """Send each event to every URL, until it is taken or in vain for some seconds.

        Parameters
        ----------
        urls
            The call of each CatalogRegistry that the registry stands for.
        """
        async with httpx.AsyncClient(trust_env=False, verify=IN_CLEAR, timeout=5) as client:
            while True:
                event = await self._waiting.get()
                await asyncio.gather(*(self._send(client, url, event) for url in urls))

    async def _send(self, client: httpx.AsyncClient, url: str, event: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        for _ in range(_TRIES):
            try:
                answer = await client.post(url, json={"events": [event]}, headers=headers)
            except httpx.HTTPError:
                pass
            else:
                if not answer.is_server_error:
                    return
            await asyncio.sleep(_PAUSE)
        _log.warning("push not told", url=url, repository=event["target"]["repository"])
