"""How fast the API answers, beside nginx that serves the same bytes from a file."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import httpx
from tests.bench.api_process import IMAGES, ApiProcess
from tests.bench.figures import Figure, spread
from tests.bench.nginx import Nginx
from tests.bench.queries import HOT, choose_filters, different_paths
from tests.bench.wrk import Cores, Load, Wrk

from image_catalog.local.clients import IN_CLEAR

__all__ = ["READS", "Apis", "measure_reads"]

READS = (
    "list_throughput_ratio_nginx",
    "list_unique_ratio_nginx",
    "get_throughput_ratio_nginx",
    "list_flatness_100k",
    "list_unique_flatness_100k",
    "list_p99_ms_1000_clients",
    "list_errors_1000_clients",
)
"""Names of the figures, for where they cannot be measured."""

_BESIDE = (
    "wrk with one thread and 100 connections on a core of its own; by turns on the other core with nginx, one worker, "
    "the same bytes as a static file"
)


@dataclass(frozen=True, slots=True)
class Apis:
    """The real API over three catalogs, all on the servers' core."""

    small: ApiProcess
    middle: ApiProcess
    large: ApiProcess
    sizes: tuple[int, int, int]


@dataclass(slots=True)
class _Rounds:
    """What each kind of run saw, round by round."""

    seen: dict[str, list[Load]] = field(default_factory=dict)

    def add(self, name: str, load: Load) -> None:
        self.seen.setdefault(name, []).append(load)

    def ratios(self, ours: str, reference: str) -> list[float]:
        return [a.per_second / b.per_second for a, b in zip(self.seen[ours], self.seen[reference], strict=True)]

    def speed(self, name: str) -> float:
        return statistics.median(load.per_second for load in self.seen[name])

    def errors(self, *names: str) -> int:
        return sum(load.errors for name in names for load in self.seen[name])


async def measure_reads(
    folder: Path, apis: Apis, *, cores: Cores, rounds: int, seconds: float | None, filters: int
) -> list[Figure]:
    """Measure list and get under load.

    Parameters
    ----------
    folder
        Where nginx and wrk keep their files.
    rounds
        How many times everything is run by turns.
    seconds
        How long one run lasts, see `Wrk.different`; the crowd's lasts three times as long.
    filters
        How many filters the queries that differ have.
    """
    wrks = [
        Wrk(folder / f"wrk-{number}", core=cores.load, authorization=api.headers["Authorization"])
        for number, api in enumerate((apis.small, apis.middle, apis.large))
    ]
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_client(apis.middle))
        page = (await client.get(HOT)).raise_for_status()
        entry = page.json()["items"][0]["metadata"]
        one = f"{IMAGES}/{entry['name']}?{urlencode({'namespace': entry['namespace']})}"
        body = (await client.get(one)).raise_for_status().content
        answers = {IMAGES: page.content, one.partition("?")[0]: body}
        nginx = await stack.enter_async_context(Nginx(folder / "nginx", answers, cores=cores))
        paths = await _write_paths(folder, apis, filters=filters)
        measured = _Rounds()
        runs = _runs(wrks, nginx, apis, one=one, paths=paths, seconds=seconds)
        first = dict.fromkeys(paths, 0)
        for number in range(rounds):
            # Every second round the other way about: nothing is always measured after the same neighbour.
            for name, run in runs if number % 2 == 0 else reversed(runs):
                load = await run(first)
                measured.add(name, load)
        longer = None if seconds is None else 3 * seconds
        crowd = await wrks[1].same(apis.middle.url + HOT, seconds=longer, connections=1000)
    return [*_figures(measured, len(page.content), len(body), apis.sizes), *_crowd_figures(crowd)]


_First = dict[str, int]
_Run = tuple[str, Callable[[_First], Awaitable[Load]]]


