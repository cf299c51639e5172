"""``caib catalog publish``: what it sends, what it tells, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, ScriptedRequest, problem

Caib = Callable[..., Any]
URL = "quay.io/my-org/custom-build:v1.0.0"
DIGEST = f"sha256:{'ab' * 32}"


def step(name: str, message: str = "", status: str = "ok") -> dict[str, Any]:
    return {"name": name, "status": status, "message": message, "milliseconds": 12}


def entry(phase: str | None = "Available", *, reason: str = "RegistryAccessible", message: str = "") -> dict[str, Any]:
    status: dict[str, Any] = {"phase": phase} if phase else {}
    if phase:
        status["conditions"] = [{"type": "Available", "reason": reason, "message": message}]
    return {
        "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
        "kind": "CatalogImage",
        "metadata": {"name": "my-custom-build", "namespace": "default", "uid": "1", "resourceVersion": "7"},
        "spec": {
            "registryUrl": URL,
            "metadata": {"architecture": "arm64", "distro": "cs9", "targets": [{"name": "raspberry-pi"}]},
        },
        "status": status,
    }


def published(change: str = "created", **fields: Any) -> dict[str, Any]:
    steps = [
        step("ImageBuild status", "Completed"),
        step("Registry location", URL),
        step("Credentials", "none, asked anonymously", "skipped"),
        step("Registry accessibility", "OK (quay.io answered, requests: 2)"),
        step("Digest verification", f"OK ({DIGEST})"),
        step("Catalog image", f"default/my-custom-build {change}"),
    ]
    return entry() | {"steps": steps} | fields


BLOCK = """
Catalog Image:  my-custom-build
Registry URL:   quay.io/my-org/custom-build:v1.0.0
Architecture:   arm64
Distro:         cs9
Target:         raspberry-pi
Status:         Available
"""


def retry_after(answer: ScriptedAnswer, seconds: int) -> ScriptedAnswer:
    return replace(answer, headers={**answer.headers, "Retry-After": str(seconds)})


class TestTelling:
    def test_a_publication_is_told_step_by_step_with_a_summary(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        catalog.answers["POST", "/publish"] = ScriptedAnswer(201, published())
        ran = caib("publish", "my-custom-build", "--tags", "production,tested", "--tags", "edge")
        assert ran.out == (
            f"""Publishing ImageBuild "my-custom-build" to catalog...
