"""Measures everything side by side in one run; prints a table and writes ``build/bench.json``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import stamina
from rich.console import Console

from image_catalog.events import configure_logging

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the measurements belong to the tests, and those are no installed package

from tests.bench.audit_appends import measure_audit_appends  # noqa: E402 - the path comes first
from tests.bench.audit_past import measure_past  # noqa: E402 - the same
from tests.bench.bursts import measure_bursts  # noqa: E402 - the same
from tests.bench.catalog_api import measure_catalog_api  # noqa: E402 - the same
from tests.bench.cold_starts import measure_cold_starts  # noqa: E402 - the same
from tests.bench.downloads import measure_downloads  # noqa: E402 - the same
from tests.bench.figures import Figure, document, table  # noqa: E402 - the same
from tests.bench.hostile_memory import measure_hostile_memory  # noqa: E402 - the same
from tests.bench.outage import measure_outage  # noqa: E402 - the same
from tests.bench.publishing import measure_publishing  # noqa: E402 - the same
from tests.bench.scale import measure_scale  # noqa: E402 - the same
from tests.bench.sharing import Shared  # noqa: E402 - the same
from tests.bench.verify_requests import measure_verify_requests  # noqa: E402 - the same
from tests.bench.verify_throughput import measure_verify_throughput  # noqa: E402 - the same

__all__ = ["main"]

_PAGE = 160
"""Columns of the table where no terminal says otherwise."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    pairs: int = 7
    """Starts of each function, and rounds of a comparison."""
    builds: int = 200
    """Builds one after the other, and as many at once."""
    bursts: tuple[int, int] = (500, 5_000)
    """Builds of the bursts whose memory is compared; the second is timed."""
    turn: float = 15
    """Seconds of a turn with a registry that hangs, and of one without."""
    entries: int = 400
    """Entries of a round of re-verifications."""
    catalogs: tuple[int, int, int] = (1_000, 10_000, 100_000)
    """Entries of the catalogs that the API is asked for."""
    loads: int = 5
    """Rounds of the load generator."""
    seconds: float | None = 0.8
    """How long it runs each time; without, until each connection has had an answer."""
    filters: int = 60
    """Filters of the queries that differ."""
    questions: int = 600
    """Boards, with what is wanted of their images, that are asked for."""
    standing: int = 1_000
    """Entries that stand on a registry that dies."""
    outage: int = 60
    """Minutes that it stays dead."""
    changes: int = 200
    """Changes that are looked for in a list."""
    appends: int = 2_000
    """Records that each process appends to the audit."""
    recorded: int = 100_000
    """Records in the audit of which the catalog of the past is made."""
    writers: int = 4
    """How many processes do so at once."""
    downloaded: tuple[int, int] = (512 * 2**20, 2 * 2**30)
    """Bytes that are downloaded beside curl, and of what is cut."""
    hostile: int | None = None
    """Hostile registries that are verified at once; all that there are."""
    checked: tuple[int, int] = (20, 120)
    """Entries that are checked at once, few and many: what one more costs."""
    kubeconfig: Path | None = None
    """A real cluster to be filled, in which no function runs; an embedded one without."""


TINY = Sizes(
    pairs=1,
    builds=2,
    bursts=(2, 4),
    turn=0.5,
    entries=8,
    catalogs=(400, 600, 600),
    loads=1,
    seconds=None,
    filters=4,
    questions=20,
    standing=6,
    outage=8,
    changes=1,
    appends=8,
    recorded=400,
    writers=1,
    downloaded=(2**20, 4 * 2**20),
    hostile=4,
    checked=(1, 3),
)
"""Shows that everything can be measured; the numbers mean nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurements that were asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="what to measure; everything by default")
    parser.add_argument("--tiny", action="store_true", help="measure next to nothing, to see that it can be done")
    parser.add_argument("--kubeconfig", type=Path, help="fill a real cluster for the part 'scale', not an embedded one")
    parser.add_argument("--entries", type=int, help="of the largest catalog, for a real cluster that is to hold fewer")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench.json")
    chosen = parser.parse_args(arguments)
    sizes = replace(TINY if chosen.tiny else Sizes(), kubeconfig=chosen.kubeconfig)
    if chosen.entries is not None:
        sizes = replace(sizes, catalogs=(*sizes.catalogs[:2], chosen.entries))
    with Path(os.devnull).open("w") as nowhere:
        # What runs in this process writes its log as in a cluster, but to nobody.
        configure_logging(stream=nowhere)
        # To look again is no news, and telling it would be measured.
        stamina.instrumentation.set_on_retry_hooks(())
        figures = asyncio.run(_measure(chosen.parts or list(PARTS), sizes))
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_bytes(orjson.dumps(document(figures), option=orjson.OPT_INDENT_2))
    console = Console(width=None if sys.stdout.isatty() else _PAGE)
    console.print(table(figures))
    return 0


async def _measure(parts: Sequence[str], sizes: Sizes) -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="image-catalog-bench-") as started:
        async with Shared(Path(started), once=sizes.pairs == 1) as shared:
            for name in parts:
                sys.stderr.write(f"measuring {name} …\n")
                with tempfile.TemporaryDirectory(prefix="image-catalog-bench-") as folder:
                    figures += await PARTS[name](Path(folder), sizes, shared)
    return figures


PARTS: dict[str, Callable[[Path, Sizes, Shared], Awaitable[list[Figure]]]] = {
    "publishing": lambda _, sizes, shared: measure_publishing(shared, builds=sizes.builds, whole=sizes.pairs > 1),
    "bursts": lambda _, sizes, shared: measure_bursts(
        shared,
        small=sizes.bursts[0],
        large=sizes.bursts[1],
        seconds=sizes.turn,
        pairs=min(sizes.pairs, 3),
        whole=sizes.pairs > 1,
    ),
    "verify-requests": lambda folder, *_: measure_verify_requests(folder),
    "verify-throughput": lambda folder, sizes, _: measure_verify_throughput(
        folder, entries=sizes.entries, pairs=sizes.pairs
    ),
    "outage": lambda folder, sizes, _: measure_outage(folder, entries=sizes.standing, minutes=sizes.outage),
    "verify-memory": lambda folder, sizes, _: measure_hostile_memory(folder, most=sizes.hostile),
    "audit-appends": lambda folder, sizes, _: measure_audit_appends(
        folder, processes=sizes.writers, records=sizes.appends, rounds=min(sizes.loads, 3)
    ),
    "audit-past": lambda folder, sizes, _: measure_past(folder, records=sizes.recorded, rounds=sizes.pairs),
    "downloads": lambda folder, sizes, _: measure_downloads(
        folder, size=sizes.downloaded[0], large=sizes.downloaded[1], pairs=sizes.pairs
    ),
    "catalog-api": lambda folder, sizes, shared: measure_catalog_api(
        folder,
        shared,
        sizes=sizes.catalogs,
        rounds=sizes.loads,
        seconds=sizes.seconds,
        filters=sizes.filters,
        questions=sizes.questions,
        changes=sizes.changes,
        pairs=1 if sizes.pairs == 1 else 2 * sizes.pairs + 1,
    ),
    "scale": lambda folder, sizes, shared: measure_scale(
        folder,
        shared,
        entries=sizes.catalogs[2],
        ticks=sizes.pairs,
        verified=sizes.checked,
        kubeconfig=sizes.kubeconfig,
    ),
    "cold-starts": lambda folder, sizes, _: measure_cold_starts(folder, pairs=sizes.pairs),
}
"""What can be measured, in the order of the table."""


if __name__ == "__main__":
    sys.exit(main())
