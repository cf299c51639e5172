"""How many requests a verification costs a registry that asks for tokens."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.bench.catalog import VerifyFunction, allow_registry, create_entry
from tests.bench.figures import Figure

from image_catalog.local.registry import Sample, SampleImage, SampleIndex
from image_catalog.models import Phase
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.registry import BearerAuth, FakeRegistry

__all__ = ["measure_verify_requests"]

_REPOSITORY = "bench/autosd"
_PLATFORMS = 4


async def measure_verify_requests(folder: Path) -> list[Figure]:
    """Count the requests of first and of later verifications.

    Parameters
    ----------
    folder
        Where the registry keeps its content.
    """
    registry = FakeRegistry(folder / "registry", auth=BearerAuth())
    async with registry.serve(), InProcessCluster() as cluster:
        function = VerifyFunction(cluster.transport("verify"))
        try:
            await allow_registry(function.context.api, registry.host)
            # The token is for a repository: after this entry it is warm for every other one of it.
            await _count(function, registry, "warm", SampleImage(name="warm"))
            single = await _count(function, registry, "single", SampleImage(name="single"))
            index = await _count(function, registry, "index", _index())
            function.wait(timedelta(hours=2))
            unchanged = await _count_again(function, registry, "single")
        finally:
            await function.context.aclose()
    how = "counted at a fake registry on loopback that asks for bearer tokens, through the verify handler; warm token"
    return [
        Figure(
            name="verify_requests_unchanged",
            value=len(unchanged),
            unit="requests",
            better="lower",
            bar=1,
            note=f"re-verification of a due entry: {_listed(unchanged)}; {how}",
        ),
        Figure(
            name="verify_requests_first_single",
            value=len(single),
            unit="requests",
            better="lower",
            bar=2,
            note=f"first verification of a single-platform image: {_listed(single)}; {how}",
        ),
        Figure(
            name="verify_requests_first_index4",
            value=len(index),
            unit="requests",
            better="lower",
            bar=9,
            note=f"first verification of an index of {_PLATFORMS} platforms: {_listed(index)}; {how}",
        ),
    ]


def _index() -> SampleIndex:
    architectures = ("arm64", "amd64", "riscv64", "s390x")
    return SampleIndex([SampleImage(architecture=name, name=f"index-{name}") for name in architectures])


async def _count(function: VerifyFunction, registry: FakeRegistry, name: str, sample: Sample) -> list[str]:
    """Verify a new entry, and return what the registry was asked."""
    await create_entry(function.context.api, name, registry.put(sample, _REPOSITORY, name))
    return await _count_again(function, registry, name)


async def _count_again(function: VerifyFunction, registry: FakeRegistry, name: str) -> list[str]:
    before = len(registry.requests)
    verified = (await function.entry(name)).status.last_verification_time
    await function.verify(name)
    entry = await function.entry(name)
    assert entry.status.phase is Phase.AVAILABLE, entry.status
    assert entry.status.last_verification_time != verified, "it was not due"
    return [f"{request.method} {request.target.kind}" for request in list(registry.requests)[before:]]


def _listed(requests: list[str]) -> str:
    """Return ``GET manifest, 2 × GET blob``."""
    counts = {request: requests.count(request) for request in requests}
    return ", ".join(request if count == 1 else f"{count} × {request}" for request, count in counts.items())
