"""What a query finds, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from image_catalog.catalog.index import Entry, Index, Position, Query, Sort
from image_catalog.models.names import GROUP
from image_catalog.testing.catalog_samples import sample_images

MakeImage = Callable[..., dict[str, Any]]


def index_of(*objects: dict[str, Any]) -> Index:
    index = Index()
    for obj in objects:
        assert index.put(obj)
    return index


@cache
def large_index() -> Index:
    """Return an index of several blocks in each order, to be read."""
    return index_of(*sample_images(1_000))


def names(index: Index, query: Query) -> list[str]:
    return [entry.name for entry in index.find(query).entries]


def test_an_image_is_found_by_every_target_and_under_any_name_of_its_architecture(make_image: MakeImage) -> None:
    targets = [{"name": "qemu"}, {"name": "rcar_s4"}]
    index = index_of(make_image("one", architecture="aarch64", targets=targets), make_image("other"))

    assert names(index, Query(target="rcar_s4")) == ["one"]
    assert names(index, Query(target="qemu", architecture="arm64")) == ["one"]
    assert names(index, Query(target="qemu", architecture="aarch64")) == ["one"]
    assert names(index, Query(target="qemu", architecture="amd64")) == []


def test_a_multi_arch_image_is_found_by_each_of_its_platforms(make_image: MakeImage) -> None:
    image = make_image("one", architecture="arm64")
    variants = [{"architecture": "arm64"}, {"architecture": "amd64"}, {"architecture": ""}, "odd"]
    image["status"]["registryMetadata"] = {"isMultiArch": True, "platformVariants": variants}
    index = index_of(image)

    assert names(index, Query(architecture="amd64")) == names(index, Query(architecture="arm64")) == ["one"]


def test_the_registry_s_word_is_found_by_where_a_person_s_differs(make_image: MakeImage) -> None:
    image = make_image("one", distro="cs9", bootcCapable=False, targets=[{"name": "qemu"}])
    annotations = {f"{GROUP}/distro": "cs10", f"{GROUP}/target": "rcar", "com.redhat.automotive.bootc-capable": "true"}
    image["status"]["registryMetadata"] = {"annotations": annotations}
    index = index_of(image)

    assert names(index, Query(distro="cs10", target="rcar", bootc_capable=True)) == ["one"]
    assert names(index, Query(distro="cs9")) == names(index, Query(target="qemu")) == []


_PUSHED = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("place", "found"),
    [
        pytest.param({"tag": "1"}, ["tagged"], id="tag"),
        pytest.param({"tag": "latest"}, ["bare"], id="default tag"),
        pytest.param({"digest": _PUSHED}, ["bare", "by-digest", "pinned"], id="digest"),
        pytest.param({"tag": "1", "digest": _PUSHED}, ["bare", "by-digest", "pinned", "tagged"], id="tag and digest"),
        pytest.param({}, ["bare", "by-digest", "pinned", "tagged"], id="all of the repository"),
        pytest.param({"tag": "nobody's"}, [], id="tag of nobody"),
    ],
)
def test_a_push_finds_who_names_its_place_or_holds_its_content(
    make_image: MakeImage, place: dict[str, str], found: list[str]
) -> None:
    pinned = make_image("pinned", url="quay.io/acme/os:2", namespace="other")
    pinned["spec"]["digest"] = _PUSHED
    bare = make_image("bare", url="quay.io:443/acme/os")
    bare["status"]["registryMetadata"] = {"resolvedDigest": _PUSHED}
    elsewhere = make_image("elsewhere", url="quay.io/acme/os2:1")
    elsewhere["spec"]["digest"] = _PUSHED
    by_digest = make_image("by-digest", url=f"quay.io/acme/os@{_PUSHED}")
    tagged = make_image("tagged", url="QUAY.io/acme/os:1")
    index = index_of(pinned, bare, elsewhere, by_digest, tagged, make_image("odd", url="no reference"))

    assert sorted(entry.name for entry in index.of_push("quay.io/acme/os", **place)) == found


def test_an_entry_that_has_gone_elsewhere_is_not_found_where_it_was(make_image: MakeImage) -> None:
    index = index_of(make_image("one", url="quay.io/acme/os:1"), make_image("one", url="quay.io/acme/other:1"))

    assert index.of_push("quay.io/acme/os") == ()
    assert [entry.name for entry in index.of_push("quay.io/acme/other", tag="1")] == ["one"]


@pytest.mark.parametrize(
    "url", ["docker.io/fedora", "docker.io/library/fedora:latest", "index.docker.io:443/library/fedora"]
)
def test_a_registry_url_finds_the_image_in_every_spelling(make_image: MakeImage, url: str) -> None:
    index = index_of(make_image("one", url="docker.io/library/fedora"), make_image("other"))

    assert names(index, Query(registry_url=url)) == ["one"]


def test_every_tag_that_is_asked_for_must_be_there(make_image: MakeImage) -> None:
    index = index_of(make_image("a", tags=("x", "y")), make_image("b", tags=("x",)))

    assert names(index, Query(tags=("x",))) == ["a", "b"]
    assert names(index, Query(tags=("x", "y"))) == ["a"]
    assert names(index, Query(tags=("x", "nobody's"))) == []


def test_an_entry_without_a_phase_is_pending(make_image: MakeImage) -> None:
    index = index_of(make_image("one", phase=None))

    assert names(index, Query(phase="Pending")) == ["one"]


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        pytest.param("E", ["one", "three"], id="one-letter-in-any-case"),
        pytest.param("ght", ["one"], id="part-of-a-tag"),
        pytest.param("quay.io/Lab/t", ["three", "two"], id="part-of-the-url"),
        pytest.param("three2", [], id="never-across-two-texts"),
        pytest.param("ree:1", ["three"], id="more-than-three-letters"),
        pytest.param("", ["one", "three", "two"], id="nothing-asked"),
    ],
)
def test_a_part_of_name_url_or_tag_is_found(make_image: MakeImage, sought: str, found: list[str]) -> None:
    index = index_of(
        make_image("one", tags=("Nightly",), url="host.test/o:1"), make_image("two"), make_image("three", tags=("2",))
    )

    assert names(index, Query(q=sought)) == found
    assert names(index, Query(q=sought, namespace="lab")) == found


def test_the_newest_comes_first_and_what_has_no_value_last_in_both_directions(make_image: MakeImage) -> None:
    index = index_of(
        make_image("old", published="2026-01-01T00:00:00Z"),
        make_image("new", published="2026-03-01T00:00:00+00:00"),
        make_image("unknown", published=None),
        make_image("odd", published="yesterday"),
    )

    assert names(index, Query()) == ["new", "old", "odd", "unknown"]
    assert names(index, Query(descending=False)) == ["old", "new", "unknown", "odd"]


def test_an_entry_that_was_never_published_counts_from_its_creation(make_image: MakeImage) -> None:
    image = make_image("made", published=None)
    image["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    index = index_of(make_image("older", published="2026-01-01T00:00:00Z"), image)

    assert names(index, Query()) == ["made", "older"]


def test_sizes_and_names_sort_as_one_expects(make_image: MakeImage) -> None:
    index = index_of(make_image("b", size=3), make_image("a", size=7), make_image("c"))

    assert names(index, Query(sort=Sort.SIZE)) == ["a", "b", "c"]
    assert names(index, Query(sort=Sort.NAME)) == ["a", "b", "c"]
    assert names(index, Query(sort=Sort.NAME, descending=True)) == ["c", "b", "a"]


def test_latest_is_the_newest_of_what_the_other_filters_leave(make_image: MakeImage) -> None:
    index = index_of(
        make_image("v1", published="2026-01-01T00:00:00Z", tags=("production",), distro="cs9"),
        make_image("v2", published="2026-02-01T00:00:00Z", distro="cs9"),
        make_image("v3", published="2026-03-01T00:00:00Z", distro="cs9", phase="Failed"),
        make_image("eln", published="2026-01-01T00:00:00Z", distro="eln"),
    )

    assert names(index, Query(latest=True)) == ["v3", "eln"]
    assert names(index, Query(latest=True, phase="Available")) == ["v2", "eln"]
    assert names(index, Query(latest=True, tags=("production",))) == ["v1"]


def test_the_newest_for_one_of_its_targets_is_latest_unless_another_target_is_asked_for(make_image: MakeImage) -> None:
    both, one = [{"name": "qemu"}, {"name": "rcar"}], [{"name": "qemu"}]
    index = index_of(
        make_image("old", published="2026-01-01T00:00:00Z", targets=both),
        make_image("new", published="2026-02-01T00:00:00Z", targets=one),
    )

    assert names(index, Query(latest=True)) == ["new", "old"]
    assert names(index, Query(latest=True, target="qemu")) == ["new"]
    assert names(index, Query(latest=True, target="rcar")) == ["old"]


def test_a_schedule_s_images_are_versions_of_one_another_whatever_they_are_for(make_image: MakeImage) -> None:
    index = index_of(
        make_image("monday", published="2026-01-05T00:00:00Z", schedule="nightly", distro="cs9"),
        make_image("tuesday", published="2026-01-06T00:00:00Z", schedule="nightly", distro="cs10"),
        make_image("elsewhere", "other", published="2026-01-04T00:00:00Z", schedule="nightly"),
    )

    assert names(index, Query(latest=True)) == ["tuesday", "elsewhere"]
    assert names(index, Query(latest=True, distro="cs9")) == ["monday"]
    assert names(index, Query(latest=True, schedule="nightly", namespace="other")) == ["elsewhere"]


@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("descending", [True, False], ids=["down", "up"])
def test_pages_of_a_large_catalog_are_the_whole_list_in_pieces(sort: Sort, descending: bool) -> None:  # noqa: FBT001 - parametrised
    index = large_index()
    for filters in (Query(), Query(phase="Available"), Query(namespace="releases"), Query(latest=True)):
        query = filters._replace(sort=sort, descending=descending, limit=0)
        whole = index.find(query)
        pages: list[Entry] = []
        after: Position | None = None
        while True:
            listing = index.find(query._replace(limit=75, after=after))
            assert listing.total == whole.total == len(whole.entries)
            pages += listing.entries
            assert listing.remaining == whole.total - len(pages)
            if (after := listing.next) is None:
                break
        assert pages == list(whole.entries)


def test_pages_are_in_the_same_state_until_an_entry_of_theirs_changes(make_image: MakeImage) -> None:
    one, other = make_image("one"), make_image("two")
    index, elsewhere = index_of(one, other), index_of(other, one)
    state = index.find(Query()).state
    assert elsewhere.find(Query()).state == state
    assert index.find(Query(limit=1)).state != state

    index.count_access("lab", "one")
    assert index.find(Query()).state == state
    index.put(make_image("one"))
    assert index.find(Query()).state != state


def test_a_position_of_another_sort_is_refused(make_image: MakeImage) -> None:
    index = index_of(make_image("one"))

    with pytest.raises(ValueError, match="sorted by published"):
        index.find(Query(after=Position("one", "lab", "one")))


def test_paging_goes_on_behind_an_entry_that_went(make_image: MakeImage) -> None:
    index = index_of(*(make_image(name) for name in "abc"))
    first = index.find(Query(sort=Sort.NAME, limit=2))
    assert index.remove("lab", "b")

    assert names(index, Query(sort=Sort.NAME, after=first.next)) == ["c"]


def test_a_recall_is_known_in_its_namespace_as_long_as_an_entry_tells_of_it(make_image: MakeImage) -> None:
    recalls = [{"namespace": "lab", "digest": "sha256:d"}, {"digest": "sha256:e"}, "odd"]

    def told(name: str, *, recalled: bool) -> dict[str, Any]:
        image = make_image(name)
        image["status"]["recalls"] = recalls if recalled else []
        return image

    index = index_of(told("one", recalled=True), told("two", recalled=True))
    found = index.recaller("lab", "sha256:d")
    assert found is not None
    assert found.name in {"one", "two"}
    assert index.recaller("other", "sha256:d") is None
    assert index.recaller("lab", "sha256:e") is None

    assert index.put(told("one", recalled=False))
    left = index.recaller("lab", "sha256:d")
    assert left is not None
    assert left.name == "two"
    assert index.remove("lab", "two")
    assert index.recaller("lab", "sha256:d") is None


def test_boards_are_known_for_as_long_as_an_image_is_for_them(make_image: MakeImage) -> None:
    index = index_of(*(make_image(name, targets=[{"name": name}, {"name": "qemu"}]) for name in ("a", "b", "x", "z")))
    assert index.targets_near("b", 100) == ["a", "b", "qemu", "x", "z"]
    assert index.targets_near("c", 2) == ["b", "qemu"]
    assert index.targets_near("A", 2) == ["a", "b"]
    assert index.targets_near("zz", 2) == ["x", "z"]
    index.remove("lab", "x")
    assert index.targets_near("c", 100) == ["a", "b", "qemu", "z"]
    for name in ("a", "b", "z"):
        index.remove("lab", name)
    assert index.targets_near("qemu", 100) == []
