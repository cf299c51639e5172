from __future__ import annotations

import pytest

from image_catalog.catalog.held import Held
from image_catalog.catalog.labels import Origin, SourceType, changed_labels, registry_type, wanted_labels
from image_catalog.catalog.metadata import RegistryFacts
from image_catalog.models import CatalogImage, Reference
from image_catalog.models.names import GROUP

HOSTS = {
    "image-registry.openshift-image-registry.svc": "openshift-internal",
    "default-route-openshift-image-registry.apps.example.com": "openshift-internal",
    "quay.io": "quay",
    "quay.example.com": "quay",
    "docker.io": "docker-hub",
    "ghcr.io": "ghcr",
    "public.ecr.aws": "ecr",
    "1.dkr.ecr.eu-central-1.amazonaws.com": "ecr",
    "1.dkr.ecr.cn-north-1.amazonaws.com.cn": "ecr",
    "registry.example.com": "generic",
    "notquay.io": "generic",
}


@pytest.mark.parametrize(("host", "kind"), HOSTS.items(), ids=HOSTS)
def test_a_registrys_kind_by_its_host(host: str, kind: str) -> None:
    assert registry_type(host.upper()) == registry_type(host) == kind


def test_every_label_is_one_that_an_object_can_have() -> None:
    reference = Reference.parse("quay.io/acme/os:1")
    said = {"architecture": "x86_64", "distro": "a" * 63, "targets": [{"name": "b" * 63}], "bootc": True}
    labels = wanted_labels(reference, Held.of(said, RegistryFacts((), {}), overridden=False))
    assert all(len(key.rpartition("/")[2]) <= 63 and len(value) <= 63 for key, value in labels.items())
    assert labels[f"{GROUP}/architecture"] == "amd64"
    assert labels[f"architecture.{GROUP}/amd64"] == "true"
    assert labels[f"{GROUP}/bootc-capable"] == "true"


def test_every_architecture_has_a_label_and_the_one_that_a_person_named_comes_first() -> None:
    held = Held.of({"architecture": "x86_64"}, RegistryFacts(("arm64", "amd64"), {}), overridden=False)
    labels = wanted_labels(Reference.parse("quay.io/acme/os:1"), held)
    assert labels[f"{GROUP}/architecture"] == "amd64"
    assert {key for key in labels if key.startswith("architecture.")} == {
        f"architecture.{GROUP}/{architecture}" for architecture in ("amd64", "arm64")
    }


def test_an_architecture_that_the_image_has_no_longer_loses_its_label() -> None:
    mine = {f"architecture.{GROUP}/amd64": "true", f"{GROUP}/architecture": "amd64"}
    image = CatalogImage.model_validate(
        {"metadata": {"name": "os", "labels": mine}, "spec": {"registryUrl": "quay.io/acme/os:1"}}
    )
    reference = Reference.parse("quay.io/acme/os:1")
    labels = changed_labels(
        image, wanted_labels(reference, Held.of({}, RegistryFacts(("arm64",), {}), overridden=False))
    )
    assert labels[f"{GROUP}/architecture"] == "arm64"
    assert [key for key in labels if key.startswith("architecture.")] == [f"architecture.{GROUP}/arm64"]


def test_labels_of_others_and_of_the_origin_stay() -> None:
    mine = {"mine": "yes", f"{GROUP}/source-type": "external", f"{GROUP}/distro": "old", f"target.{GROUP}/old": "true"}
    image = CatalogImage.model_validate(
        {"metadata": {"name": "os", "labels": mine}, "spec": {"registryUrl": "quay.io/acme/os:1"}}
    )
    labels = changed_labels(image, {f"{GROUP}/registry-type": "quay"})
    assert labels == {"mine": "yes", f"{GROUP}/source-type": "external", f"{GROUP}/registry-type": "quay"}


@pytest.mark.parametrize("origin", [None, Origin(SourceType.IMAGE_BUILD)], ids=["no origin", "another origin"])
def test_a_schedule_stays_until_another_origin_takes_its_place(origin: Origin | None) -> None:
    mine = {f"{GROUP}/source-type": "scheduled", f"{GROUP}/schedule": "nightly"}
    image = CatalogImage.model_validate(
        {"metadata": {"name": "os", "labels": mine}, "spec": {"registryUrl": "quay.io/acme/os:1"}}
    )
    wanted = wanted_labels(Reference.parse("quay.io/acme/os:1"), Held.of_image(image), origin=origin)
    labels = changed_labels(image, wanted)
    expected = mine if origin is None else {f"{GROUP}/source-type": "imagebuild"}
    assert {key: value for key, value in labels.items() if key in mine} == expected
