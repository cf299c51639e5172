"""``caib catalog list``, once and watching."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_catalog.cli.client import CatalogClient
from image_catalog.cli.listing import Listed, watch_list
from image_catalog.cli.options import GlobalOptions
from image_catalog.cli.output import Format
from image_catalog.cli.settings import resolve
from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, ScriptedRequest, problem
from image_catalog_functions.api.reading.queries import ListQuery

Run = Callable[..., Any]
DIGEST = "sha256:" + "a" * 64


def ago(**since: int) -> str:
    return (datetime.now(UTC) - timedelta(**since)).strftime("%Y-%m-%dT%H:%M:%SZ")


def entry(name: str, *, version: str = "1", namespace: str = "default", phase: str | None = "Available") -> Any:
    return {
        "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
        "kind": "CatalogImage",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": version,
            "creationTimestamp": ago(hours=50),
        },
        "spec": {
            "registryUrl": f"quay.io/acme/{name}:1.0",
            "tags": ["nightly", "lts"],
            "metadata": {"architecture": "arm64", "distro": "cs9", "targets": [{"name": "qemu"}, {"name": "rcar"}]},
        },
        "status": {
            "phase": phase,
            # An age of less would show the seconds that the test takes.
            "lastVerificationTime": ago(minutes=12),
            "nextVerificationTime": "2026-11-21T12:00:00Z",
            "nextVerificationReason": "Interval",
            "registryMetadata": {
                "resolvedDigest": DIGEST,
                "sizeBytes": 1_234_567_890,
                "platformVariants": [{"architecture": "arm64"}, {"architecture": "amd64"}],
            },
        },
    }


def page(*entries: Any, token: str = "", remaining: int = 0) -> ScriptedAnswer:
    metadata = {"continue": token, "remainingItemCount": remaining, "resourceVersion": "9"}
    return ScriptedAnswer(200, {"items": list(entries), "metadata": metadata}, {"ETag": '"1"'})


def test_a_table_has_kubectls_cells_and_columns(caib: Run, catalog: ScriptedCatalog) -> None:
    bare = {"metadata": {"name": "bare"}, "spec": {"registryUrl": "quay.io/a/b:1"}}
    catalog.answers["GET", "/images"] = page(entry("autosd-cs9"), bare)
    ran = caib("catalog", "list")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "NAME         REGISTRY                      ARCHITECTURE   DISTRO   TARGET   PHASE       AGE",
        "autosd-cs9   quay.io/acme/autosd-cs9:1.0   arm64          cs9      qemu     Available   2d2h",
        "bare         quay.io/a/b:1                                                  Pending",
    ]


@pytest.mark.parametrize(
    ("availability", "shown"),
    [
        ({"last24h": 1, "known24h": 1, "last30d": 0.99999, "known30d": 0.995}, ["100%", "99.99%"]),
        ({"last24h": 0.5, "known24h": 0.129, "last30d": 0, "known30d": 0.0054}, ["50%/12%", "0%/0%"]),
        ({"known24h": 0, "known30d": 0}, []),
    ],
    ids=["known", "not all known", "nothing known"],
)
def test_wide_tells_for_which_share_of_time_an_image_was_there(
    caib: Run, catalog: ScriptedCatalog, availability: dict[str, float], shown: list[str]
) -> None:
    found = entry("x")
    found["status"]["availability"] = availability
    catalog.answers["GET", "/images"] = page(found)
    _, row = caib("catalog", "list", "--wide").out.splitlines()
    assert [cell for cell in row.split() if "%" in cell] == shown


def test_wide_adds_what_kubectl_adds_and_sizes_platforms_targets_tags(caib: Run, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images"] = page(entry("x"))
    head, row = caib("catalog", "list", "-o", "wide").out.splitlines()
    assert head.split("AGE")[1].split() == [
        "DIGEST", "LAST", "VERIFIED", "NEXT", "VERIFICATION", "NEXT", "REASON", "NAMESPACE", "SIZE", "PLATFORMS",
        "TARGETS", "AVAILABLE", "24H", "AVAILABLE", "30D", "TESTED", "TAGS", "HINTS",
    ]  # fmt: skip
    assert row.split()[6:] == [
        "2d2h", DIGEST, "12m", "2026-11-21T12:00:00Z", "Interval", "default", "1.2GB", "arm64,amd64", "qemu,rcar",
        "nightly,lts",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reasons", "hints"),
    [
        pytest.param({"DigestMatched": "TagMoved"}, "DRIFT", id="drift"),
        pytest.param({"DigestMatched": "PinnedDigestMissing"}, "DRIFT", id="pinned content gone"),
        pytest.param({"Available": "Quarantined", "DigestMatched": "TagMoved"}, "QUARANTINED,DRIFT", id="quarantine"),
        pytest.param({"MetadataConsistent": "MetadataConflict"}, "CONFLICT", id="conflict"),
        pytest.param(
            {"MetadataConsistent": "MetadataConflict", "DigestMatched": "TagMoved"}, "DRIFT,CONFLICT", id="both"
        ),
        pytest.param({"Recalled": "ContentRecalled"}, "RECALLED", id="recalled"),
    ],
)
def test_wide_hints_at_what_people_should_look_at(
    caib: Run, catalog: ScriptedCatalog, reasons: dict[str, str], hints: str
) -> None:
    image = entry("x")
    image["status"]["conditions"] = [{"type": t, "status": "False", "reason": reason} for t, reason in reasons.items()]
    catalog.answers["GET", "/images"] = page(image)
    _, row = caib("catalog", "list", "-o", "wide").out.splitlines()
    assert row.split()[-1] == hints


def test_wide_says_how_boards_were_tested_and_that_a_tag_moved_before_an_outage(
    caib: Run, catalog: ScriptedCatalog
) -> None:
    image = entry("x")
    tested = {"tested": True, "passRate": 0.969, "runs": 32, "lastTested": ago(hours=50)}
    image["status"]["targets"] = [
        {"name": "qemu", "verified": True, **tested},
        {"name": "rcar", "verified": True},
        {"name": "rpi4", "verified": False, **tested, "passRate": 0, "runs": 1},
    ]
    image["status"]["drift"] = {"tagDigest": DIGEST}
    catalog.answers["GET", "/images"] = page(image)
    _, row = caib("catalog", "list", "-o", "wide").out.splitlines()
    assert row.split()[-4:] == ["qemu,rcar", "qemu✓96%/32/2d2h,rpi4✗0%/1/2d2h", "nightly,lts", "DRIFT"]


def test_an_image_that_must_not_be_used_is_not_shown_as_available(caib: Run, catalog: ScriptedCatalog) -> None:
    image = entry("x")
    image["status"]["conditions"] = [{"type": "Recalled", "status": "True", "reason": "PlatformRecalled"}]
    catalog.answers["GET", "/images"] = page(image)
    _, row = caib("catalog", "list").out.splitlines()
    assert row.split()[5] == "Available,Recalled"


def test_what_holds_of_an_image_is_shown_and_not_what_somebody_typed(caib: Run, catalog: ScriptedCatalog) -> None:
    image = entry("x")
    image["status"]["effectiveMetadata"] = {"architecture": "amd64,arm64", "distro": "autosd", "targets": ["rpi4"]}
    catalog.answers["GET", "/images"] = page(image)
    _, row = caib("catalog", "list", "-o", "wide").out.splitlines()
    assert row.split()[2:5] == ["amd64,arm64", "autosd", "rpi4"]
    assert "qemu" not in row


def test_of_every_namespace_the_namespace_stands_first(caib: Run, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images"] = page(entry("x", namespace="team-b"))
    for form in ("table", "wide"):
        head, row = caib("catalog", "list", "-A", "-o", form).out.splitlines()
        assert (head.split()[0], row.split()[0], head.count("NAMESPACE")) == ("NAMESPACE", "team-b", 1)
    assert catalog.requests[0].parameters == {"allNamespaces": "true", "limit": "20"}


def test_every_filter_of_the_api_is_a_flag(caib: Run, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images"] = page()
    arguments = (
        "--architecture aarch64 --distro cs9 --distro-version 9.4 --target qemu --phase available --tags a,b --tags c "
        f"--no-bootc-capable --no-recalled --build-mode image --digest {DIGEST} --registry-url quay.io/a/b:1 "
        "--kernel-version 6.1 --min-availability 0.995 --availability-window 30d "
        "--source-image-build ns/b --schedule nightly -q txt --latest --as-of 7d "
        "--sort size --order asc --limit 7 -n team-b"
    )
    assert caib("catalog", "list", *arguments.split()).code == 0
    assert catalog.requests[0].parameters == {
        "namespace": "team-b", "architecture": "aarch64", "distro": "cs9", "distroVersion": "9.4", "target": "qemu",
        "phase": "Available", "tags": "a,b,c", "bootcCapable": "false", "recalled": "false", "buildMode": "image",
        "digest": DIGEST, "registryUrl": "quay.io/a/b:1", "kernelVersion": "6.1", "sourceImageBuild": "ns/b",
        "minAvailability": "0.995", "availabilityWindow": "30d", "schedule": "nightly", "q": "txt",
        "latest": "true", "asOf": "7d", "sort": "size", "order": "asc", "limit": "7",
    }  # fmt: skip
    # Those are all: the others are --all-namespaces, and what --all follows.
    known = {field.alias for field in ListQuery.model_fields.values()}
    assert {*catalog.requests[0].parameters, "allNamespaces", "continue"} == known


@pytest.mark.parametrize(
    ("arguments", "where"), [((), "namespace default"), (("-A",), "any namespace")], ids=["one", "all"]
)
def test_an_empty_list_says_so_beside_the_output(
    caib: Run, catalog: ScriptedCatalog, arguments: tuple[str, ...], where: str
) -> None:
    catalog.answers["GET", "/images"] = page()
    ran = caib("catalog", "list", *arguments)
    assert (ran.code, ran.out, ran.err) == (0, "", f"no images in {where}\n")


def test_more_pages_are_told_beside_the_output(caib: Run, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images"] = page(entry("x"), token="abc", remaining=37)
    ran = caib("catalog", "list", "-o", "name")
    assert ran.out == "catalogimage/x\n"
    assert ran.err == "1 image shown, 37 more there; --all shows every one, --limit N up to 500\n"


def test_all_follows_the_pages_to_the_last(caib: Run, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images"] = [page(entry("a"), token="t1", remaining=1), page(entry("b"))]
    ran = caib("catalog", "list", "--all", "-o", "name")
    assert (ran.out, ran.err) == ("catalogimage/a\ncatalogimage/b\n", "")
    assert [request.parameters.get("continue") for request in catalog.requests] == [None, "t1"]
    assert catalog.requests[0].parameters["limit"] == "500"


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)], ids=["json", "yaml"])
def test_data_is_a_list_that_kubectl_takes(
    caib: Run, catalog: ScriptedCatalog, form: str, read: Callable[[str], Any]
) -> None:
    catalog.answers["GET", "/images"] = page(entry("x"), entry("ü"))
    found = read(caib("catalog", "list", "-o", form).out)
    assert (found["apiVersion"], found["kind"], found["metadata"]["resourceVersion"]) == ("v1", "List", "9")
    assert [item["metadata"]["name"] for item in found["items"]] == ["x", "ü"]


def test_what_an_entry_says_cannot_move_the_cursor(caib: Run, catalog: ScriptedCatalog) -> None:
    odd = entry("x")
    odd["spec"]["tags"] = ["\x1b[2Jred", "two\nlines"]
    catalog.answers["GET", "/images"] = page(odd)
    out = caib("catalog", "list", "-o", "wide").out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2


def watching(catalog: ScriptedCatalog, home: Path, looks: int, *, form: Format = Format.TABLE, **asked: Any) -> None:
    """Watch until so many looks are over, as if Ctrl-C was pressed then."""
    waits = iter(range(looks - 1))

    def wait(seconds: float) -> None:
        assert seconds == 1
        if next(waits, None) is None:
            raise KeyboardInterrupt

    settings = resolve(GlobalOptions(server=catalog.url, token="t"), environ={"HOME": str(home)})
    listed = {"filters": {}, "limit": None, "everything": False, "all_namespaces": False, **asked}
    with CatalogClient(settings=settings) as client:
        watch_list(client, Listed(form=form, **listed), wait=wait)


def test_a_watch_prints_what_is_new_changed_and_gone(
    catalog: ScriptedCatalog, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog.answers["GET", "/images"] = [
        page(entry("a"), entry("b")),
        ScriptedAnswer(304, None, {"ETag": '"1"'}),
        page(entry("a"), entry("b", version="2", phase="Unavailable"), entry("c")),
        page(entry("a"), entry("c")),
    ]
    watching(catalog, home, 4)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[5]) for row in rows] == [
        ("NAME", "PHASE"),
        ("a", "Available"),
        ("b", "Available"),
        ("b", "Unavailable"),
        ("c", "Available"),
        ("b", "Deleted"),
    ]
    assert [request.headers.get("if-none-match") for request in catalog.requests] == [None, '"1"', '"1"', '"1"']


@pytest.mark.parametrize(("form", "mark"), [(Format.NAME, "catalogimage/a"), (Format.YAML, "---"), (Format.JSON, "{")])
def test_a_watch_for_scripts_is_a_stream_of_objects(
    catalog: ScriptedCatalog, home: Path, capsys: pytest.CaptureFixture[str], form: Format, mark: str
) -> None:
    catalog.answers["GET", "/images"] = [page(entry("a")), page(entry("a", version="2"))]
    watching(catalog, home, 2, form=form)
    assert capsys.readouterr().out.splitlines().count(mark) == 2


def test_what_leaves_a_full_page_is_not_told_as_gone(
    catalog: ScriptedCatalog, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog.answers["GET", "/images"] = [page(entry("a"), token="t"), page(entry("b"), token="t")]
    watching(catalog, home, 2, limit=1)
    assert "Deleted" not in capsys.readouterr().out


def test_a_watch_of_everything_follows_the_pages(
    catalog: ScriptedCatalog, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(request: ScriptedRequest) -> ScriptedAnswer:
        return page(entry("b")) if "continue" in request.parameters else page(entry("a"), token="t")

    catalog.answers["GET", "/images"] = answer
    watching(catalog, home, 1, everything=True)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["NAME", "a", "b"]


def test_a_watch_survives_a_server_that_is_away_with_one_line(
    catalog: ScriptedCatalog, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = problem(503, "ClusterUnavailable", "the index is not filled")
    catalog.answers["GET", "/images"] = [page(entry("a")), away, away, page(entry("a", version="2"))]
    watching(catalog, home, 4)
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    assert captured.err.splitlines() == [
        "the index is not filled; trying again until it answers or Ctrl-C",
        "the server answers again",
    ]


@pytest.mark.parametrize("answers", [[503], [200, 403]], ids=["from the start", "for good"])
def test_a_watch_ends_with_what_waiting_does_not_mend(caib: Run, catalog: ScriptedCatalog, answers: list[int]) -> None:
    def scripted() -> Iterator[ScriptedAnswer]:
        for status in answers:
            yield page(entry("a")) if status == 200 else problem(status, "X", "no")

    catalog.answers["GET", "/images"] = list(scripted())
    ran = caib("catalog", "list", "--watch")
    assert ran.code == {503: 1, 403: 3}[answers[-1]]
    assert ran.err.startswith("Error: no\n")
