"""How the index follows the cluster, and counts accesses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from image_catalog.catalog.index import Index, Query
from image_catalog.testing.catalog_samples import sample_image

pytestmark = pytest.mark.story

MakeImage = Callable[..., dict[str, Any]]


class ListBroke(Exception):  # noqa: N818 - tells what happened
    """A list in pages ended early."""


def test_an_entry_is_answered_as_the_cluster_has_it_without_managed_fields() -> None:
    index, image = Index(), sample_image(1)
    index.put(image)
    (entry,) = index.find(Query()).entries
    image["metadata"].pop("managedFields")

    assert entry.object == image
    assert (entry.namespace, entry.name) == (image["metadata"]["namespace"], image["metadata"]["name"])
    assert entry.uid == image["metadata"]["uid"]
    assert repr(entry) == f"Entry({entry.namespace}/{entry.name} at {entry.resource_version})"


def test_older_versions_change_nothing(make_image: MakeImage) -> None:
    older, newer = make_image("one", phase="Pending"), make_image("one")
    index = Index()
    assert index.put(newer)
    version = index.version

    assert not index.put(older)
    assert not index.put(newer)
    assert index.version == version
    assert index.find(Query(phase="Available")).total == 1


def test_every_change_of_an_answer_changes_the_version(make_image: MakeImage) -> None:
    index, versions = Index(), {0}
    for change in (
        lambda: index.put(make_image("one")),
        lambda: index.advance("50"),
        lambda: index.remove("lab", "one"),
    ):
        change()
        assert index.version not in versions
        versions.add(index.version)


def test_the_newest_resource_version_is_known(make_image: MakeImage) -> None:
    index = Index()
    assert index.resource_version == ""
    index.put(make_image("one"))
    assert index.resource_version == "1"
    index.advance("7")
    index.advance("6")
    index.advance("")
    assert index.resource_version == "7"
    index.remove("lab", "one", resource_version="9")
    assert index.resource_version == "9"


def test_a_late_message_does_not_bring_back_what_went(make_image: MakeImage) -> None:
    index, first, second, again = Index(), make_image("one"), make_image("one"), make_image("one")
    index.put(first)
    assert index.remove("lab", "one", uid="uid-of-one", resource_version="2")

    assert not index.put(second)
    assert index.get("lab", "one") is None
    assert index.put(again)


def test_a_deletion_does_not_touch_a_later_entry_of_the_same_name(make_image: MakeImage) -> None:
    index, later = Index(), make_image("one")
    later["metadata"]["resourceVersion"] = "10"
    index.put(later)

    assert not index.remove("lab", "one", uid="uid-of-another")
    assert not index.remove("lab", "one", resource_version="9")
    assert not index.remove("lab", "nobody")
    assert index.get("lab", "one") is not None


def test_only_the_last_removals_are_remembered() -> None:
    index, first = Index(), sample_image(0)
    index.put(first)
    index.remove(first["metadata"]["namespace"], first["metadata"]["name"])
    for number in range(4_100):
        index.remove("lab", f"gone-{number}", resource_version="1")

    assert index.put(first)


def test_what_a_new_list_does_not_name_goes(make_image: MakeImage) -> None:
    index, kept, gone = Index(), make_image("kept"), make_image("gone")
    index.put(kept)
    index.put(gone)
    with index.relist():
        index.put(kept)
        index.put(make_image("new"))
        assert index.get("lab", "gone") is not None

    assert [entry.name for entry in index.find(Query()).entries] == ["kept", "new"]


def test_a_list_that_breaks_off_takes_nothing_away(make_image: MakeImage) -> None:
    index = Index()
    index.put(make_image("one"))
    with pytest.raises(ListBroke), index.relist():
        raise ListBroke

    assert index.get("lab", "one") is not None


def test_an_entry_that_goes_and_another_that_comes_during_a_list_are_told_apart(make_image: MakeImage) -> None:
    index = Index()
    index.put(make_image("one"))
    with index.relist():
        index.remove("lab", "one")
        index.put(make_image("two"))

    assert [entry.name for entry in index.find(Query()).entries] == ["two"]


def test_an_access_is_in_the_answer_at_once(make_image: MakeImage) -> None:
    index = Index()
    index.put(make_image("one", accesses=99))
    before = index.get("lab", "one")
    known = (index.version, index.accessed)
    counted = index.count_access("lab", "one")

    assert (index.version, index.accessed) == (known[0], known[1] + 1)
    assert counted is not None
    assert counted is index.get("lab", "one")
    assert counted.accesses == counted.object["status"]["accessCount"] == 100
    assert before is not None
    assert before.accesses == 99
    assert index.count_access("lab", "nobody") is None


def test_accesses_are_neither_lost_nor_doubled_while_they_are_written(make_image: MakeImage) -> None:
    index = Index()
    index.put(make_image("one", accesses=5))
    index.count_access("lab", "one")
    index.count_access("lab", "one")
    assert index.take_accesses() == {("lab", "one"): 2}
    index.count_access("lab", "one")

    assert index.put(make_image("one", accesses=7))
    assert accesses(index, "one") == 8
    assert index.take_accesses() == {("lab", "one"): 1}
    index.give_back("lab", "one", 1)
    index.give_back("lab", "nobody", 1)
    assert index.take_accesses() == {("lab", "one"): 1}


def test_another_entry_of_the_same_name_counts_from_its_own_figure(make_image: MakeImage) -> None:
    index, another = Index(), make_image("one") | {}
    index.put(another)
    index.count_access("lab", "one")
    another = make_image("one")
    another["metadata"]["uid"] = "another"
    index.put(another)

    assert accesses(index, "one") == 0
    assert index.take_accesses() == {}


def accesses(index: Index, name: str) -> int:
    entry = index.get("lab", name)
    assert entry is not None
    return entry.accesses


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({}, id="no-metadata"),
        pytest.param({"metadata": None}, id="null-metadata"),
        pytest.param({"metadata": {"namespace": "lab", "name": 7}}, id="number-for-a-name"),
    ],
)
def test_what_has_no_name_is_no_entry(odd: dict[str, Any]) -> None:
    index = Index()

    assert not index.put(odd)
    assert len(index) == 0


ODD_VALUES: list[Any] = [None, 7, "text", [], ["text", None, {}], {}, {"name": None}, True]


@pytest.mark.parametrize("value", ODD_VALUES, ids=[orjson.dumps(value).decode() for value in ODD_VALUES])
@pytest.mark.parametrize(
    "path",
    [
        *(f"metadata.{field}" for field in ("labels", "annotations", "resourceVersion", "uid", "creationTimestamp")),
        "spec",
        *(f"spec.{field}" for field in ("registryUrl", "tags", "digest", "metadata")),
        *(f"spec.metadata.{field}" for field in ("architecture", "targets", "distro", "bootcCapable")),
        "status",
        *(f"status.{field}" for field in ("phase", "publishedAt", "registryMetadata", "sourceImageBuild")),
        *(f"status.registryMetadata.{field}" for field in ("sizeBytes", "platform", "platformVariants", "annotations")),
        "status.accessCount",
    ],
)
def test_an_odd_object_is_found_by_what_can_be_read_of_it(path: str, value: Any) -> None:
    index, image = Index(), sample_image(1)
    *parents, field = path.split(".")
    place = image
    for parent in parents:
        place = place[parent]
    place[field] = value

    assert index.put(image)
    listing = index.find(Query(namespace=image["metadata"]["namespace"], q=image["metadata"]["name"]))
    assert [entry.name for entry in listing.entries] == [image["metadata"]["name"]]
    assert index.find(Query(namespace=image["metadata"]["namespace"], latest=True)).total == 1
    assert index.remove(image["metadata"]["namespace"], image["metadata"]["name"])


def test_an_object_without_a_comparable_version_is_taken_as_it_comes(make_image: MakeImage) -> None:
    index, first, second = Index(), make_image("one", phase="Pending"), make_image("one")
    first["metadata"]["resourceVersion"] = second["metadata"]["resourceVersion"] = "opaque"

    assert index.put(first)
    assert index.put(second)
    assert index.find(Query(phase="Available")).total == 1


def test_an_edited_entry_is_found_by_its_new_words_alone(make_image: MakeImage) -> None:
    index = Index()
    index.put(make_image("one", tags=("old",), url="quay.io/lab/before:1"))
    index.put(make_image("one", tags=("new",), url="quay.io/lab/after:1"))

    assert index.find(Query(tags=("new",), q="after", registry_url="quay.io/lab/after:1")).total == 1
    assert index.find(Query(tags=("old",))).total == index.find(Query(q="before")).total == 0


def test_who_waits_for_an_entry_to_go_is_told_however_it_went(make_image: MakeImage) -> None:
    index, gone = Index(), list[str]()
    for name in ("removed", "replaced", "not listed", "kept"):
        index.put(make_image(name))

    with index.departures(lambda entry: gone.append(entry.name)):
        index.remove("lab", "removed")
        index.remove("lab", "removed")
        again = make_image("replaced")
        again["metadata"]["uid"] = "another"
        index.put(again)
        index.put(make_image("kept", phase="Failed"))
        with index.relist():
            index.put(again)
            index.put(make_image("kept"))
    index.remove("lab", "kept")

    assert gone == ["removed", "replaced", "not listed"]
