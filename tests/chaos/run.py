"""Keeps a whole local stack busy while its parts are killed, frozen and cut off, and judges what has become of it.

The parts are real: functions as functions-framework serves them, each a process
of its own, a registry in another, the embedded cluster and broker behind their
sockets. One seed decides which blow falls when. Then everything is left alone,
what was lost is found again, and every promise is judged over HTTP. The exit
code is 0 when all of them held.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from image_catalog.cluster import KubernetesAPI, KubernetesTransport
from image_catalog.errors import PermanentError
from image_catalog.events import configure_logging
from image_catalog.local.knative import Clock, SystemClock
from image_catalog.local.stack import LocalStack, StackOptions
from image_catalog.testing.simulation.invariants import make_invariants

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the chaos belongs to the tests, and those are no installed package

from tests.chaos.blows import Blow, Blows, Kind, plan_blows  # noqa: E402 - the path comes first
from tests.chaos.judging import PROMISES, Judge  # noqa: E402 - the same
from tests.chaos.load import INTERVAL, Load  # noqa: E402 - the same
from tests.chaos.registry_process import RegistryProcess  # noqa: E402 - the same
from tests.chaos.telling import Outcome, table  # noqa: E402 - the same
from tests.chaos.watching import Chronicle, Post  # noqa: E402 - the same

__all__ = ["main"]

_ENVIRONMENT = {
    "IMAGE_CATALOG_RETRY_INITIAL": "PT1S",
    "IMAGE_CATALOG_RETRY_CREDENTIALS": "PT5S",
    "IMAGE_CATALOG_CIRCUIT_RECOVERY": "PT2S",
    "IMAGE_CATALOG_PROBE_INTERVAL": "PT2S",
}
"""Intervals as short as those of the local overlay's ticks: what is due within the hour is due within the run."""

_SHARE = 2 / 3
"""Of a run's seconds the blows' part; the rest is for what was lost to be found, which takes a minute at least."""

_FEW = 4
"""What is wrong still is told line by line once it is less than this."""

