"""Which of several images is the newest that were published within one second, all that Kubernetes can tell apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from image_catalog.catalog.index import Index, Query

MakeImage = Callable[..., dict[str, Any]]
SECOND = "2026-05-01T12:00:00Z"


def made(image: dict[str, Any], *, created: str | None = None, built: str | None = None) -> dict[str, Any]:
    if created is not None:
        image["metadata"]["creationTimestamp"] = created
    if built is not None:
        image["status"]["sourceImageBuild"] = {"name": "b", "namespace": "lab", "completionTime": built}
    return image


def found(images: list[dict[str, Any]], **query: Any) -> set[tuple[str, ...]]:
    """Return what is found, in whichever order the index came to know the images."""
    answers = set()
    for order in itertools.permutations(images):
        index = Index()
        for image in order:
            index.put(image)
        answers.add(tuple(entry.name for entry in index.find(Query(**query)).entries))
    return answers


def test_the_later_build_of_a_backlog_is_the_newest(make_image: MakeImage) -> None:
    images = [
        made(make_image("a", published=SECOND), built="2026-04-01T00:00:00Z"),
        made(make_image("b", published=SECOND), built="2026-04-30T00:00:00Z"),
        made(make_image("c", published=SECOND), built="2026-04-29T00:00:00Z"),
    ]
    assert found(images, latest=True) == {("b",)}
    assert found(images) == {("b", "c", "a")}


def test_without_builds_the_later_entry_is_the_newest(make_image: MakeImage) -> None:
    images = [
        made(make_image("a", published=SECOND), created="2026-05-01T11:59:58Z"),
        made(make_image("b", published=SECOND), created="2026-05-01T11:59:59Z"),
        make_image("c", published=SECOND),
    ]
    assert found(images, latest=True) == {("b",)}
    assert found(images) == {("b", "a", "c")}


def test_what_nothing_tells_apart_goes_by_name(make_image: MakeImage) -> None:
    images = [made(make_image(name, published=SECOND), created=SECOND) for name in ("b", "a", "c")]
    assert found(images, latest=True) == {("a",)}
    assert found(images) == {("a", "b", "c")}


@pytest.mark.parametrize(
    ("created", "built"),
    [
        pytest.param("2026-05-01T12:00:05Z", None, id="clocks that disagree"),
        pytest.param("1999-01-01T00:00:00Z", None, id="long ago"),
        pytest.param(None, "yesterday", id="no time"),
    ],
)
def test_no_origin_beats_a_second_of_publication(make_image: MakeImage, created: str, built: str) -> None:
    images = [
        made(make_image("before", published="2026-05-01T11:59:59Z"), built="2026-05-01T11:59:59Z"),
        made(make_image("after", published=SECOND), created=created, built=built),
    ]
    assert found(images) == {("after", "before")}


def test_newest_with_a_tag_is_found_among_those_that_have_it(make_image: MakeImage) -> None:
    images = [
        made(make_image("a", published=SECOND, tags=("production",)), built="2026-04-01T00:00:00Z"),
        made(make_image("b", published=SECOND, tags=("production",)), built="2026-04-02T00:00:00Z"),
        made(make_image("c", published="2026-05-02T00:00:00Z"), built="2026-05-02T00:00:00Z"),
    ]
    assert found(images, latest=True, tags=("production",)) == {("b",)}
    assert found(images, latest=True) == {("c",)}
