"""The sample entries are ones that the API server would have let in."""

from __future__ import annotations

import orjson

from image_catalog.models import CatalogImage, Reference
from image_catalog.testing.catalog_samples import sample_image, sample_images


def test_samples_are_valid_entries_of_a_real_size() -> None:
    for image in sample_images(200):
        entry = CatalogImage.from_object(image)
        Reference.parse(entry.spec.registry_url)
        assert 2_500 < len(orjson.dumps(image)) < 4_000


def test_the_same_seed_gives_the_same_entries_in_any_cut() -> None:
    assert [*sample_images(3), *sample_images(2, first=3)] == list(sample_images(5))
    assert sample_image(4) != sample_image(4, seed=1)


def test_no_two_samples_share_a_name() -> None:
    names = {(image["metadata"]["namespace"], image["metadata"]["name"]) for image in sample_images(500)}
    assert len(names) == 500


def test_samples_are_in_the_namespaces_that_are_asked_for() -> None:
    assert {image["metadata"]["namespace"] for image in sample_images(20, namespaces=("one",))} == {"one"}
