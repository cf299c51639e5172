"""How fast the API says which image to flash, beside nginx that serves the same bytes from a file."""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlencode

import httpx
from tests.bench.api_process import ApiProcess
from tests.bench.figures import Figure, spread
from tests.bench.filled_cluster import FilledCluster
from tests.bench.nginx import Nginx
from tests.bench.wrk import Cores, Load, Wrk

from image_catalog.local.clients import IN_CLEAR
from image_catalog.testing.catalog_samples import DISTROS, TAGS, TARGETS

__all__ = ["RESOLVES", "measure_resolves"]

RESOLVES = ("resolve_throughput_ratio_nginx", "resolve_unique_ratio_nginx")
"""Names of the figures, for where they cannot be measured."""

_RESOLVE = "/api/v1alpha1/catalog/resolve"
_LIMITS = range(15, 26)
"""Losers that are told of: around 20, as when nobody says how many."""

_AT_ONCE = 50
"""Questions that are tried at once, before anything is measured."""

_BESIDE = (
    "wrk with one thread and 100 connections on a core of its own; by turns on the other core with nginx, one worker, "
    "the hot answer's bytes as a static file"
)


async def measure_resolves(
    folder: Path,
    cluster: FilledCluster,
    *,
    entries: int,
    cores: Cores,
    rounds: int,
    seconds: float | None,
    questions: int,
) -> list[Figure]:
    """Measure the call with one question over and over, and with every question another.

    Parameters
    ----------
    folder
        Where API, nginx and wrk keep their files.
    cluster
        Holds the entries.
    entries
        How many there are.
    cores
        Where servers and load run.
    rounds
        How many times everything is run by turns.
    seconds
        How long one run lasts, see `Wrk.different`.
    questions
        How many questions at most are asked, each for several numbers of losers.
    """
    # With a database: whoever is given an image is recorded, as in a cluster.
    audit = {"IMAGE_CATALOG_DATABASE_URL": f"sqlite:///{folder / 'audit.db'}"}
    wrk = Wrk(folder / "wrk", core=cores.load, authorization=f"Bearer {cluster.token}")
    served = ApiProcess(cluster, log=folder / "api.log", command=tuple(cores.pinned()), environment=audit)
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(served)
        client = httpx.AsyncClient(base_url=api.url, headers=api.headers, verify=IN_CLEAR, trust_env=False, timeout=30)
        paths = await _paths(await stack.enter_async_context(client), most=questions)
        body = (await client.get(paths[0])).raise_for_status().content
        nginx = await stack.enter_async_context(Nginx(folder / "nginx", {_RESOLVE: body}, cores=cores))
        file = folder / "paths"
        file.write_text("".join(f"{path}\n" for path in paths))
        seen: dict[str, list[Load]] = {"nginx": [], "hot": [], "unique": []}
        spent, first = dict.fromkeys(seen, 0.0), 0
        for number in range(rounds):
            for name in seen if number % 2 == 0 else reversed(seen):
                server = nginx if name == "nginx" else api
                before = server.cpu_seconds
                if name == "unique":
                    load = await wrk.different(api.url, file, first=first, seconds=seconds)
                    # The next round asks for what was not asked for yet.
                    first += load.requests + 100
                else:
                    load = await wrk.same(server.url + paths[0], seconds=seconds)
                seen[name].append(load)
                spent[name] += server.cpu_seconds - before
    return _figures(seen, spent, size=len(body), entries=entries)


async def _paths(client: httpx.AsyncClient, *, most: int) -> list[str]:
    """Return a path for each question that has an answer, and number of losers, in random order.

    To find out which have one, each is asked once: an entry is read when it is first looked at, and again when it
    has changed, so that an API which has run for a while has read them.
    """
    chance = random.Random(0)  # noqa: S311 - the same questions in every run
    asked = list(_questions())
    chance.shuffle(asked)
    asked, answers = asked[:most], []
    for at in range(0, len(asked), _AT_ONCE):
        some = asked[at : at + _AT_ONCE]
        answers += await asyncio.gather(
            *(client.get(_RESOLVE, params=[*each, ("limit", str(_LIMITS[-1]))]) for each in some)
        )
    answered = [each for each, answer in zip(asked, answers, strict=True) if answer.is_success]
    paths = [f"{_RESOLVE}?{urlencode([*each, ('limit', str(limit))])}" for each in answered for limit in _LIMITS]
    chance.shuffle(paths)
    return paths


def _questions() -> Iterator[list[tuple[str, str]]]:
    for target, distro, architecture, tag in itertools.product(
        TARGETS, (None, *DISTROS), (None, "arm64", "amd64"), (None, *TAGS)
    ):
        wanted = (("target", target), ("distro", distro), ("architecture", architecture), ("tag", tag))
        yield [("allNamespaces", "true"), *((name, value) for name, value in wanted if value is not None)]


def _figures(seen: dict[str, list[Load]], spent: dict[str, float], *, size: int, entries: int) -> list[Figure]:
    figures = []
    for name, kind, what in (
        ("resolve_throughput_ratio_nginx", "hot", "one board over and over"),
        ("resolve_unique_ratio_nginx", "unique", "each question differs by board, distro, architecture, tag or limit"),
    ):
        ratios = [a.per_second / b.per_second for a, b in zip(seen[kind], seen["nginx"], strict=True)]
        speed, reference = (statistics.median(load.per_second for load in seen[each]) for each in (kind, "nginx"))
        ours, its = (spent[name] / max(sum(load.requests for load in seen[name]), 1) * 1e6 for name in (kind, "nginx"))
        failed = sum(load.errors for each in (kind, "nginx") for load in seen[each])
        note = (
            f"{what}, of {entries:,} entries, {size} bytes: {speed:.0f} by {reference:.0f} a second, {spread(ratios)}; "
            f"{ours:.0f} µs of CPU for each answer by {its:.0f}; token checked and callers recorded; {_BESIDE}"
        )
        value = None if failed else statistics.median(ratios)
        note = f"left out: {failed} requests failed; {note}" if failed else note
        figures.append(Figure(name=name, value=value, unit="ratio", better="higher", note=note))
    return figures
