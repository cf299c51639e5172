"""The transport over the official client: HTTPS, credentials, and every way in which no answer comes."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from image_catalog.cluster import CONFIG_MAP, Changed, KubernetesAPI, KubernetesTransport, Relisted, StreamingResponse
from image_catalog.errors import AlreadyExistsError, ClusterUnavailableError, ForbiddenError, WriteConflictError
from image_catalog.local.kubernetes import Cluster, EmbeddedKubernetes

NS = "team-a"
SECOND = timedelta(seconds=1)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedKubernetes]:
    state = Cluster(clock=lambda: datetime.now(UTC), random=random.Random(0))  # noqa: S311 - names, no secrets
    async with EmbeddedKubernetes(cluster=state, kubeconfig_path=tmp_path / "config", namespaces=[NS]) as running:
        yield running


@pytest.fixture
async def api(server: EmbeddedKubernetes) -> AsyncIterator[KubernetesAPI]:
    connected = KubernetesAPI(transport=await KubernetesTransport.connect(kubeconfig=server.kubeconfig_path))
    yield connected
    await connected.close()


async def make(api: KubernetesAPI, name: str) -> None:
    await api.create(CONFIG_MAP, {"metadata": {"name": name, "labels": {"a/b": "c"}}, "data": {"k": "ä"}}, NS)


async def test_verbs_travel_over_https(api: KubernetesAPI) -> None:
    await make(api, "a")
    with pytest.raises(AlreadyExistsError):
        await make(api, "a")
    found = await api.get(CONFIG_MAP, "a", NS)
    assert found is not None
    assert found["data"] == {"k": "ä"}
    version = found["metadata"]["resourceVersion"]
    assert await api.patch(CONFIG_MAP, "a", NS, {"data": {"k": None}}, resource_version=version) is not None
    with pytest.raises(WriteConflictError):
        await api.patch(CONFIG_MAP, "a", NS, {"data": {"k": "2"}}, resource_version=version)
    assert [o["metadata"]["name"] for o in await api.list_all(CONFIG_MAP, NS, label_selector="a/b in (c, d)")] == ["a"]
    assert await api.delete(CONFIG_MAP, "a", NS, uid=found["metadata"]["uid"])
    assert await api.get(CONFIG_MAP, "a", NS) is None


async def test_watch_travels_over_https(api: KubernetesAPI) -> None:
    async with asyncio.timeout(10), aclosing(api.watch(CONFIG_MAP, NS)) as watch:
        assert isinstance(await anext(watch), Relisted)
        await make(api, "a")
        change = await anext(watch)
        assert isinstance(change, Changed)
        assert change.object["metadata"]["name"] == "a"


@pytest.mark.parametrize(("most", "is_cut"), [(1000, False), (999, True)], ids=["as long as allowed", "longer"])
async def test_an_answer_longer_than_allowed_is_left(tmp_path: Path, most: int, *, is_cut: bool) -> None:
    async def handle(_: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + b"x" * 1000

    async with raw_server(handle, tmp_path) as kubeconfig:
        transport = await KubernetesTransport.from_kubeconfig(kubeconfig)
        response = await transport.request("GET", "/version", most_bytes=most, timeout=SECOND)
        again = await transport.request("GET", "/version", timeout=SECOND)
        await transport.close()
    assert (response.status, response.is_cut, len(response.body)) == (200, is_cut, 0 if is_cut else 1000)
    assert (again.is_cut, len(again.body)) == (False, 1000)


async def test_user_agent_names_the_process(tmp_path: Path) -> None:
    async def handle(request: bytes) -> bytes:
        assert b"user-agent: image-catalog-verify/1" in request.lower()
        return b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"

    async with raw_server(handle, tmp_path) as kubeconfig:
        transport = await KubernetesTransport.from_kubeconfig(kubeconfig, user_agent="image-catalog-verify/1")
        response = await transport.request("GET", "/version", timeout=SECOND)
        await transport.close()
    assert (response.status, response.body) == (200, b"{}")


async def test_wrong_token_is_forbidden(server: EmbeddedKubernetes, tmp_path: Path) -> None:
    config = server.service_account_kubeconfig(tmp_path / "sa", namespace=NS, name="verify")
    config.write_text(config.read_text().replace("token: ", "token: x"))
    transport = await KubernetesTransport.from_kubeconfig(config)
    with pytest.raises(ForbiddenError, match="get configmaps a in namespace team-a"):
        await KubernetesAPI(transport=transport).get(CONFIG_MAP, "a", NS)
    await transport.close()


async def test_rotated_token_file_is_read_again(server: EmbeddedKubernetes, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("expired")
    config = yaml.safe_load(server.kubeconfig_path.read_text())
    config["users"][0]["user"] = {"tokenFile": str(token)}
    path = tmp_path / "rotating"
    path.write_text(yaml.safe_dump(config))
    transport = await KubernetesTransport.from_kubeconfig(path)
    token.write_text(server.cluster.admin_token)
    assert await KubernetesAPI(transport=transport).get(CONFIG_MAP, "absent", NS) is None
    await transport.close()


async def test_pod_uses_its_service_account(
    server: EmbeddedKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("expired")
    (tmp_path / "ca.crt").write_bytes(server.ca_pem)
    url = urlsplit(server.url)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(url.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(url.port))
    transport = KubernetesTransport.in_cluster(mount=tmp_path)
    (tmp_path / "token").write_text(server.cluster.admin_token)
    assert await KubernetesAPI(transport=transport).get(CONFIG_MAP, "absent", NS) is None
    await transport.close()


async def test_process_outside_of_a_pod_needs_a_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterUnavailableError, match="no kubeconfig is set"):
        await KubernetesTransport.connect()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "clusters: []\nusers: []\ncontexts: []\ncurrent-context: none\n"],
    ids=["empty", "no YAML", "a list", "no such context"],
)
async def test_kubeconfig_that_cannot_be_used_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(ClusterUnavailableError, match="cannot be used"):
        await KubernetesTransport.connect(kubeconfig=path)


async def test_absent_kubeconfig_is_said(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnavailableError, match="cannot be used"):
        await KubernetesTransport.connect(kubeconfig=tmp_path / "absent")


@asynccontextmanager
async def raw_server(answer: Callable[[bytes], Awaitable[bytes]], tmp_path: Path) -> AsyncIterator[Path]:
    """Serve bytes over plain HTTP, and write a kubeconfig that leads there."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(await answer(request))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    path = tmp_path / "raw"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "c", "user": {}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
            }
        )
    )
    yield path
    listening.close()
    await listening.wait_closed()