✓ ImageBuild status: Completed
✓ Registry location: {URL}
– Credentials: none, asked anonymously
✓ Verifying registry accessibility... OK (quay.io answered, requests: 2)
✓ Digest verification: OK ({DIGEST})
✓ Creating catalog image "my-custom-build"
✓ Published successfully
{BLOCK}"""
        )
        assert (ran.code, ran.err) == (0, "")
        (asked,) = catalog.requests
        assert asked.body == {
            "imageBuildName": "my-custom-build",
            "imageBuildNamespace": "default",
            "tags": ["production", "tested", "edge"],
        }

    def test_what_is_unchanged_is_told_so_and_is_no_failure(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        catalog.answers["POST", "/publish"] = ScriptedAnswer(200, published("unchanged"))
        ran = caib("publish", "my-custom-build")
        assert ran.code == 0
        assert '✓ Catalog image "my-custom-build": unchanged\n✓ Published already, nothing changed\n' in ran.out

    def test_a_new_version_is_told_as_an_update(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        catalog.answers["POST", "/publish"] = ScriptedAnswer(201, published("version"))
        ran = caib("publish", "my-custom-build")
        assert '✓ Updating catalog image "my-custom-build": new version\n✓ Published successfully\n' in ran.out

    def test_a_refusal_is_told_with_the_steps_that_led_to_it(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        steps = [
            step("ImageBuild status", "Completed"),
            step("Registry accessibility", "401 AuthenticationFailed: quay.io: wants another credential", "failed"),
        ]
        catalog.answers["POST", "/publish"] = problem(
            422, "AuthenticationFailed", "quay.io: give a Secret", steps=steps
        )
        ran = caib("publish", "my-custom-build")
        assert ran.code == 1
        assert ran.out.splitlines()[1:] == [
            "✓ ImageBuild status: Completed",
            "✗ Registry accessibility: 401 AuthenticationFailed: quay.io: wants another credential",
        ]
        assert ran.err.splitlines()[0] == "Error: quay.io: give a Secret"

    def test_a_registry_cannot_write_to_the_terminal(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        catalog.answers["POST", "/publish"] = ScriptedAnswer(
            201, published(steps=[step("Digest verification", "OK \x1b[2J\nsecond line")])
        )
        ran = caib("publish", "my-custom-build")
        assert "\x1b" not in ran.out
        assert "✓ Digest verification: OK [2J second line\n" in ran.out

    def test_steps_say_how_long_they_took_when_asked(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        catalog.answers["POST", "/publish"] = ScriptedAnswer(201, published())
        assert "✓ ImageBuild status: Completed (12 ms)\n" in caib("publish", "my-custom-build", "-v").out


class TestScripts:
    @pytest.mark.parametrize("form", ["json", "yaml", "name"])
    def test_data_has_stdout_for_itself(self, caib: Caib, catalog: ScriptedCatalog, form: str) -> None:
        catalog.answers["POST", "/publish"] = ScriptedAnswer(201, published())
        ran = caib("publish", "my-custom-build", "-o", form)
        assert ran.code == 0
        assert "✓ Published successfully" in ran.err
        if form == "json":
            document = json.loads(ran.out)
            assert document["spec"] == entry()["spec"]
            assert document["metadata"] == {"name": "my-custom-build", "namespace": "default"}
            assert "steps" not in document
        elif form == "yaml":
            assert ran.out.startswith("apiVersion: automotive")
        else:
            assert ran.out == "catalogimage/my-custom-build\n"

    def test_a_dry_run_prints_the_request_and_sends_nothing(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        options = ("--catalog-name", "x", "--catalog-namespace", "ops", "--auth-secret", "creds", "-n", "team-a")
        ran = caib("publish", "my-custom-build", "--dry-run", *options)
        line, _, body = ran.out.partition("\n")
        assert line == "POST /api/v1alpha1/catalog/publish"
        assert json.loads(body) == {
            "imageBuildName": "my-custom-build",
            "imageBuildNamespace": "team-a",
            "catalogImageName": "x",
            "catalogImageNamespace": "ops",
            "authSecretRef": {"name": "creds"},
        }
        assert (ran.code, catalog.requests) == (0, [])

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            pytest.param(problem(401, "Unauthenticated", "no token"), 3, id="unauthenticated"),
            pytest.param(problem(403, "Forbidden", "may not create"), 3, id="forbidden"),
            pytest.param(problem(404, "BuildNotFound", "no such build"), 4, id="not-found"),
            pytest.param(problem(409, "OlderThanCurrent", "a newer one is published"), 5, id="conflict"),
            pytest.param(problem(400, "BuildNotCompleted", "it is Building"), 1, id="not-completed"),
            pytest.param(problem(400, "InvalidBody", "tags: too many"), 2, id="usage"),
            pytest.param(problem(422, "ImageNotFound", "the registry does not have it"), 1, id="registry"),
        ],
    )
    def test_a_refusal_has_one_line_and_its_exit_code(
        self, caib: Caib, catalog: ScriptedCatalog, answer: ScriptedAnswer, code: int
    ) -> None:
        catalog.answers["POST", "/publish"] = answer
        ran = caib("publish", "my-custom-build")
        assert ran.code == code
        assert [line for line in ran.err.splitlines() if line.startswith("Error: ")] == ran.err.splitlines()[:1]


class TestWaiting:
    def test_a_phase_that_is_not_settled_is_waited_for_without_counting_as_an_access(
        self, caib: Caib, catalog: ScriptedCatalog
    ) -> None:
        pending = entry(None)
        other = entry() | {"metadata": {"name": "other", "namespace": "default"}}
        catalog.answers["POST", "/publish"] = ScriptedAnswer(201, published(status={}))
        catalog.answers["GET", "/images"] = [
            ScriptedAnswer(200, {"items": [other, pending]}),
            ScriptedAnswer(200, {"items": [other, entry()]}),
        ]
        ran = caib("publish", "my-custom-build", "--wait", "--timeout=5m")
        assert (ran.code, ran.out.endswith(BLOCK)) == (0, True)
        assert {asked.path for asked in catalog.requests} == {"/publish", "/images"}
        assert catalog.requests[-1].parameters["registryUrl"] == URL

    def test_without_waiting_the_phase_is_shown_as_it_is(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        catalog.answers["POST", "/publish"] = ScriptedAnswer(201, published(status={}))
        ran = caib("publish", "my-custom-build", "--no-wait")
        assert (ran.code, len(catalog.requests)) == (0, 1)
        assert ran.out.endswith("Status:         Pending\n")

    def test_a_phase_that_settles_badly_fails_with_the_reason(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        gone = entry("Unavailable", reason="ImageNotFound", message="the registry does not have it")
        catalog.answers["POST", "/publish"] = ScriptedAnswer(201, published(status={}))
        catalog.answers["GET", "/images"] = ScriptedAnswer(200, {"items": [gone]})
        ran = caib("publish", "my-custom-build")
        assert ran.code == 1
        assert ran.out.endswith("Status:         Unavailable (ImageNotFound)\n")
        assert "successfully" not in ran.out
        assert ran.err == (
            'Error: catalog image "my-custom-build" is Unavailable: ImageNotFound: the registry does not have it\n'
        )

    def test_a_phase_that_does_not_settle_in_time_is_a_time_out(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        catalog.answers["POST", "/publish"] = ScriptedAnswer(201, published(status={}))
        catalog.answers["GET", "/images"] = ScriptedAnswer(200, {"items": [entry("Verifying")]})
        ran = caib("publish", "my-custom-build", "--timeout", "250ms")
        assert ran.code == 6
        error, hint = ran.err.splitlines()
        assert error == 'Error: catalog image "my-custom-build" is still Verifying after 0.25s'
        assert "caib catalog get my-custom-build -n default" in hint

    def test_an_entry_that_is_removed_meanwhile_is_not_found(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        catalog.answers["POST", "/publish"] = ScriptedAnswer(201, published(status={}))
        catalog.answers["GET", "/images"] = ScriptedAnswer(200, {"items": []})
        assert caib("publish", "my-custom-build").code == 4

    def test_trouble_that_passes_is_waited_out(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        trouble = retry_after(problem(503, "RegistryUnreachable", "quay.io does not answer"), 0)
        catalog.answers["POST", "/publish"] = [trouble, ScriptedAnswer(201, published())]
        ran = caib("publish", "my-custom-build")
        assert ran.code == 0
        assert "– RegistryUnreachable: quay.io does not answer; asked again in 0 s\n" in ran.out

    def test_trouble_that_outlasts_the_patience_is_a_time_out(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        trouble = retry_after(problem(503, "RegistryUnreachable", "quay.io does not answer"), 9)
        catalog.answers["POST", "/publish"] = trouble
        ran = caib("publish", "my-custom-build", "--timeout", "5s")
        assert (ran.code, len(catalog.requests)) == (6, 1)
        assert ran.err.splitlines() == [
            "Error: quay.io does not answer; --timeout 5s leaves no time to ask again",
            "Hint: it may pass: wait longer with --timeout",
        ]

    def test_a_phase_that_passes_by_itself_is_waited_out(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        away = entry("Unavailable", reason="RegistryUnreachable", message="quay.io does not answer")
        catalog.answers["POST", "/publish"] = ScriptedAnswer(201, published(status=away["status"]))
        catalog.answers["GET", "/images"] = [
            ScriptedAnswer(200, {"items": [away]}),
            ScriptedAnswer(200, {"items": [entry()]}),
        ]
        ran = caib("publish", "my-custom-build")
        assert (ran.code, ran.out.endswith(BLOCK)) == (0, True)
        catalog.answers["GET", "/images"] = ScriptedAnswer(200, {"items": [away]})
        ran = caib("publish", "my-custom-build", "--timeout", "250ms")
        assert ran.code == 6
        assert ran.err.startswith(
            'Error: catalog image "my-custom-build" is still Unavailable (RegistryUnreachable) after 0.25s\n'
        )

    def test_without_waiting_trouble_is_told_at_once(self, caib: Caib, catalog: ScriptedCatalog) -> None:
        catalog.answers["POST", "/publish"] = retry_after(problem(503, "RegistryUnreachable", "no"), 0)
        assert (caib("publish", "my-custom-build", "--no-wait").code, len(catalog.requests)) == (1, 1)


def test_ctrl_c_says_that_the_server_may_go_on(catalog: ScriptedCatalog, tmp_path: Path) -> None:
    process: list[subprocess.Popen[bytes]] = []

    def interrupted(_: ScriptedRequest) -> ScriptedAnswer:
        process[0].send_signal(signal.SIGINT)
        process[0].wait(30)
        return ScriptedAnswer(201, published())

    catalog.answers["POST", "/publish"] = interrupted
    command = [str(Path(sys.executable).with_name("caib")), "catalog", "publish", "my-custom-build"]
    environment = {"HOME": str(tmp_path), "CAIB_SERVER": catalog.url}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        process.append(started)
        out, err = started.communicate(timeout=30)
    assert started.returncode == 130
    assert out.decode() == 'Publishing ImageBuild "my-custom-build" to catalog...\n'
    assert err.decode() == (
        "Error: interrupted; the server may go on with it\nHint: see: caib catalog get my-custom-build -n default\n"
    )
