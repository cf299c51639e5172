"""Who downloaded what is kept in the database, and told by the API and by ``caib`` as everything else is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from image_catalog.audit import AuditStore
from image_catalog.cli.tree import run as run_caib
from image_catalog.local.registry import SampleArtifact
from image_catalog.testing.catalog_api import BASE, ScriptedAnswer, ScriptedCatalog, ScriptedRequest
from image_catalog.testing.world import NAMESPACE, World
from image_catalog_functions.api.recording import Recorder

PERSON = "system:serviceaccount:image-catalog:person"


@pytest.fixture
async def catalog(serve: Callable[..., Any], world: World, tmp_path: Path) -> AsyncIterator[Any]:
    """Serve an API that keeps a history."""
    store = AuditStore.open(f"sqlite:///{tmp_path}/audit.db", clock=world.clock.now)
    catalog = serve(audit=store, recorder=Recorder(audit=store, clock=world.clock.now))
    yield catalog
    await catalog.client.aclose()
    await store.aclose()


@pytest.fixture
def reached(catalog: Any) -> Callable[[], ScriptedCatalog]:
    """Return what gives the API an address, for a client that blocks."""

    def serve() -> ScriptedCatalog:
        loop, served = asyncio.get_running_loop(), ScriptedCatalog()

        def ask(request: ScriptedRequest) -> ScriptedAnswer:
            asked = catalog.client.get(BASE + request.path, params=request.parameters)
            answer = asyncio.run_coroutine_threadsafe(asked, loop).result(timeout=30)
            return ScriptedAnswer(answer.status_code, answer.text)

        served.answers["GET", "/audit"] = ask
        return served

    return serve


async def test_a_download_is_read_back_by_the_api_and_by_caib(
    catalog: Any,
    reached: Callable[[], ScriptedCatalog],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    catalog.world.push(SampleArtifact())
    image = await catalog.world.add()
    await catalog.catch_up()
    for download in ("true", "true", "false"):
        params = {"artifact": "boot.img.gz", "download": download}
        assert (await catalog.ask("GET", "/images/autosd/artifacts", params=params)).status_code == 200
    await catalog.services.recorder.flush()

    params = {"namespace": NAMESPACE, "kind": "image.downloaded"}
    (told,) = (await catalog.client.get(f"{BASE}/audit", params=params)).json()["items"]
    digest = image.status.registry_metadata.resolved_digest
    assert (told["actor"], told["name"], told["outcome"], told["digest"]) == (PERSON, "autosd", "succeeded", digest)
    assert told["message"] == f"{PERSON} was given the address of boot.img.gz, 2 times"
    assert (told["data"]["artifact"], told["data"]["count"]) == ("boot.img.gz", 2)

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with reached() as served:
        common = ["catalog", "audit", "--server", served.url, "-n", NAMESPACE, "--kind", "image.downloaded", "-o"]
        capsys.readouterr()
        assert await asyncio.to_thread(run_caib, [*common, "json"]) == 0
        assert json.loads(capsys.readouterr().out)["items"] == [told]
        assert await asyncio.to_thread(run_caib, [*common, "wide"]) == 0
        row = capsys.readouterr().out.splitlines()[1]
        assert all(word in row for word in ("autosd", "image.downloaded", PERSON, "boot.img.gz, 2 times"))
