"""Which image a board is given, and by which rule each other one loses: the rules, and their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from image_catalog.catalog.index import Index
from image_catalog.catalog.inputs import verified_inputs
from image_catalog.catalog.resolution import (
    RULES,
    Candidate,
    CandidateCache,
    IndexedBoard,
    IndexedRecalls,
    Resolution,
    Wish,
    resolve,
)
from image_catalog.models import CatalogImageSpec
from image_catalog.models.names import ANNOTATION_METADATA_OVERRIDE
from image_catalog.models.reasons import ResolutionReason
from image_catalog.testing.boards import ListedBoard

MakeObject = Callable[..., dict[str, Any]]
DigestOf = Callable[[str], str]

ANY = Wish(target="rpi4", namespace="default")
EVERYWHERE = replace(ANY, namespace=None)
SINCE = replace(ANY, published_since=datetime(2026, 6, 1, tzinfo=UTC))
NEWER, OLDER = {"status/publishedAt": "2026-06-02T12:00:00Z"}, {"status/publishedAt": "2026-05-01T12:00:00Z"}
D = "sha256:" + "d" * 64
E = "sha256:" + "e" * 64
F = "sha256:" + "f" * 64


def platform(architecture: str, digest: str, **more: str) -> dict[str, str]:
    return {"architecture": architecture, "os": "linux", "digest": digest, **more}


def recall(digest: str, namespace: str = "default") -> dict[str, str]:
    return {"digest": digest, "reason": "boots only once", "namespace": namespace, "name": "x", "recalledBy": "ann"}


def evidence(*, passed: bool) -> dict[str, Any]:
    return {"status/targets": [{"name": "rpi4", "verified": passed, "tested": True}]}


INDEX = {
    "spec/metadata/architecture": None,
    "status/registryMetadata": {"resolvedDigest": F, "platformVariants": [platform("amd64", D), platform("arm64", E)]},
}
VARIANTS = {
    "status/registryMetadata": {
        "resolvedDigest": F,
        "platformVariants": [platform("arm64", D, variant="v8"), platform("arm64", E, variant="v9")],
    }
}
QUARANTINE = {
    "status/phase": "Unavailable",
    "status/conditions": [{"type": "Available", "status": "False", "reason": "Quarantined", "message": "moved"}],
}
OTHER_ARCHITECTURE = {
    "spec/metadata/architecture": "x86_64",
    "status/registryMetadata/platform/architecture": "amd64",
}


class Case(NamedTuple):
    """A wish, the entries for the board, and what becomes of each: `None` is the one that is chosen."""

    id: str
    wish: Wish
    entries: dict[str, dict[str, Any]]
    expected: dict[str, ResolutionReason | None]


R = ResolutionReason
CASES = [
    Case("the only one", ANY, {"a": {}}, {"a": None}),
    Case("none", ANY, {}, {}),
    Case("another board's is no candidate", ANY, {"a": {"spec/metadata/targets": [{"name": "qemu"}]}}, {}),
    Case("another namespace's is no candidate", ANY, {"a": {"metadata/namespace": "team-b"}}, {}),
    Case("any namespace's is one", EVERYWHERE, {"a": {"metadata/namespace": "team-b"}}, {"a": None}),
    Case("a second board counts", replace(ANY, target="qemu"), {"a": {}}, {"a": None}),
    Case("the last published", ANY, {"a": {}, "b": NEWER, "c": OLDER},
         {"a": R.SUPERSEDED, "b": None, "c": R.SUPERSEDED}),
    Case("without publication, the last made", ANY,
         {"a": {}, "b": {"status/publishedAt": None, "metadata/creationTimestamp": "2026-06-03T00:00:00Z"}},
         {"a": R.SUPERSEDED, "b": None}),
    Case("without any time, last", ANY, {"a": {"status/publishedAt": None}, "b": OLDER},
         {"a": R.SUPERSEDED, "b": None}),
    Case("of one second, the last built", ANY,
         {"a": {"status/sourceImageBuild": {"name": "x", "completionTime": "2026-06-01T11:59:00Z"}},
          "b": {"status/sourceImageBuild": {"name": "y", "completionTime": "2026-06-01T11:59:01Z"}}},
         {"a": R.SUPERSEDED, "b": None}),
    Case("of equal times, the first by name", ANY, {"b": {}, "a": {}}, {"a": None, "b": R.TIE_BREAK}),
    Case("of equal times, the first by namespace", EVERYWHERE,
         {"a": {"metadata/namespace": "team-b"}, "z": {"metadata/namespace": "team-a"}}, {"a": R.TIE_BREAK, "z": None}),
    Case("a version does not outrank a publication", ANY,
         {"a": {**OLDER, "spec/metadata/distroVersion": "9.6"}, "b": {}}, {"a": R.SUPERSEDED, "b": None}),
    Case("distro", replace(ANY, distro="cs10"), {"a": {}}, {"a": R.DISTRO_MISMATCH}),
    Case("distro unknown", replace(ANY, distro="cs9"), {"a": {"spec/metadata/distro": None}}, {"a": R.DISTRO_MISMATCH}),
    Case("the registry's word for the distro counts", replace(ANY, distro="cs9"),
         {"a": {"status/registryMetadata/annotations": {"com.redhat.automotive.distro": "cs10"}}},
         {"a": R.DISTRO_MISMATCH}),
    Case("distro version", replace(ANY, distro_version="9.5"), {"a": {}}, {"a": R.DISTRO_VERSION_MISMATCH}),
    Case("architecture", replace(ANY, architecture="amd64"), {"a": {}}, {"a": R.ARCHITECTURE_MISMATCH}),
    Case("architecture by another name", replace(ANY, architecture="arm64"),
         {"a": {"spec/metadata/architecture": "aarch64", "status/registryMetadata/platform": None}}, {"a": None}),
    Case("architecture unknown", replace(ANY, architecture="arm64"),
         {"a": {"spec/metadata/architecture": None, "status/registryMetadata/platform": None}},
         {"a": R.ARCHITECTURE_MISMATCH}),
    Case("architecture unknown and not asked for", ANY,
         {"a": {"spec/metadata/architecture": None, "status/registryMetadata/platform": None}}, {"a": None}),
    Case("all tags", replace(ANY, tags=("lts", "gold")), {"a": {}, "b": {"spec/tags": ["gold", "lts"]}},
         {"a": R.TAG_MISSING, "b": None}),
    Case("build mode", replace(ANY, build_mode="bootc"), {"a": {}}, {"a": R.BUILD_MODE_MISMATCH}),
    Case("bootc", replace(ANY, bootc_capable=True), {"a": {}}, {"a": R.BOOTC_MISMATCH}),
    Case("not bootc", replace(ANY, bootc_capable=False), {"a": {"spec/metadata/bootcCapable": True}},
         {"a": R.BOOTC_MISMATCH}),
    Case("bootc unknown", replace(ANY, bootc_capable=False), {"a": {"spec/metadata/bootcCapable": None}},
         {"a": R.BOOTC_MISMATCH}),
    Case("being removed", ANY, {"a": {"metadata/deletionTimestamp": "2026-06-02T00:00:00Z"}}, {"a": R.BEING_REMOVED}),
    Case("recalled", ANY, {"a": {"status/registryMetadata/resolvedDigest": D, "status/recalls": [recall(D)]}},
         {"a": R.RECALLED}),
    Case("recalled where it was promoted from", ANY,
         {"a": {"status/registryMetadata/resolvedDigest": D, "status/recalls": [recall(D, "dev")]}}, {"a": R.RECALLED}),
    Case("recalled at another entry", ANY,
         {"a": {"status/registryMetadata/resolvedDigest": D}, "b": {"status/recalls": [recall(D)], **OLDER}},
         {"a": R.RECALLED, "b": None}),
    Case("recalled in another namespace", EVERYWHERE,
         {"a": {"status/registryMetadata/resolvedDigest": D},
          "b": {"metadata/namespace": "team-b", "status/recalls": [recall(D, "team-b")], **OLDER}},
         {"a": None, "b": R.SUPERSEDED}),
    Case("an earlier version was recalled", ANY, {"a": {"status/recalls": [recall(D)]}}, {"a": None}),
    Case("the index is recalled", replace(ANY, architecture="arm64"), {"a": INDEX | {"status/recalls": [recall(F)]}},
         {"a": R.RECALLED}),
    Case("the platform is recalled", replace(ANY, architecture="arm64"), {"a": INDEX | {"status/recalls": [recall(E)]}},
         {"a": R.RECALLED}),
    Case("another platform is recalled", replace(ANY, architecture="arm64"),
         {"a": INDEX | {"status/recalls": [recall(D)]}}, {"a": None}),
    Case("one of two platforms is recalled, and none is meant", ANY, {"a": INDEX | {"status/recalls": [recall(D)]}},
         {"a": R.ARCHITECTURE_AMBIGUOUS}),
    Case("the platform is recalled at another entry", replace(ANY, architecture="arm64"),
         {"a": INDEX, "b": {"status/recalls": [recall(E)], **OLDER}}, {"a": R.RECALLED, "b": None}),
    Case("quarantined", ANY, {"a": QUARANTINE}, {"a": R.QUARANTINED}),
    Case("released from quarantine", ANY, {"a": QUARANTINE | {"status/phase": "Available"}}, {"a": None}),
    *(Case(f"phase {phase}", ANY, {"a": {"status/phase": phase}}, {"a": R.NOT_AVAILABLE})
      for phase in ("Pending", "Verifying", "Unavailable", "Failed", None)),
    Case("changed since it was checked", ANY, {"a": {"metadata/generation": 2}}, {"a": R.NOT_CHECKED}),
    Case("changed in nothing that is checked", ANY,
         {"a": {"metadata/generation": 2, "status/verifiedInputs": verified_inputs(
             CatalogImageSpec(registry_url="quay.io/acme/a:1"))}}, {"a": None}),
    Case("changed into what cannot be read", ANY, {"a": {"metadata/generation": 2, "spec/registryUrl": 5}},
         {"a": R.NOT_CHECKED}),
    Case("digest unknown", ANY, {"a": {"status/registryMetadata": None}}, {"a": R.DIGEST_UNKNOWN}),
    Case("pinned to another digest", ANY, {"a": {"spec/digest": D}}, {"a": R.DIGEST_UNKNOWN}),
    Case("a reference that cannot be read", ANY, {"a": {"spec/registryUrl": "nonsense"}}, {"a": R.DIGEST_UNKNOWN}),
    Case("two platforms", ANY, {"a": INDEX}, {"a": R.ARCHITECTURE_AMBIGUOUS}),
    Case("two platforms, one asked for", replace(ANY, architecture="amd64"), {"a": INDEX}, {"a": None}),
    Case("two platforms, one declared", ANY, {"a": INDEX | {"spec/metadata/architecture": "aarch64"}}, {"a": None}),
    Case("two platforms, another declared", ANY,
         {"a": INDEX | {"spec/metadata/architecture": "riscv64",
                        "metadata/annotations": {ANNOTATION_METADATA_OVERRIDE: "true"}}},
         {"a": R.ARCHITECTURE_AMBIGUOUS}),
    Case("two variants", ANY, {"a": VARIANTS}, {"a": R.ARCHITECTURE_AMBIGUOUS}),
    Case("two variants, one declared", ANY, {"a": VARIANTS | {"spec/metadata/variant": "v9"}}, {"a": None}),
    Case("two operating systems", ANY,
         {"a": {"status/registryMetadata": {"resolvedDigest": F, "platformVariants": [
             platform("arm64", D), platform("arm64", E) | {"os": "windows"}]}}}, {"a": None}),
    Case("an index of one platform", ANY,
         {"a": {"status/registryMetadata": {"resolvedDigest": F, "platformVariants": [platform("arm64", D)]}}},
         {"a": None}),
    Case("never tested", replace(ANY, verified_only=True), {"a": {}}, {"a": R.NOT_VERIFIED}),
    Case("tested and passed", replace(ANY, verified_only=True), {"a": evidence(passed=True)}, {"a": None}),
    Case("tested and failed", replace(ANY, verified_only=True), {"a": evidence(passed=False)}, {"a": R.NOT_VERIFIED}),
    Case("tested on another board", replace(ANY, verified_only=True),
         {"a": {"status/targets": [{"name": "qemu", "verified": True, "tested": True}]}}, {"a": R.NOT_VERIFIED}),
    Case("a person's word of the content", replace(ANY, verified_only=True),
         {"a": {"status/targets": [{"name": "rpi4", "verified": True}]}}, {"a": None}),
    Case("a person's word that nobody has held against the content yet", replace(ANY, verified_only=True),
         {"a": {"spec/metadata/targets": [{"name": "rpi4", "verified": True}]}}, {"a": R.NOT_VERIFIED}),
    Case("availability unknown", replace(ANY, min_availability=0), {"a": {"status/availability": None}},
         {"a": R.AVAILABILITY_UNKNOWN}),
    Case("availability too low", replace(ANY, min_availability=0.995), {"a": {}}, {"a": R.AVAILABILITY_TOO_LOW}),
    Case("availability just enough", replace(ANY, min_availability=0.99), {"a": {}}, {"a": None}),
    Case("availability over a day where a month is not known", replace(ANY, min_availability=0.7),
         {"a": {"status/availability": {"last24h": 1}}}, {"a": None}),
    Case("too old", SINCE, {"a": {}, "b": OLDER}, {"a": None, "b": R.TOO_OLD}),
    Case("just young enough", SINCE, {"a": {"status/publishedAt": "2026-06-01T00:00:00Z"}}, {"a": None}),
    Case("of one second, all are as old", replace(ANY, published_since=datetime(2026, 6, 1, 12, 0, 0, 500_000, UTC)),
         {"a": {"status/publishedAt": "2026-06-01T12:00:00.9Z"},
          "b": {"status/publishedAt": "2026-06-01T12:00:00.1Z", "metadata/creationTimestamp": "2026-06-01T12:00:00Z"}},
         {"a": R.TOO_OLD, "b": R.TOO_OLD}),
    Case("of unknown age", SINCE, {"a": {"status/publishedAt": None}}, {"a": R.TOO_OLD}),
    Case("the newest that can be had", ANY, {"a": {}, "b": {**NEWER, "status/phase": "Failed"}, "c": OLDER},
         {"a": None, "b": R.NOT_AVAILABLE, "c": R.SUPERSEDED}),
]  # fmt: skip


def resolved(wish: Wish, objects: list[dict[str, Any]], limit: int = 500) -> Resolution:
    index = Index()
    for obj in objects:
        index.put(obj)
    candidates = [Candidate.of_object(obj) for obj in objects]
    return resolve(wish, ListedBoard(candidates, wish), IndexedRecalls(index), limit=limit)


def outcomes(found: Resolution) -> dict[str, ResolutionReason | None]:
    lost: dict[str, ResolutionReason | None] = {each.candidate.name: each.loss.reason for each in found.rejected}
    return lost if found.chosen is None else lost | {found.chosen.candidate.name: None}


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_every_image_is_the_one_or_loses_by_one_rule(case: Case, make_object: MakeObject) -> None:
    found = resolved(case.wish, [make_object(name, changes) for name, changes in case.entries.items()])
    assert outcomes(found) == case.expected
    assert all(each.loss.message for each in found.rejected)


def test_rules_are_asked_in_the_order_in_which_the_reasons_stand(make_object: MakeObject) -> None:
    wish = Wish(
        target="rpi4",
        namespace="default",
        distro="cs9",
        distro_version="9.4",
        architecture="arm64",
        tags=("gold",),
        build_mode="image",
        bootc_capable=True,
        verified_only=True,
        min_availability=0.9,
        published_since=datetime(2026, 6, 1, tzinfo=UTC),
    )
    good = {"spec/tags": ["gold"], "spec/metadata/bootcCapable": True, **evidence(passed=True)}
    # Breaks every rule; then each is mended in turn, so that what is left loses by the next one.
    broken: dict[str, Any] = {
        "spec/tags": [],
        "spec/metadata/distro": "cs10",
        "spec/metadata/distroVersion": "10.1",
        "spec/metadata/architecture": "x86_64",
        "spec/metadata/buildMode": "package",
        "spec/metadata/bootcCapable": False,
        "spec/digest": D,
        "metadata/deletionTimestamp": "2026-06-02T00:00:00Z",
        "metadata/generation": 2,
        "status/registryMetadata": {"resolvedDigest": F, "platformVariants": [platform("amd64", D)]},
        "status/recalls": [recall(F)],
        "status/availability": None,
        **QUARANTINE,
        **OLDER,
    }
    mended: list[dict[str, Any]] = [
        {"spec/metadata/distro": "cs9"},
        {"spec/metadata/distroVersion": "9.4"},
        {"spec/metadata/architecture": "arm64", **VARIANTS},
        {"spec/tags": ["gold"]},
        {"spec/metadata/buildMode": "image"},
        {"spec/metadata/bootcCapable": True},
        {"metadata/deletionTimestamp": None},
        {"status/recalls": []},
        {"status/conditions": []},
        {"status/phase": "Available"},
        {"metadata/generation": 1},
        {"spec/digest": None},
        {"spec/metadata/variant": "v8"},
        evidence(passed=True),
        {"status/availability": {"last30d": 0.1}},
        {"status/availability": {"last30d": 1}},
        {"status/publishedAt": "2026-06-01T11:00:00Z"},
        {"status/publishedAt": "2026-06-01T12:00:00Z"},
    ]
    other, seen = make_object("a", good), []
    for mend in ({}, *mended):
        broken |= mend
        found = resolved(wish, [other, make_object("b", broken)])
        seen += [each.loss.reason for each in found.rejected]
        assert found.chosen is not None
        assert found.chosen.candidate.name == "a"
    assert seen == list(ResolutionReason)
    assert seen[:-2] == [rule.reason for rule in RULES]


@pytest.mark.parametrize(
    ("wish", "changes", "digest", "index"),
    [
        (ANY, {"status/registryMetadata/resolvedDigest": D}, D, None),
        (replace(ANY, architecture="arm64"), INDEX, E, F),
        (replace(ANY, architecture="amd64"), INDEX, D, F),
        (replace(ANY, architecture="amd64"), INDEX | {"spec/metadata/architecture": "arm64"}, D, F),
        (ANY, VARIANTS | {"spec/metadata/variant": "v9"}, E, F),
        (ANY, {"status/registryMetadata": {"resolvedDigest": F, "platformVariants": [platform("arm64", D)]}}, D, F),
    ],
    ids=["an image", "arm64 of two", "amd64 of two", "another than the declared", "a variant", "an index of one"],
)
def test_the_reference_is_of_the_platform(
    wish: Wish, changes: dict[str, Any], digest: str, index: str | None, make_object: MakeObject
) -> None:
    url = {"spec/registryUrl": "Registry.Example.COM:5000/acme/a:1.0"}
    chosen = resolved(wish, [make_object("a", changes | url)]).chosen
    assert chosen is not None
    assert chosen.reference == f"registry.example.com:5000/acme/a@{digest}"
    assert (chosen.platform.digest, chosen.index_digest) == (digest, index)


def test_those_of_the_wanted_kind_are_told_first_and_the_rest_is_counted(make_object: MakeObject) -> None:
    objects = [
        make_object("other", NEWER | {"spec/metadata/distro": "cs10"}),
        make_object("old", OLDER),
        make_object("chosen"),
        make_object("older", {"status/publishedAt": "2026-04-01T12:00:00Z"}),
    ]
    wish = replace(ANY, distro="cs9")
    whole = resolved(wish, objects)
    assert [each.candidate.name for each in whole.rejected] == ["old", "older", "other"]
    for limit in range(4):
        part = resolved(wish, objects, limit)
        assert part.chosen == whole.chosen
        assert part.rejected == whole.rejected[:limit]
        assert part.remaining == 3 - limit


def test_a_recall_is_told_with_who_and_why(make_object: MakeObject) -> None:
    changes = {"status/registryMetadata/resolvedDigest": D, "status/recalls": [recall(D)]}
    (lost,) = resolved(ANY, [make_object("a", changes)]).rejected
    assert lost.loss.message == f"{D} was recalled by ann at default/x: boots only once"


def test_entries_of_one_name_are_told_apart_by_their_namespace(make_object: MakeObject) -> None:
    found = resolved(EVERYWHERE, [make_object("a", {"metadata/namespace": name}) for name in ("team-b", "team-a")])
    assert found.chosen is not None
    assert found.chosen.candidate.namespace == "team-a"
    assert [each.candidate.namespace for each in found.rejected] == ["team-b"]


def test_an_entry_that_changes_is_read_again(make_object: MakeObject) -> None:
    index, cache = Index(), CandidateCache()

    def chosen(obj: dict[str, Any]) -> bool:
        assert index.put(obj)
        return resolve(ANY, IndexedBoard(index, ANY, cache), IndexedRecalls(index), limit=1).chosen is not None

    assert chosen(make_object("a"))
    assert not chosen(make_object("a", {"metadata/resourceVersion": "2", "status/registryMetadata": None}))
    assert index.remove("default", "a")
    assert chosen(make_object("a", {"metadata/resourceVersion": "3", "metadata/uid": "another"}))