_LOOK_EVERY = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a run works with."""

    stack: LocalStack
    registry: RegistryProcess
    api: KubernetesAPI
    catalog: httpx.AsyncClient
    chronicle: Chronicle
    post: Post
    load: Load
    judge: Judge


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="how long it takes, about (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="repeat the blows of a run; a random seed by default")
    parser.add_argument(
        "--drain", type=int, default=300, help="seconds after which what is wrong is stuck (%(default)s)"
    )
    parser.add_argument("--keep", type=Path, default=None, help="folder that keeps the functions' logs")
    chosen = parser.parse_args(arguments)
    seed = secrets.randbelow(2**32) if chosen.seed is None else chosen.seed
    # A check that died with its function is taken over after three minutes: the longest that anything takes.
    lasting, drain = timedelta(seconds=chosen.seconds), timedelta(seconds=chosen.drain)
    _say(f"chaos for {chosen.seconds} s, seed {seed}: make chaos SECONDS={chosen.seconds} SEED={seed} deals it again")
    with Path(os.devnull).open("w") as nowhere, tempfile.TemporaryDirectory(prefix="image-catalog-chaos-") as folder:
        configure_logging(stream=nowhere)
        # asyncio warns of each write to a peer that was killed or cut off, which is what happens here all the time.
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        try:
            outcome = asyncio.run(_bounded(Path(folder), seed, lasting, drain))
        finally:
            _keep_logs(Path(folder), chosen.keep)
        left = _processes_of(folder)
    _say(table(outcome))
    for line in outcome.violations:
        _say(f"✗ {line}")
    if left:
        _say(f"✗ processes were left behind: {left}")
    _say(f"seed {seed}: " + ("a promise was broken" if outcome.violations or left else "every promise held"))
    return 1 if outcome.violations or left else 0


async def _bounded(folder: Path, seed: int, lasting: timedelta, drain: timedelta) -> Outcome:
    task = asyncio.current_task()
    assert task is not None
    # Ended from outside it leaves nothing behind either.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.timeout((lasting + drain + timedelta(minutes=2)).total_seconds()):
        return await _run(folder, seed, lasting, drain)


async def _run(folder: Path, seed: int, lasting: timedelta, drain: timedelta) -> Outcome:
    begun, clock = time.monotonic(), SystemClock()
    async with _ground(folder, seed, clock) as ground:
        _say(f"{time.monotonic() - begun:6.1f} s  the stack runs")
        blows = Blows(ground.stack, ground.registry, clock=clock, tell=_say)
        working = asyncio.create_task(ground.load.run())
        await blows.deal(plan_blows(seed, lasting=lasting * _SHARE))
        ground.load.stop()
        await working
        # What it has asked for in vain it asks for ever more rarely; a Pod that comes anew asks at once.
        await blows.strike_once(Blow(lasting * _SHARE, "reverify", Kind.KILL, timedelta(), 0))
        await _wait_ready(ground.stack, clock)
        await ground.load.want_checks()
        calm = datetime.now(UTC)
        _say("the blows have stopped")
        wrong = await _drain(ground, calm, drain, clock)
        drained = datetime.now(UTC) - calm
        entries = ground.chronicle.entries()
        return Outcome(
            seed=seed,
            struck=blows.struck,
            ledger=ground.load.ledger,
            entries=len(entries),
            changes=ground.chronicle.changes,
            missed=ground.chronicle.missed,
            post=ground.post,
            drained=drained,
            took=timedelta(seconds=time.monotonic() - begun),
            promises=(*(invariant.name for invariant in ground.judge.invariants), *PROMISES),
            violations=(*ground.chronicle.violations, *ground.post.violations, *wrong),
        )


async def _wait_ready(stack: LocalStack, clock: Clock) -> None:
    """Wait until every function takes events, also one that has just died: only at a start is that given up."""
    while True:
        try:
            await stack.ready()
        except PermanentError:
            await clock.sleep(_LOOK_EVERY)
        else:
            return


async def _drain(ground: Ground, calm: datetime, limit: timedelta, clock: Clock) -> list[str]:
    """Wait until nothing is wrong any more, and still nothing an interval later; return what stays wrong."""
    told: set[str] = set()
    while True:
        wrong = await ground.judge.judge(quiet_since=calm)
        waits = {line.partition(":")[0] for line in wrong}
        if waits != told:
            after = (datetime.now(UTC) - calm).total_seconds()
            _say(f"{after:6.1f} s  later: " + (", ".join(sorted(waits)) or "nothing is wrong any more"))
            if 0 < len(wrong) < _FEW:
                _say("\n".join(f"          {line.splitlines()[0]}" for line in wrong))
            told = waits
        if not wrong:
            await clock.sleep(INTERVAL)
            wrong = await ground.judge.judge(quiet_since=calm)
            if not wrong:
                return []
        if datetime.now(UTC) - calm > limit:
            return wrong
        await clock.sleep(_LOOK_EVERY)


@asynccontextmanager
async def _ground(folder: Path, seed: int, clock: Clock) -> AsyncIterator[Ground]:
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(RegistryProcess(folder / "registry"))
        invariants = make_invariants(outside=True)
        post = Post(invariants)
        options = StackOptions(folder=folder / "stack", registry_url=registry.url, environment=_ENVIRONMENT)
        local = await stack.enter_async_context(LocalStack(options, observer=post))
        assert local.kubernetes is not None
        transport = await KubernetesTransport.connect(kubeconfig=local.kubeconfig)
        api = KubernetesAPI(transport=transport)
        stack.push_async_callback(api.close)
        headers = {"Authorization": f"Bearer {local.kubernetes.cluster.admin_token}"}
        url = f"{local.catalog_url}/api/v1alpha1/catalog"
        catalog = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=10)
        )
        chronicle = Chronicle(api, invariants)
        rng = random.Random(seed + 1)  # noqa: S311 - the seed is what repeats a run
        load = Load(api=api, catalog=catalog, registry_url=registry.url, chronicle=chronicle, clock=clock, rng=rng)
        judge = Judge(
            api=api,
            registry_url=registry.url,
            catalog=catalog,
            ledger=load.ledger,
            chronicle=chronicle,
            post=post,
            invariants=invariants,
            database=folder / "stack" / "audit.db",
        )
        watching = asyncio.create_task(chronicle.run())
        stack.push_async_callback(_end, watching)
        await chronicle.wait_filled()
        yield Ground(local, registry, api, catalog, chronicle, post, load, judge)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _keep_logs(folder: Path, where: Path | None) -> None:
    logs = folder / "stack" / "logs"
    if where is not None and logs.is_dir():
        where.mkdir(parents=True, exist_ok=True)
        for log in logs.iterdir():
            (where / log.name).write_bytes(log.read_bytes())


def _processes_of(folder: str) -> list[int]:
    """Return the processes that were started for a run and still live."""
    left: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        if folder.encode() in told and int(process.name) != os.getpid():
            left.append(int(process.name))
    return left


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
