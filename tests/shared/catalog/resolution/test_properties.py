"""What holds of every choice, whatever entries there are and whatever is wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from image_catalog.catalog.index import Index
from image_catalog.catalog.resolution import (
    Candidate,
    CandidateCache,
    IndexedBoard,
    IndexedRecalls,
    RecallNote,
    Resolution,
    Wish,
    resolve,
)
from image_catalog.models import format_time
from image_catalog.testing.boards import ListedBoard
from image_catalog.testing.catalog_samples import sample_images

EPOCH = datetime(2026, 6, 1, tzinfo=UTC)
DIGESTS = [f"sha256:{word * 64}" for word in "abcdef"]
TIMES = [format_time(EPOCH + timedelta(seconds=seconds)) for seconds in range(4)]

digests = st.sampled_from(DIGESTS)
indexes = st.fixed_dictionaries(
    {
        "resolvedDigest": digests,
        "platformVariants": st.lists(
            st.fixed_dictionaries({"architecture": st.sampled_from(("arm64", "amd64")), "digest": digests}),
            min_size=1,
            max_size=3,
        ),
    }
)

# Few of these are taken at once, so that an answer is left in most of the examples.
DEVIATIONS: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("metadata", "generation"): st.just(2),
    ("spec", "digest"): digests,
    ("spec", "tags"): st.sampled_from(([], ["gold"], ["lts", "gold"])),
    ("said", "architecture"): st.sampled_from(("amd64", "aarch64", None)),
    ("said", "distro"): st.sampled_from(("cs10", None)),
    ("said", "distroVersion"): st.just("9.5"),
    ("said", "buildMode"): st.just("package"),
    ("said", "bootcCapable"): st.sampled_from((True, None)),
    ("said", "targets"): st.sampled_from(
        ([{"name": "qemu"}], [{"name": "rpi4", "verified": True}], [{"name": "rpi4"}, {"name": "qemu"}])
    ),
    ("status", "phase"): st.sampled_from(("Unavailable", "Pending", "Failed")),
    ("status", "publishedAt"): st.just(None),
    ("status", "registryMetadata"): indexes | st.just({}),
    ("status", "targets"): st.booleans().map(lambda passed: [{"name": "rpi4", "verified": passed, "tested": True}]),
    ("status", "availability"): st.sampled_from(({}, {"last30d": 0.5})),
}
CONSTRAINTS: dict[str, st.SearchStrategy[Any]] = {
    "namespace": st.just("default"),
    "distro": st.sampled_from(("cs9", "cs10")),
    "distro_version": st.sampled_from(("9.4", "9.5")),
    "architecture": st.sampled_from(("arm64", "amd64")),
    "tags": st.sampled_from((("lts",), ("lts", "gold"))),
    "build_mode": st.just("image"),
    "bootc_capable": st.booleans(),
    "verified_only": st.just(value=True),
    "min_availability": st.sampled_from((0.0, 0.75)),
    "published_since": st.just(EPOCH + timedelta(seconds=2)),
}


@st.composite
def entries(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """Make an entry that deviates in some fields from one that fits most wishes."""
    parts: dict[str, dict[str, Any]] = {
        "metadata": {
            "name": f"e{number}",
            "namespace": "team-b" if number % 3 == 1 else "default",
            "uid": f"u{number}",
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": TIMES[0],
        },
        "spec": {"registryUrl": "quay.io/acme/x:1", "digest": None, "tags": ["lts"]},
        "said": {
            "architecture": "arm64",
            "distro": "cs9",
            "distroVersion": "9.4",
            "buildMode": "image",
            "bootcCapable": False,
            "targets": [{"name": "rpi4"}],
        },
        "status": {
            "observedGeneration": 1,
            "phase": "Available",
            "publishedAt": draw(st.sampled_from(TIMES)),
            "registryMetadata": {"resolvedDigest": draw(digests)},
            "targets": [],
            "availability": {"last30d": 1.0},
        },
    }
    for where, field in draw(st.lists(st.sampled_from(list(DEVIATIONS)), max_size=3)):
        parts[where][field] = draw(DEVIATIONS[where, field])
    said = {key: value for key, value in parts.pop("said").items() if value is not None}
    return parts | {"spec": parts["spec"] | {"metadata": said}}


catalogs = st.integers(0, 5).flatmap(lambda count: st.tuples(*map(entries, range(count)))).map(list)


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    """Make a wish for this or that."""
    chosen = draw(st.lists(st.sampled_from(list(CONSTRAINTS)), max_size=2, unique=True))
    target = draw(st.sampled_from(("rpi4", "rpi4", "rpi4", "qemu")))
    return replace(Wish(target=target), **{name: draw(CONSTRAINTS[name]) for name in chosen})


class Recalled:
    """Says of a few digests that they are recalled, in every namespace."""

    def __init__(self, recalled: set[str]) -> None:
        self.recalled = recalled

    def find(self, namespace: str, digest: str) -> RecallNote | None:
        del namespace
        return RecallNote(digest=digest, message="recalled") if digest in self.recalled else None


recalls = st.sets(digests, max_size=2).map(Recalled)


def choose(wish: Wish, objects: list[dict[str, Any]], recalled: Recalled, limit: int = 500) -> Resolution:
    return resolve(wish, ListedBoard(map(Candidate.of_object, objects), wish), recalled, limit=limit)


def identity(found: Resolution) -> tuple[str, str] | None:
    return None if found.chosen is None else (found.chosen.candidate.namespace, found.chosen.candidate.name)


@settings(max_examples=60)
@given(wish=wishes(), objects=catalogs, recalled=recalls, data=st.data())
def test_the_order_of_the_entries_does_not_matter(
    wish: Wish, objects: list[dict[str, Any]], recalled: Recalled, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(objects))
    assert choose(wish, objects, recalled) == choose(wish, list(shuffled), recalled)


@settings(max_examples=60)
@given(wish=wishes(), objects=catalogs.filter(bool), recalled=recalls)
def test_another_image_leaves_the_answer_or_becomes_it(
    wish: Wish, objects: list[dict[str, Any]], recalled: Recalled
) -> None:
    *before, added = objects
    answer, after = identity(choose(wish, before, recalled)), identity(choose(wish, objects, recalled))
    assert after in {answer, (added["metadata"]["namespace"], added["metadata"]["name"])}


@settings(max_examples=40)
@given(wish=wishes(), objects=catalogs, recalled=recalls)
def test_every_candidate_is_the_one_or_lost_once(wish: Wish, objects: list[dict[str, Any]], recalled: Recalled) -> None:
    found = choose(wish, objects, recalled)
    told = [(each.candidate.namespace, each.candidate.name) for each in found.rejected]
    if found.chosen is not None:
        told.append((found.chosen.candidate.namespace, found.chosen.candidate.name))
    for_the_board = [
        (obj["metadata"]["namespace"], obj["metadata"]["name"])
        for obj in objects
        if wish.namespace in {None, obj["metadata"]["namespace"]}
        and wish.target in {target["name"] for target in obj["spec"]["metadata"]["targets"]}
    ]
    assert sorted(told) == sorted(for_the_board)
    assert found.remaining == 0


@settings(max_examples=100)
@given(wish=wishes(), objects=catalogs, recalled=recalls)
def test_the_answer_is_all_that_was_asked_for(wish: Wish, objects: list[dict[str, Any]], recalled: Recalled) -> None:
    chosen = choose(wish, objects, recalled).chosen
    if chosen is None:
        return
    (obj,) = [o for o in objects if (o["metadata"]["namespace"], o["metadata"]["name"]) == (
        chosen.candidate.namespace, chosen.candidate.name)]  # fmt: skip
    said, status = obj["spec"]["metadata"], obj["status"]
    registry = status["registryMetadata"]
    assert status["phase"] == "Available"
    assert obj["metadata"]["generation"] == 1
    assert wish.target in {target["name"] for target in said["targets"]}
    assert wish.namespace in {None, obj["metadata"]["namespace"]}
    for wanted, field in (
        (wish.distro, "distro"),
        (wish.distro_version, "distroVersion"),
        (wish.build_mode, "buildMode"),
    ):
        assert wanted in {None, said.get(field)}
    assert wish.bootc_capable in {None, said.get("bootcCapable")}
    assert set(wish.tags) <= set(obj["spec"]["tags"])
    assert obj["spec"]["digest"] in {None, registry["resolvedDigest"]}
    variants = registry.get("platformVariants", [])
    assert chosen.platform.digest in {variant["digest"] for variant in variants} or not variants
    assert chosen.index_digest == (registry["resolvedDigest"] if variants else None)
    assert not recalled.recalled & {chosen.platform.digest, registry["resolvedDigest"]}
    assert chosen.reference == f"quay.io/acme/x@{chosen.platform.digest}"
    if wish.architecture is not None:
        assert chosen.platform.architecture == wish.architecture
    if wish.min_availability is not None:
        assert status["availability"]["last30d"] >= wish.min_availability
    if wish.published_since is not None:
        published = status["publishedAt"] or obj["metadata"]["creationTimestamp"]
        assert datetime.fromisoformat(published) >= wish.published_since
    if wish.verified_only:
        assert wish.target in {board["name"] for board in status["targets"] if board["verified"]}


@settings(max_examples=60)
@given(wish=wishes(), objects=catalogs, data=st.data(), limit=st.integers(0, 4))
def test_the_index_gives_what_a_list_gives(
    wish: Wish, objects: list[dict[str, Any]], data: st.DataObject, limit: int
) -> None:
    index, cache = Index(), CandidateCache()
    for obj in objects:
        recalled = data.draw(
            st.lists(st.fixed_dictionaries({"digest": digests, "namespace": st.just("default")}), max_size=1)
        )
        obj["status"]["recalls"] = recalled
        index.put(obj)
    known = IndexedRecalls(index)
    listed = resolve(wish, ListedBoard(map(Candidate.of_object, objects), wish), known, limit=limit)
    for _ in range(2):  # The second time from what was kept.
        assert resolve(wish, IndexedBoard(index, wish, cache), known, limit=limit) == listed


def test_the_index_gives_the_same_over_many_pages() -> None:
    index, objects = Index(), list(sample_images(600, namespaces=("default",)))
    for obj in objects:
        index.put(obj)
    candidates, cache = [Candidate.of_object(obj) for obj in objects], CandidateCache()
    for wish in (
        Wish(target="qemu"),
        Wish(target="qemu", architecture="arm64"),
        Wish(target="qemu", verified_only=True),
        Wish(target="qemu", min_availability=1.0),
    ):
        listed = resolve(wish, ListedBoard(candidates, wish), IndexedRecalls(index), limit=500)
        assert len(listed.rejected) > 100
        assert resolve(wish, IndexedBoard(index, wish, cache), IndexedRecalls(index), limit=500) == listed
