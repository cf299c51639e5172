"""Sends thousands of generated requests to the API of a local stack, and judges every answer by its OpenAPI document.

schemathesis makes the requests: examples, boundary values, random ones that fit
the document and ones that break it, and sequences in which one call goes on with
what another answered. The exit code is 0 when every check passed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import stamina

from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD
from image_catalog.events import configure_logging
from image_catalog.local.registry import SampleImage
from image_catalog.local.stack import LocalStack, StackOptions
from image_catalog.models import format_time
from image_catalog.testing.catalog_samples import sample_images

__all__ = ["main"]

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")

_NAMESPACE = "default"
_BUILDS = 8
_REPOSITORY = "acme/autosd"

_LIMIT = 30 * 60
"""Seconds after which a run that hangs is ended and counts as failed."""

_OVERDUE = 124
"""Exit code of a run that was ended, as of timeout(1)."""


class _NotFilledError(Exception):
    """The index has not seen every entry yet."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000, help="requests to generate, at least (%(default)s)")
    parser.add_argument("--entries", type=int, default=300, help="entries in the catalog (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run; a random seed by default, printed")
    parser.add_argument("--output", type=Path, default=None, help="folder that keeps the reports")
    parser.add_argument("more", nargs="*", help="passed on to schemathesis, after --")
    chosen = parser.parse_args(arguments)
    seed = secrets.randbelow(2**32) if chosen.seed is None else chosen.seed
    sys.stdout.write(f"seed {seed}: --seed {seed} generates the same requests again\n")
    sys.stdout.flush()
    with Path(os.devnull).open("w") as nowhere, tempfile.TemporaryDirectory(prefix="image-catalog-fuzz-") as folder:
        configure_logging(stream=nowhere)
        return asyncio.run(_fuzz(Path(folder), chosen, seed))


async def _fuzz(folder: Path, chosen: argparse.Namespace, seed: int) -> int:
    reports: Path = chosen.output or folder / "reports"
    # Generated references name hosts that somebody may own: only the stack's own registry is asked.
    options = StackOptions(folder=folder / "stack", environment={"IMAGE_CATALOG_REGISTRY_POLICY": "listed"})
    async with LocalStack(options) as stack:
        assert stack.kubernetes is not None
        await _fill(stack, chosen.entries)
        token = stack.kubernetes.cluster.admin_token
        operations = await _count_operations(stack.catalog_url)
        await _wait_filled(stack.catalog_url, token, chosen.entries)
        # Boundary values and the steps of sequences come on top of these, a quarter of all requests; but operations
        # with few parameters run out of different ones.
        each = max(chosen.examples * 9 // (10 * operations), 1)
        sys.stdout.write(f"{operations} operations, {each} examples of each in every phase\n")
        sys.stdout.flush()
        code = await _run(
            *("--config-file", str(CONFIGURATION), "run", f"{stack.catalog_url}/openapi.json"),
            *("--header", f"Authorization: Bearer {token}", "--max-examples", str(each), "--seed", str(seed)),
            *("--report", "ndjson", "--report-dir", str(reports), *chosen.more),
        )
        if chosen.output is not None:
            for log in (folder / "stack" / "logs").iterdir():
                (reports / log.name).write_bytes(log.read_bytes())
    sent = sum(map(_requests, _reports(reports)))
    sys.stdout.write(f"{sent} requests were answered and checked; seed {seed}\n")
    if not chosen.more and sent < chosen.examples:
        sys.stdout.write(f"that is less than {chosen.examples}\n")
        return code or 1
    return code


async def _fill(stack: LocalStack, entries: int) -> None:
    """Put builds, and entries without a request: they are there before anybody may be told of them."""
    assert stack.registry is not None
    assert stack.kubernetes is not None
    for number in range(_BUILDS):
        name = f"build-{number}"
        SampleImage(name=name).put(stack.registry.store, _REPOSITORY, name)
        spec: dict[str, Any] = {
            "architecture": "arm64",
            "aib": {"distro": "autosd", "target": "qemu", "mode": "image"},
            "export": {"container": f"quay.io/{_REPOSITORY}:{name}"},
        }
        await stack.api.create(IMAGE_BUILD, {"metadata": {"name": name}, "spec": spec}, _NAMESPACE)
        # The last ones go on, so that there are builds which cannot be published.
        if number < _BUILDS - 2:
            status = {"phase": "Completed", "completionTime": format_time(datetime.now(UTC))}
            await stack.api.patch_status(IMAGE_BUILD, name, _NAMESPACE, status, resource_version=None)
    store = stack.kubernetes.cluster.store
    for number, entry in enumerate(sample_images(entries, namespaces=(_NAMESPACE,))):
        # Short names are what a generator finds again.
        entry["metadata"]["name"] = f"as{number}"
        store.put((CATALOG_IMAGE.group, CATALOG_IMAGE.plural), (_NAMESPACE, f"as{number}"), entry)


async def _count_operations(url: str) -> int:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        paths = (await client.get("/openapi.json")).raise_for_status().json()["paths"]
    return sum(method in ("get", "post", "put", "delete") for path in paths.values() for method in path)


async def _wait_filled(url: str, token: str, entries: int) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        async for attempt in stamina.retry_context(on=_NotFilledError, attempts=None, timeout=60, wait_max=0.2):
            with attempt:
                page = (await client.get("/api/v1alpha1/catalog/images", params={"limit": 1})).json()
                if len(page["items"]) + page["metadata"]["remainingItemCount"] < entries:
                    raise _NotFilledError


async def _run(*arguments: str) -> int:
    """Run schemathesis; return its exit code."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    process = await asyncio.create_subprocess_exec(program, *arguments, start_new_session=True)
    try:
        async with asyncio.timeout(_LIMIT):
            return await process.wait()
    except TimeoutError:
        sys.stdout.write(f"ended after {_LIMIT} seconds\n")
        return _OVERDUE
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _reports(folder: Path) -> list[Path]:
    return list(folder.glob("*.ndjson"))


def _requests(report: Path) -> int:
    """Return how many requests a report tells of."""
    count = 0
    with report.open("rb") as lines:
        for line in lines:
            event = orjson.loads(line)
            recorder = next(iter(event.values())).get("recorder") if len(event) == 1 else None
            count += len(recorder.get("interactions", ())) if recorder else 0
    return count


if __name__ == "__main__":
    sys.exit(main())
