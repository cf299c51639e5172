"""Three words about one image, brought together: a person's, a publication's, the registry's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.catalog.metadata import (
    RegistryFacts,
    build_metadata,
    conflicts,
    describe_conflicts,
    merge_metadata,
    published_metadata,
)
from image_catalog.models import CatalogImage, CatalogMetadata, ImageBuild
from image_catalog.models.names import GROUP

_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "architecture": st.sampled_from(["amd64", "arm64"]),
        "distro": st.sampled_from(["cs9", "autosd"]),
        "distroVersion": st.sampled_from(["9", "10"]),
        "os": st.sampled_from(["linux", "qnx"]),
        "bootcCapable": st.booleans(),
        "targets": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["qemu", "rpi4", "ride4"])}, optional={"verified": st.booleans()}
            ),
            unique_by=lambda target: str(target["name"]),
            max_size=3,
        ),
    },
)


def entry(metadata: dict[str, Any], registry: dict[str, Any], **annotations: str) -> CatalogImage:
    return CatalogImage.model_validate(
        {
            "metadata": {"name": "os", "namespace": "team-a", "annotations": annotations},
            "spec": {"registryUrl": "quay.io/acme/os:1", "metadata": metadata},
            "status": {"registryMetadata": {"resolvedDigest": f"sha256:{'a' * 64}", **registry}},
        }
    )


@given(current=_FIELDS, published=_FIELDS, last=_FIELDS)
def test_a_merge_blanks_nothing_and_loses_no_word_of_a_person(
    current: dict[str, Any], published: dict[str, Any], last: dict[str, Any]
) -> None:
    before = CatalogMetadata.model_validate(current).to_dict()
    merged = merge_metadata(CatalogMetadata.model_validate(current), published, last=last)
    CatalogMetadata.model_validate(merged)
    for field, value in before.items():
        assert field in merged
        touched = value != last.get(field, "linux" if field == "os" else None)
        if field != "targets" and touched:
            assert merged[field] == value, "what a person changed is kept"
    by_name = {target["name"]: target for target in merged.get("targets", [])}
    for target in before.get("targets", []):
        if target["verified"] and not any(
            t["name"] == target["name"] and t.get("verified") for t in last.get("targets", [])
        ):
            assert by_name[target["name"]]["verified"], "somebody said that it was tested"


@given(current=_FIELDS, published=_FIELDS, last=_FIELDS)
def test_merging_twice_is_merging_once(
    current: dict[str, Any], published: dict[str, Any], last: dict[str, Any]
) -> None:
    once = CatalogMetadata.model_validate(merge_metadata(CatalogMetadata.model_validate(current), published, last=last))
    assert CatalogMetadata.model_validate(merge_metadata(once, published, last=published)) == once


@given(published=_FIELDS)
def test_a_new_entry_says_what_was_published(published: dict[str, Any]) -> None:
    merged = merge_metadata(None, published, last={})
    assert merged == {field: value for field, value in published.items() if field != "targets" or value}


def test_the_wish_wins_over_the_registry_which_fills_the_rest() -> None:
    facts = RegistryFacts(("arm64",), {f"{GROUP}/distro": "cs9", "com.redhat.automotive.bootc-capable": "true"})
    assert published_metadata({"distro": "mine", "bootc": False}, facts) == {
        "architecture": "arm64",
        "distro": "mine",
        "bootcCapable": False,
    }


def test_a_build_with_an_odd_architecture_is_published_without_it() -> None:
    build = ImageBuild.model_validate(
        {"metadata": {"name": "os"}, "spec": {"architecture": "riscv64", "aib": {"distro": "cs9", "mode": "bootc"}}}
    )
    assert build_metadata(build) == {"distro": "cs9", "buildMode": "bootc", "bootcCapable": True}


CONFLICTS = {
    "architecture": ({"architecture": "x86_64"}, {"platform": {"architecture": "arm64", "os": "linux"}}),
    "distro": ({"distro": "cs9"}, {"annotations": {f"{GROUP}/distro": "autosd"}}),
    "targets": ({"targets": [{"name": "qemu"}]}, {"annotations": {f"{GROUP}/target": "rpi4"}}),
    "os": ({"os": "qnx"}, {"platform": {"architecture": "arm64", "os": "linux"}}),
    "variant": ({"variant": "v9"}, {"platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}}),
    "exportFormat": ({"exportFormat": "raw"}, {"annotations": {f"{GROUP}/export-format": "qcow2"}}),
    "bootcCapable": ({"bootc": True}, {"annotations": {"com.redhat.automotive.bootc-capable": "false"}}),
}


@pytest.mark.parametrize(
    ("field", "metadata", "registry"), [(f, *case) for f, case in CONFLICTS.items()], ids=CONFLICTS
)
def test_a_contradiction_is_found_in_every_field_that_both_speak_of(
    field: str, metadata: dict[str, Any], registry: dict[str, Any]
) -> None:
    (conflict,) = conflicts(entry(metadata, registry))
    assert conflict.field == field
    assert f"{field} is {conflict.given}, the registry says {conflict.found}" == describe_conflicts([conflict])


def test_a_platform_of_an_index_is_no_conflict() -> None:
    variants = [{"architecture": a, "os": "linux", "digest": f"sha256:{'b' * 64}"} for a in ("arm64", "amd64")]
    assert conflicts(entry({"architecture": "aarch64"}, {"platformVariants": variants})) == []


def test_an_artifact_without_a_platform_is_compared_by_its_annotation() -> None:
    (conflict,) = conflicts(entry({"architecture": "x86_64"}, {"annotations": {f"{GROUP}/arch": "arm64"}}))
    assert (conflict.given, conflict.found) == ("x86_64", "arm64")
    for typed, noted in (("aarch64", "arm64"), ("arm64", "aarch64")):
        assert conflicts(entry({"architecture": typed}, {"annotations": {f"{GROUP}/arch": noted}})) == []


def test_what_the_api_server_fills_in_is_nobodys_word() -> None:
    image = entry({"distro": "cs9"}, {"platform": {"architecture": "arm64", "os": "qnx"}})
    assert conflicts(image) == []


def test_a_variant_of_one_platform_of_several_is_no_conflict() -> None:
    variants = [
        {"architecture": "arm", "os": "linux", "variant": v, "digest": f"sha256:{v[1] * 64}"} for v in ("v6", "v7")
    ]
    assert conflicts(entry({"variant": "v7"}, {"platformVariants": variants})) == []
    (conflict,) = conflicts(entry({"variant": "v8"}, {"platformVariants": variants}))
    assert conflict.found == "v6, v7"


def test_an_entry_that_says_nothing_contradicts_nothing() -> None:
    image = CatalogImage.model_validate({"metadata": {"name": "os"}, "spec": {"registryUrl": "quay.io/acme/os:1"}})
    assert conflicts(image) == []
