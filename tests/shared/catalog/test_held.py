"""The one rule by which an entry is shown, labelled and found where a person and the registry disagree."""

from __future__ import annotations

from typing import Any

import pytest

from image_catalog.catalog.held import Held
from image_catalog.models import CatalogImage, EffectiveMetadata
from image_catalog.models.names import ANNOTATION_METADATA_OVERRIDE, GROUP

_OVERRIDE = {ANNOTATION_METADATA_OVERRIDE: "true"}
_MULTI = {"platformVariants": [{"architecture": a, "os": "linux", "digest": "sha256:0"} for a in ("arm64", "amd64")]}


def _entry(said: dict[str, Any], registry: dict[str, Any], annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": "os", "namespace": "team-a", "annotations": annotations or {}},
        "spec": {"registryUrl": "quay.io/acme/os:1", "metadata": said},
        "status": {"registryMetadata": {"resolvedDigest": f"sha256:{'a' * 64}", **registry}},
    }


def _effective(entry: dict[str, Any]) -> dict[str, Any]:
    return Held.of_object(entry).to_status().to_dict()


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], object, object]] = {
    "architecture": ({"architecture": "x86_64"}, {"platform": {"architecture": "arm64"}}, "arm64", "amd64"),
    "distro": ({"distro": "cs9"}, {"annotations": {f"{GROUP}/distro": "autosd"}}, "autosd", "cs9"),
    "targets": ({"targets": [{"name": "qemu"}]}, {"annotations": {f"{GROUP}/target": "rpi4"}}, ["rpi4"], ["qemu"]),
    "bootcCapable": ({"bootc": True}, {"annotations": {"com.redhat.automotive.bootc-capable": "false"}}, False, True),
    "exportFormat": (
        {"exportFormat": "raw"},
        {"annotations": {f"{GROUP}/export-format": "qcow2"}},
        "qcow2",
        "raw",
    ),
    "an artifact's architecture": (
        {"architecture": "amd64"},
        {"annotations": {f"{GROUP}/arch": "aarch64"}},
        "arm64",
        "amd64",
    ),
}


@pytest.mark.parametrize(("case", "said", "registry", "found", "given"), [(f, *c) for f, c in CASES.items()], ids=CASES)
def test_the_registrys_word_counts_unless_the_entry_overrides_it(
    case: str, said: dict[str, Any], registry: dict[str, Any], found: object, given: object
) -> None:
    field = "architecture" if "architecture" in case else case
    assert _effective(_entry(said, registry))[field] == found
    assert _effective(_entry(said, registry, _OVERRIDE))[field] == given
    assert _effective(_entry({}, registry, _OVERRIDE))[field] == found, "nothing overrides where nothing is said"
    assert _effective(_entry(said, {}))[field] == given, "what the registry does not speak of is the person's"


@pytest.mark.parametrize("said", [{}, {"architecture": "x86_64"}, {"architecture": "aarch64"}], ids=str)
def test_a_multi_arch_image_shows_each_architecture_with_the_named_one_first(said: dict[str, str]) -> None:
    expected = "amd64,arm64" if said.get("architecture") == "x86_64" else "arm64,amd64"
    assert _effective(_entry(said, _MULTI))["architecture"] == expected


def test_a_person_may_narrow_a_multi_arch_image_down() -> None:
    assert _effective(_entry({"architecture": "amd64"}, _MULTI, _OVERRIDE))["architecture"] == "amd64"


@pytest.mark.parametrize("word", ["a b", "-", "x" * 64, "a,b", "\u202e"], ids=ascii)
def test_a_registrys_word_that_cannot_be_a_label_says_nothing(word: str) -> None:
    told = {"platform": {"architecture": word}, "annotations": {f"{GROUP}/distro": word, f"{GROUP}/target": word}}
    said = {"architecture": "arm64", "distro": "cs9", "targets": [{"name": "qemu"}]}
    shown = _effective(_entry(said, told))
    assert shown == {"architecture": "arm64", "distro": "cs9", "targets": ["qemu"]}


def test_an_index_of_countless_architectures_makes_a_few_labels() -> None:
    variants = [{"architecture": f"a{n}", "digest": "sha256:0"} for n in range(1000)]
    assert len(Held.of_object(_entry({}, {"platformVariants": variants})).architectures) == 16


@pytest.mark.parametrize("annotations", [{}, _OVERRIDE], ids=["plain", "overridden"])
@pytest.mark.parametrize(("said", "registry"), [case[:2] for case in CASES.values()], ids=CASES)
def test_an_object_and_its_model_say_the_same(
    said: dict[str, Any], registry: dict[str, Any], annotations: dict[str, str]
) -> None:
    entry = _entry(said, registry, annotations)
    assert Held.of_image(CatalogImage.from_object(entry)) == Held.of_object(entry)


def test_of_nothing_nothing_holds() -> None:
    assert Held.of_object({}).to_status() == EffectiveMetadata()
