"""The small parts: paths, lines, merge patches, conflict retries."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.cluster import CATALOG_IMAGE, CATALOG_REGISTRY, SECRET, retry_on_conflict, split_lines
from image_catalog.cluster._merge import merge_patch
from image_catalog.errors import ClusterUnavailableError, WriteConflictError
from image_catalog.testing.simulation.virtual_time import VirtualLoop, run_virtually


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(SECRET.path(namespace="a", name="s"), "/api/v1/namespaces/a/secrets/s", id="core"),
        pytest.param(SECRET.path(), "/api/v1/secrets", id="all namespaces"),
        pytest.param(
            CATALOG_IMAGE.path(namespace="a", name="i", subresource="status"),
            "/apis/automotive.sdv.cloud.redhat.com/v1alpha1/namespaces/a/catalogimages/i/status",
            id="subresource",
        ),
        pytest.param(
            CATALOG_REGISTRY.path(namespace="ignored", name="r"),
            "/apis/automotive.sdv.cloud.redhat.com/v1alpha1/catalogregistries/r",
            id="cluster-scoped",
        ),
        pytest.param(
            SECRET.path(namespace="a", name="../../x?y"), "/api/v1/namespaces/a/secrets/..%2F..%2Fx%3Fy", id="hostile"
        ),
    ],
)
def test_path_of_an_object(path: str, expected: str) -> None:
    assert path == expected


async def chunks_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
async def test_lines_do_not_depend_on_how_the_network_cuts_them(body: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(body)]
    chunks = [body[a:b] for a, b in itertools.pairwise(edges)]
    lines = [line async for line in split_lines(chunks_of(*chunks))]
    assert lines == [line for line in body.split(b"\n") if line.strip()]


async def test_line_without_an_end_is_refused_at_the_limit() -> None:
    with pytest.raises(ClusterUnavailableError, match="longer than 10 bytes"):
        [line async for line in split_lines(chunks_of(b"12345", b"678901"), limit=10)]


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """Follow the pseudo code of RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_merge_patch(result.get(key), value)
    return result


leaves = st.one_of(st.booleans(), st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=3))
values = st.recursive(leaves, lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=4), max_leaves=12)
objects = st.dictionaries(st.text(max_size=2), values, max_size=4)


@given(objects, objects)
def test_merge_patch_turns_one_object_into_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert apply_merge_patch(before, merge_patch(before, after)) == after


@given(objects)
def test_merge_patch_of_equal_objects_is_empty(value: dict[str, Any]) -> None:
    assert merge_patch(value, value) == {}


class Counter:
    """An object with a version, written by us and by another writer."""

    def __init__(self, *, rivals: int) -> None:
        self.version = 0
        self.rivals = rivals
        self.reads = 0

    async def read(self) -> int | None:
        self.reads += 1
        return self.version

    async def write(self, seen: int, wanted: int) -> int | None:
        if self.rivals:
            self.rivals -= 1
            self.version += 100
        if seen != self.version:
            raise WriteConflictError("stale")
        self.version = wanted
        return wanted


async def test_change_is_decided_again_on_every_fresh_object() -> None:
    counter = Counter(rivals=3)
    seen: list[int] = []

    def change(current: int) -> int:
        seen.append(current)
        return current + 1

    assert await retry_on_conflict(read=counter.read, change=change, write=counter.write) == 301
    assert seen == [0, 100, 200, 300]


async def test_object_read_a_moment_ago_saves_a_read() -> None:
    counter = Counter(rivals=0)
    counter.version = 5
    written = await retry_on_conflict(read=counter.read, change=lambda c: c + 1, write=counter.write, start=5)
    assert (written, counter.reads) == (6, 0)


async def test_stale_start_is_read_again() -> None:
    counter = Counter(rivals=0)
    counter.version = 7
    written = await retry_on_conflict(read=counter.read, change=lambda c: c + 1, write=counter.write, start=5)
    assert (written, counter.reads) == (8, 1)


async def test_nothing_to_do_writes_nothing() -> None:
    counter = Counter(rivals=0)
    assert await retry_on_conflict(read=counter.read, change=lambda _: None, write=counter.write) == 0


async def test_absent_object_is_none() -> None:
    async def absent() -> int | None:
        return None

    assert await retry_on_conflict(read=absent, change=lambda c: c, write=Counter(rivals=0).write) is None


async def test_change_may_abandon() -> None:
    def change(_: int) -> int:
        raise LookupError

    with pytest.raises(LookupError):
        await retry_on_conflict(read=Counter(rivals=0).read, change=change, write=Counter(rivals=0).write)


async def test_endless_conflict_ends() -> None:
    counter = Counter(rivals=1000)
    with pytest.raises(WriteConflictError):
        await retry_on_conflict(read=counter.read, change=lambda c: c + 1, write=counter.write, attempts=4)
    assert counter.reads == 4


@pytest.mark.parametrize("seed", range(4))
def test_pauses_between_conflicts_grow_by_chance_and_have_an_end(seed: int) -> None:
    """Writers that met once must not meet again and again, and nobody is kept for long."""
    times: list[float] = []

    async def rival(loop: VirtualLoop) -> None:
        counter = Counter(rivals=1000)

        async def read() -> int | None:
            times.append(loop.time())
            return await counter.read()

        with pytest.raises(WriteConflictError):
            await retry_on_conflict(
                read=read,
                change=lambda c: c + 1,
                write=counter.write,
                rng=random.Random(seed),  # noqa: S311 - a test
            )

    run_virtually(rival)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert len(pauses) == 7
    assert len({round(pause, 6) for pause in pauses}) == 7
    assert all(0 <= pause <= min(0.5, 0.01 * 2**number) for number, pause in enumerate(pauses, start=1))
