"""Both shapes of ImageBuild that are in the field, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from image_catalog.models import BuildManifest, ImageBuild

EARLY: dict[str, Any] = {
    "containerPush": "quay.io/acme/os:1",
    "exportOci": "quay.io/acme/os:disk",
    "distro": "cs9",
    "target": "qemu",
    "mode": "image",
    "architecture": "arm64",
    "exportFormat": "qcow2",
    "publishers": {"registry": {"repositoryUrl": "quay.io/acme/old:1", "secret": "push"}},
    "envSecretRef": "env",
    "manifestConfigMap": "recipe",
}
TODAY: dict[str, Any] = {
    "architecture": "amd64",
    "aib": {
        "distro": "autosd",
        "target": "ride4",
        "mode": "bootc",
        "manifest": "name: os\n",
        "manifestFileName": "os.aib.yml",
    },
    "export": {
        "container": "quay.io/acme/os:2",
        "format": "raw",
        "disk": {
            "oci": "quay.io/acme/os:disk2",
            "s3": {
                "bucket": "images",
                "endpoint": "https://s3.example.com",
                "region": "eu-central-1",
                "credentialsSecret": "s3",
            },
        },
    },
    "pushSecretRef": "push2",
}


def build(spec: dict[str, Any], status: dict[str, Any] | None = None, **metadata: Any) -> ImageBuild:
    return ImageBuild.model_validate(
        {"metadata": {"name": "os", "namespace": "team-a", **metadata}, "spec": spec, "status": status or {}}
    )


FIELDS = {
    "container": ("container_reference", "quay.io/acme/os:1", "quay.io/acme/os:2"),
    "disk": ("disk_reference", "quay.io/acme/os:disk", "quay.io/acme/os:disk2"),
    "published": ("published_reference", "quay.io/acme/os:1", "quay.io/acme/os:2"),
    "distro": ("distro", "cs9", "autosd"),
    "target": ("target", "qemu", "ride4"),
    "mode": ("mode", "image", "bootc"),
    "architecture": ("architecture", "arm64", "amd64"),
    "format": ("export_format", "qcow2", "raw"),
    "push credentials": ("push_secret", "push", "push2"),
    "manifest": (
        "manifest",
        BuildManifest(None, "recipe", ""),
        BuildManifest("name: os\n", None, "os.aib.yml"),
    ),
}


@pytest.mark.parametrize(("name", "early", "today"), FIELDS.values(), ids=FIELDS)
def test_a_field_in_both_shapes(name: str, early: Any, today: Any) -> None:
    assert getattr(build(EARLY), name) == early
    assert getattr(build(TODAY), name) == today
    architecture = {"architecture": TODAY["architecture"]}
    assert getattr(build({**EARLY, **TODAY, **architecture}), name) == today, "today's shape wins"
    assert getattr(build({}), name) is None


def test_the_repository_of_the_early_publishers_counts_where_nothing_else_is_said() -> None:
    spec = {"publishers": {"registry": {"repositoryUrl": "quay.io/acme/old:1"}}, "envSecretRef": "env"}
    assert build(spec).published_reference == "quay.io/acme/old:1"
    assert build(spec).push_secret == "env"


def test_a_disk_image_alone_is_what_the_entry_stands_for() -> None:
    assert build({"export": {"disk": {"oci": "quay.io/acme/os:disk"}}}).published_reference == "quay.io/acme/os:disk"


def test_the_format_that_was_resolved_wins() -> None:
    assert build(TODAY, {"resolvedExportFormat": "simg"}).export_format == "simg"


def test_the_secret_of_today_has_two_names() -> None:
    assert build({"secretRef": "one"}).push_secret == "one"


@pytest.mark.parametrize("odd", [7, ["x"], {"x": 1}, "", "   ", None], ids=repr)
def test_a_field_of_another_type_counts_as_absent(odd: Any) -> None:
    assert build({"export": {"container": odd}, "aib": odd}).published_reference is None
    assert build({"aib": {"manifest": odd}}).manifest is None


def test_the_served_artifact_of_the_early_shape_is_read() -> None:
    status = build(EARLY, {"artifactURL": "https://builds.example.com/os", "artifactFileName": "os.qcow2"}).status
    assert (status.artifact_url, status.artifact_file_name) == ("https://builds.example.com/os", "os.qcow2")


def condition(status: str) -> dict[str, Any]:
    return {
        "type": "Complete",
        "status": status,
        "reason": "Done",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("status", "done", "timed"),
    [
        ({"phase": "Completed", "completionTime": "2026-01-01T00:00:00Z"}, True, True),
        ({"phase": "Completed"}, True, False),
        ({"phase": "Failed"}, False, False),
        ({"conditions": [condition("True")]}, True, True),
        ({"conditions": [condition("False")]}, False, False),
        ({}, False, False),
    ],
    ids=["phase", "phase without a time", "failed", "condition", "condition is false", "nothing"],
)
def test_when_a_build_is_done(status: dict[str, Any], done: bool, timed: bool) -> None:  # noqa: FBT001 - cases
    found = build(TODAY, status)
    assert found.is_completed is done
    assert (found.completion_time is not None) is timed


COMPLETE = {"type": "Complete", "status": "True"}
TIME = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("status", "timed"),
    [
        ({"conditions": [COMPLETE]}, False),
        ({"conditions": [{**COMPLETE, "reason": "", "message": None, "lastTransitionTime": TIME}]}, True),
        ({"conditions": [{**COMPLETE, "lastTransitionTime": "soon"}]}, False),
        ({"conditions": ["odd", {"type": 7}, {**COMPLETE, "lastTransitionTime": TIME}]}, True),
        ({"phase": "Completed", "conditions": "none"}, False),
        ({"phase": "Completed", "completionTime": "soon"}, False),
        ({"phase": "Completed", "completionTime": "0001-01-01T00:00:00+05:00"}, False),
        ({"phase": "Completed", "completionTime": {"soon": True}, "resolvedExportFormat": 7}, False),
        ({"phase": 7, "artifactURL": [], "conditions": [COMPLETE]}, False),
    ],
    ids=[
        "type and status alone",
        "no reason",
        "time of a condition",
        "odd conditions beside a good one",
        "conditions that are none",
        "time in words",
        "time before the year 1",
        "time that is an object",
        "phase that is a number",
    ],
)
def test_what_cannot_be_read_of_anothers_object_counts_as_absent(
    status: dict[str, Any],
    timed: bool,  # noqa: FBT001 - cases
) -> None:
    found = build(TODAY, status)
    assert found.is_completed
    assert (found.completion_time is not None) is timed
    assert found.export_format == "raw"


@pytest.mark.parametrize("odd", [None, "x", ["x"], 7], ids=repr)
def test_a_build_without_a_spec_or_status_of_its_own_says_nothing(odd: Any) -> None:
    found = ImageBuild.model_validate({"metadata": {"name": "os"}, "spec": odd, "status": odd})
    assert not found.is_completed
    assert found.published_reference is None


def test_a_schedule_is_a_label() -> None:
    label = "automotive.sdv.cloud.redhat.com/scheduledimagebuild-name"
    assert build(TODAY, labels={label: "nightly"}).schedule == "nightly"
    assert build(TODAY).schedule is None
    assert build(TODAY).subject == "team-a/os"