async def ask(kubeconfig: Path, limit: timedelta = SECOND) -> None:
    transport = await KubernetesTransport.from_kubeconfig(kubeconfig)
    try:
        await KubernetesAPI(transport=transport, timeout=limit).get(CONFIG_MAP, "a", NS)
    finally:
        await transport.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="closed without an answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", id="cut short"),
        pytest.param(b"SSH-2.0-OpenSSH_9\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", id="not an object"),
    ],
)
async def test_answer_that_is_none_can_be_tried_later(tmp_path: Path, answer: bytes) -> None:
    async def handle(_: bytes) -> bytes:
        return answer

    async with raw_server(handle, tmp_path) as kubeconfig:
        with pytest.raises(ClusterUnavailableError, match="get configmaps a in namespace team-a"):
            await ask(kubeconfig)


async def test_server_that_hangs_is_left(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def handle(_: bytes) -> bytes:
        await left.wait()
        return b""

    async with raw_server(handle, tmp_path) as kubeconfig:
        with pytest.raises(ClusterUnavailableError, match="did not answer in time"):
            await ask(kubeconfig, timedelta(milliseconds=100))
        left.set()


async def test_nobody_listening_can_be_tried_later(tmp_path: Path) -> None:
    async def handle(_: bytes) -> bytes:
        return b""

    async with raw_server(handle, tmp_path) as kubeconfig:
        pass
    with pytest.raises(ClusterUnavailableError, match="cannot be reached"):
        await ask(kubeconfig)


async def test_stream_that_breaks_says_so_after_its_lines(tmp_path: Path) -> None:
    async def handle(_: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\none\ntwo\nthr"

    lines: list[bytes] = []

    async def read_all(stream: StreamingResponse) -> None:
        async for line in stream.lines:
            lines.append(line)  # noqa: PERF401 - what came before the break counts

    async with raw_server(handle, tmp_path) as kubeconfig:
        transport = await KubernetesTransport.from_kubeconfig(kubeconfig)
        async with transport.stream("/x", timeout=SECOND) as stream:
            with pytest.raises(ClusterUnavailableError):
                await read_all(stream)
        await transport.close()
    assert lines == [b"one", b"two"]


def test_connecting_loads_no_synchronous_client(tmp_path: Path) -> None:
    # It would take as long again as the asynchronous one, at each cold start that asks the API server anything.
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "here",
        "users": [{"name": "me", "user": {}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    program = (
        "import asyncio, pathlib, sys; from image_catalog.cluster import KubernetesTransport\n"
        "async def main():\n"
        f"    await (await KubernetesTransport.connect(kubeconfig=pathlib.Path({str(path)!r}))).close()\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name in ('kubernetes.client', 'kubernetes.aio.dynamic', 'urllib3')])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"
