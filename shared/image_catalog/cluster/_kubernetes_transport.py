"""The transport over the official asynchronous client."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from image_catalog.cluster._transport import Response, StreamingResponse, split_lines
from image_catalog.errors import ClusterUnavailableError
from image_catalog.loading import collector_paused, leave_front_page_unread
from image_catalog.tracing import current_traceparent

__all__ = ["KubernetesTransport"]

# A connection that is not up by then goes to an API server that is not there.
CONNECT_TIMEOUT: Final = timedelta(seconds=5)
UNAUTHORIZED: Final = 401
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class KubernetesTransport:
    """Carries requests with ``kubernetes.aio``, whose answers it leaves unread.

    Build one with `in_cluster` or `from_kubeconfig`, inside the event loop that
    uses it, and close it.

    Parameters
    ----------
    client
        A ``kubernetes.aio.client.ApiClient``.
    reload
        Reads the credentials again (an exec plugin, a token file) after the API
        server refused them; `None` when they renew themselves.
    user_agent
        Names the process in audit logs; the part before the slash becomes the
        field manager of what it writes.
    """

    def __init__(
        self,
        *,
        client: Any,
        reload: Callable[[], Awaitable[None]] | None = None,
        user_agent: str = "image-catalog",
    ) -> None:
        self._client = client
        self._reload = reload
        client.user_agent = user_agent

    @classmethod
    async def connect(
        cls, *, kubeconfig: Path | None = None, context: str | None = None, user_agent: str = "image-catalog"
    ) -> KubernetesTransport:
        """Use the kubeconfig where one is given, else the pod's ServiceAccount.

        Parameters
        ----------
        kubeconfig
            Path of a kubeconfig; `None` means that the process runs in a pod.
        context
            A context of the kubeconfig; `None` means its current one.
        user_agent
            Names the process to the API server.

        Raises
        ------
        ClusterUnavailableError
            When the configuration is missing or unreadable.
        """
        await _load()
        if kubeconfig is None:
            return cls.in_cluster(user_agent=user_agent)
        return await cls.from_kubeconfig(kubeconfig, context=context, user_agent=user_agent)

    @classmethod
    def in_cluster(cls, *, user_agent: str = "image-catalog", mount: Path = SERVICE_ACCOUNT) -> KubernetesTransport:
        """Use the pod's ServiceAccount; its token is read again every minute, and when it is refused.

        Parameters
        ----------
        user_agent
            Names the process to the API server.
        mount
            Where the ServiceAccount's token and certificate authority are mounted.

        Raises
        ------
        ClusterUnavailableError
            When the process does not run in a pod with a mounted token.
        """
        from kubernetes.aio import client, config  # noqa: PLC0415 - costs a cold start more than an empty function needs
        from kubernetes.aio.config.incluster_config import InClusterConfigLoader  # noqa: PLC0415 - the same

        configuration = client.Configuration()
        loader = InClusterConfigLoader(token_filename=str(mount / "token"), cert_filename=str(mount / "ca.crt"))

        async def load() -> None:
            loader.load_and_set(configuration)

        try:
            loader.load_and_set(configuration)
        except (config.ConfigException, OSError) as e:
            raise ClusterUnavailableError(f"no ServiceAccount of a pod, and no kubeconfig is set: {e}") from e
        return cls(client=client.ApiClient(configuration), reload=load, user_agent=user_agent)

    @classmethod
    async def from_kubeconfig(
        cls, path: Path, *, context: str | None = None, user_agent: str = "image-catalog"
    ) -> KubernetesTransport:
        """Use a kubeconfig; its credentials are read again when they are refused.

        Raises
        ------
        ClusterUnavailableError
            When the file is missing or unreadable, or names no such context.
        """
        from kubernetes.aio import client, config  # noqa: PLC0415 - costs a cold start more than an empty function needs
        from yaml import YAMLError  # noqa: PLC0415 - comes with kubernetes.aio

        configuration = client.Configuration()

        async def load() -> None:
            await config.load_kube_config(
                config_file=str(path), context=context, client_configuration=configuration, persist_config=False
            )

        try:
            await load()
        except (config.ConfigException, YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as e:
            raise ClusterUnavailableError(
                f"the kubeconfig {path} cannot be used ({e}); mend it with kubectl config, or name another"
            ) from e
        return cls(client=client.ApiClient(configuration), reload=load, user_agent=user_agent)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        most_bytes: int | None = None,
        timeout: timedelta,  # noqa: ASYNC109 - passed on to aiohttp, which covers connecting and reading
    ) -> Response:
        """Send one request; see `Transport.request`."""
        headers = {"Content-Type": content_type, "Accept": accept}
        if (traceparent := current_traceparent()) is not None:
            headers["traceparent"] = traceparent
        async with _converted(f"{method} {path}"):
            answer = await self._send(method, path, query=query, headers=headers, body=body, timeout=timeout)
            async with answer:
                found = await answer.read() if most_bytes is None else await _read_at_most(answer, most_bytes)
                return Response(answer.status, _lower(answer.headers), found or b"", is_cut=found is None)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout: timedelta,  # noqa: ASYNC109 - passed on to aiohttp, which covers the whole stream
    ) -> AsyncIterator[StreamingResponse]:
        """Open a stream of lines; see `Transport.stream`."""
        async with _converted(f"GET {path}"):
            answer = await self._send(
                "GET", path, query=query, headers={"Accept": "application/json"}, body=None, timeout=timeout
            )
        try:
            yield StreamingResponse(answer.status, _lower(answer.headers), _lines(answer, path))
        finally:
            # Not released but closed: an unfinished watch cannot go back into the pool.
            answer.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        headers: dict[str, str],
        body: Mapping[str, Any] | None,
        timeout: timedelta,  # noqa: ASYNC109 - passed on to aiohttp
    ) -> Any:
        from aiohttp import ClientTimeout  # noqa: PLC0415 - comes with kubernetes.aio and costs as much at a cold start

        limits = ClientTimeout(total=timeout.total_seconds(), sock_connect=CONNECT_TIMEOUT.total_seconds())

        async def send() -> Any:
            serialized = await self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=dict(headers),
                body=None if body is None else dict(body),
                auth_settings=["BearerToken"],
            )
            return (await self._client.call_api(*serialized, _request_timeout=limits)).response

        answer = await send()
        if answer.status == UNAUTHORIZED and self._reload is not None:
            answer.release()
            await self._reload()
            answer = await send()
        return answer


async def _load() -> None:
    """Import the official client, in threads: it takes a fifth of a second, and the loop has probes to answer."""
    if "kubernetes.aio.client" in sys.modules:
        return
    with collector_paused():
        # Importing aiohttp reads every CA of the system, which needs no interpreter lock: the rest is loaded meanwhile.
        await asyncio.gather(asyncio.to_thread(_load_http), asyncio.to_thread(_load_client))


def _load_http() -> None:
    """Import what carries the requests of the official client, which would import it last."""
    import aiohttp  # noqa: F401, PLC0415 - loaded for the client


def _load_client() -> None:
    """Import the official client, whose package loads its modules when their names are first used."""
    # Their front pages import the synchronous client and a dynamic one, which take as long as all that is used here.
    for package in ("kubernetes", "kubernetes.aio"):
        leave_front_page_unread(package)
    from kubernetes.aio.client import ApiClient, Configuration  # noqa: F401, PLC0415 - loaded for those who use it


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def _read_at_most(answer: Any, most_bytes: int) -> bytes | None:
    """Read a body; `None` when it is longer: what is left of it need not cross the network."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > most_bytes:
            answer.close()
            return None
    return bytes(body)


async def _lines(answer: Any, path: str) -> AsyncIterator[bytes]:
    async with _converted(f"GET {path}"):
        async for line in split_lines(answer.content.iter_any()):
            yield line


@asynccontextmanager
async def _converted(what: str) -> AsyncIterator[None]:
    """Turn every way in which no answer comes into the catalog's one error for it."""
    from aiohttp import ClientError  # noqa: PLC0415 - comes with kubernetes.aio and costs as much at a cold start

    try:
        yield
    except TimeoutError as e:
        raise ClusterUnavailableError(f"{what}: the API server did not answer in time") from e
    except (ClientError, OSError) as e:
        raise ClusterUnavailableError(f"{what}: the API server cannot be reached ({type(e).__name__})") from e
