"""The embedded Kubernetes API in a process of its own, with as many entries as are asked for.

Run as a program it fills its store without requests, prints where it listens
as a line of JSON, and ends with its standard input, so that it cannot outlive
who started it.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from image_catalog.catalog.availability import counted
from image_catalog.cluster import CATALOG_IMAGE, KubernetesAPI, KubernetesTransport
from image_catalog.local.installing import install
from image_catalog.local.kubernetes import Cluster, EmbeddedKubernetes
from image_catalog.local.manifests import load_manifests
from image_catalog.models import Availability, AvailabilityState, DueAt, format_time
from image_catalog.models.names import GROUP
from image_catalog.models.reasons import NextVerificationReason
from image_catalog.testing.catalog_samples import sample_images

if TYPE_CHECKING:
    from tests.bench.sharing import Shared  # this file is also a program, which finds no package of tests

__all__ = ["FilledCluster", "filled_cluster", "scheduled_images", "shared_cluster"]

_ACCOUNT = "bench"
_NAMESPACE = "image-catalog"

_RIGHTS: tuple[dict[str, Any], ...] = (
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": _ACCOUNT},
        "rules": [{"apiGroups": [GROUP], "resources": ["catalogimages"], "verbs": ["get", "list"]}],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _ACCOUNT},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _ACCOUNT},
        "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": _NAMESPACE}],
    },
)


@dataclass(frozen=True, slots=True)
class FilledCluster:
    """Where it is, and how to get in."""

    admin: Path
    """Kubeconfig of the administrator."""
    api: Path
    """Kubeconfig of the API's ServiceAccount."""
    reverify: Path
    """Kubeconfig of the ServiceAccount of reverify."""
    token: str
    """Token of a reader of every namespace."""
    pid: int | None
    """The API server's process, where it is one of ours."""
    filled_at: datetime
    """The time by which a sixtieth of the entries came due in the last minute, and the others do in the next 59."""


@asynccontextmanager
async def filled_cluster(folder: Path, *, entries: int) -> AsyncIterator[FilledCluster]:
    """Serve a cluster while the context lasts.

    Parameters
    ----------
    folder
        Where kubeconfigs go.
    entries
        How many entries it holds.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, str(folder), str(entries)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        told = json.loads(await process.stdout.readline())
        yield FilledCluster(
            admin=Path(told["admin"]),
            api=Path(told["api"]),
            reverify=Path(told["reverify"]),
            token=told["token"],
            pid=process.pid,
            filled_at=datetime.fromisoformat(told["filledAt"]),
        )
    finally:
        process.stdin.close()
        await process.wait()


def shared_cluster(shared: Shared, *, entries: int) -> AbstractAsyncContextManager[FilledCluster]:
    """Serve a cluster of so many entries, or borrow the one that is served."""
    return shared.running(f"cluster of {entries}", partial(filled_cluster, entries=entries))


async def _serve(folder: Path, entries: int) -> None:
    cluster = Cluster(clock=lambda: datetime.now(UTC), random=random.SystemRandom())
    admin = folder / "kubeconfig"
    async with EmbeddedKubernetes(cluster=cluster, kubeconfig_path=admin) as kubernetes:
        api = KubernetesAPI(transport=await KubernetesTransport.connect(kubeconfig=admin))
        try:
            await install(api, load_manifests())
        finally:
            await api.close()
        for manifest in _RIGHTS:
            cluster.apply(manifest)
        filled_at = datetime.now(UTC)
        _fill(cluster, entries, filled_at)
        own = {
            name: str(kubernetes.service_account_kubeconfig(folder / name, namespace=_NAMESPACE, name=name))
            for name in ("api", "reverify")
        }
        token = kubernetes.service_account_token(_NAMESPACE, _ACCOUNT)
        told = {"admin": str(admin), **own, "token": token, "filledAt": filled_at.isoformat()}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


def scheduled_images(entries: int, filled_at: datetime) -> Iterator[dict[str, Any]]:
    """Return entries as they are stored, checked within the last hour and due within the next.

    Parameters
    ----------
    entries
        How many.
    filled_at
        The time; a sixtieth of them came due in the minute before.
    """
    for number, entry in enumerate(sample_images(entries)):
        # A step that leaves no second out, and is none of the steps in which the samples are made.
        due = filled_at + timedelta(seconds=number * 997 % 3600 - 60)
        times = {"lastVerificationTime": due - timedelta(hours=1), "nextVerificationTime": due}
        status = {name: format_time(time) for name, time in times.items()} | {
            "due": DueAt.of(due).to_dict(),
            "nextVerificationReason": NextVerificationReason.INTERVAL,
            "nextVerificationMessage": "once in 1h",
            "availability": _counted(due - timedelta(hours=1)).to_dict(),
        }
        yield entry | {"status": entry["status"] | status}


@lru_cache(maxsize=3600)
def _counted(checked: datetime) -> Availability:
    """Return what a month of checks that all went well comes to."""
    month = counted(None, AvailabilityState.AVAILABLE, at=checked - timedelta(days=31), held=timedelta(days=31))
    return counted(month, AvailabilityState.AVAILABLE, at=checked, held=timedelta(hours=2))


def _fill(cluster: Cluster, entries: int, filled_at: datetime) -> None:
    """Put entries there as they are stored, encoded too: what is measured is the catalog's side of a list."""
    for entry in scheduled_images(entries, filled_at):
        metadata = entry["metadata"]
        key = (metadata["namespace"], metadata["name"])
        stored = cluster.store.put((CATALOG_IMAGE.group, CATALOG_IMAGE.plural), key, entry)
        assert stored.encoded


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