def _runs(
    wrks: Sequence[Wrk], nginx: Nginx, apis: Apis, *, one: str, paths: Mapping[str, Path], seconds: float | None
) -> Sequence[_Run]:
    """Return every run of a round by name."""
    of_small, of_middle, of_large = wrks

    def same(wrk: Wrk, url: str) -> Callable[[_First], Awaitable[Load]]:
        async def run(_first: _First) -> Load:
            return await wrk.same(url, seconds=seconds)

        return run

    def different(wrk: Wrk, base: str, name: str, *, forget: bool = False) -> Callable[[_First], Awaitable[Load]]:
        async def run(first: _First) -> Load:
            load = await wrk.different(base, paths[name], first=first[name], seconds=seconds)
            if not forget:
                # The next round asks for what was not asked for yet.
                first[name] += load.requests + 100
            return load

        return run

    return (
        ("nginx list", same(of_middle, nginx.url + HOT)),
        ("list", same(of_middle, apis.middle.url + HOT)),
        ("nginx unique", different(of_middle, nginx.url, "middle", forget=True)),
        ("unique", different(of_middle, apis.middle.url, "middle")),
        ("nginx get", same(of_middle, nginx.url + one)),
        ("get", same(of_middle, apis.middle.url + one)),
        ("small list", same(of_small, apis.small.url + HOT)),
        ("large list", same(of_large, apis.large.url + HOT)),
        ("small unique", different(of_small, apis.small.url, "small")),
        ("large unique", different(of_large, apis.large.url, "large")),
    )


async def _write_paths(folder: Path, apis: Apis, *, filters: int) -> dict[str, Path]:
    async with _client(apis.small) as client:
        chosen = await choose_filters(client, count=filters)

    async def write(name: str, api: ApiProcess) -> tuple[str, Path]:
        file = folder / f"{name}.paths"
        async with _client(api) as client:
            file.write_text("".join(f"{path}\n" for path in await different_paths(client, chosen)))
        return name, file

    named = {"small": apis.small, "middle": apis.middle, "large": apis.large}
    return dict(await asyncio.gather(*(write(name, api) for name, api in named.items())))


def _client(api: ApiProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=api.url, headers=api.headers, verify=IN_CLEAR, trust_env=False, timeout=30)


def _figures(measured: _Rounds, page: int, entry: int, sizes: tuple[int, int, int]) -> list[Figure]:
    small, middle, large = (f"{size:,}" for size in sizes)
    each = "each query differs by filter, sort, order, limit (15 to 25) and continue position"
    figures = []
    for name, ours, what, bar in (
        ("list_throughput_ratio_nginx", "list", f"a page of 20 of {middle} entries with a filter, {page} bytes", 0.35),
        ("list_unique_ratio_nginx", "unique", f"pages of 20 on average of {middle} entries, {each}", 0.12),
        ("get_throughput_ratio_nginx", "get", f"one entry, {entry} bytes; each answer counts an access", None),
    ):
        ratios = measured.ratios(ours, f"nginx {ours}")
        note = (
            f"{what}: {measured.speed(ours):.0f} by {measured.speed(f'nginx {ours}'):.0f} a second, "
            f"{spread(ratios)}; token checked; {_BESIDE}"
        )
        failed = measured.errors(ours, f"nginx {ours}")
        figures.append(_ratio(name, ratios, bar=bar, note=note, failed=failed))
    for name, kind, what in (
        ("list_flatness_100k", "list", "the query of list_throughput_ratio_nginx"),
        ("list_unique_flatness_100k", "unique", each),
    ):
        ratios = measured.ratios(f"large {kind}", f"small {kind}")
        note = (
            f"{what}: {measured.speed(f'large {kind}'):.0f} a second of {large} entries by "
            f"{measured.speed(f'small {kind}'):.0f} of {small}; by turns, {spread(ratios)}; wrk as above"
        )
        failed = measured.errors(f"large {kind}", f"small {kind}")
        figures.append(_ratio(name, ratios, bar=0.9, note=note, failed=failed))
    return figures


def _ratio(name: str, ratios: list[float], *, bar: float | None, note: str, failed: int) -> Figure:
    value = None if failed else statistics.median(ratios)
    note = f"left out: {failed} requests failed; {note}" if failed else note
    return Figure(name=name, value=value, unit="ratio", better="higher", bar=bar, note=note)


def _crowd_figures(crowd: Load) -> list[Figure]:
    note = (
        f"{crowd.requests} answers to 1,000 connections that each ask again at once, {crowd.per_second:.0f} a second, "
        f"median {crowd.p50_ms:.0f} ms; the page of 20 of list_throughput_ratio_nginx"
    )
    return [
        Figure(name="list_p99_ms_1000_clients", value=crowd.p99_ms, unit="ms", better="lower", note=note),
        Figure(name="list_errors_1000_clients", value=crowd.errors, unit="requests", better="lower", bar=0, note=note),
    ]
