"""What every command of ``caib`` does alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image_catalog import __version__
from image_catalog.cli.errors import ExitCode
from image_catalog.cli.handover import next_on_path
from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem

Run = Callable[..., Any]
NOTHING = {"items": [], "metadata": {"continue": "", "remainingItemCount": 0, "resourceVersion": "1"}}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nope",),
        ("catalog", "nonsense"),
        ("catalog", "get"),
        ("catalog", "get", "x", "-o", "xml"),
        ("catalog", "list", "--nope"),
        ("catalog", "list", "--phase", "Lost"),
        ("catalog", "list", "--limit", "0"),
        ("catalog", "list", "--limit", "501"),
        ("catalog", "list", "--all", "--limit", "3"),
        ("catalog", "list", "--request-timeout", "soon"),
        ("catalog", "list", "--request-timeout", "0s"),
        ("catalog", "list", "--request-timeout", "1d"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_one_line_and_where_to_read_on(caib: Run, arguments: tuple[str, ...]) -> None:
    ran = caib(*arguments)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (ExitCode.USAGE, "", 1)
    assert ran.err.startswith("Error: ")
    assert ran.err.rstrip().endswith("--help")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--request-timeout", "5"), "'5' is no duration above zero: write 30s or 1m30s"),
        (("--request-timeout", "0s"), "'0s' is no duration above zero: write 30s or 1m30s"),
        (("-o", "xml"), "'xml' is not one of 'table', 'wide', 'json', 'yaml', 'name'"),
    ],
    ids=["no unit", "nothing", "no format"],
)
def test_an_impossible_value_is_told_what_is_possible(caib: Run, arguments: tuple[str, ...], said: str) -> None:
    assert f": {said}; see caib" in caib("catalog", "list", *arguments).err


def test_a_mistyped_command_is_told_what_is_near(caib: Run) -> None:
    assert caib("catalog", "lst").err == 'Error: no such command "lst", did you mean list?; see caib catalog --help\n'


@pytest.mark.parametrize("arguments", [(), ("catalog",), ("images",)], ids=["caib", "caib catalog", "caib images"])
def test_a_group_without_a_command_shows_its_help(caib: Run, arguments: tuple[str, ...]) -> None:
    ran = caib(*arguments)
    assert ran.code == ExitCode.USAGE
    assert "Commands" in ran.out + ran.err


@pytest.mark.parametrize("command", ["list", "get", "publish", "add", "verify", "remove", "history", "artifacts"])
def test_every_command_explains_itself_and_the_global_options(caib: Run, command: str) -> None:
    ran = caib("catalog", command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert "Global options" in ran.out


def test_the_version_is_the_packages(caib: Run) -> None:
    ran = caib("--version")
    assert (ran.code, ran.out) == (0, f"caib {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--token", "A", "catalog", "list"),
        ("catalog", "--token", "A", "list"),
        ("catalog", "list", "--token", "A"),
        ("--token", "B", "catalog", "list", "--token", "A"),
    ],
    ids=["first", "between", "last", "twice"],
)
def test_a_global_option_may_stand_anywhere_and_the_last_one_counts(
    caib: Run, catalog: ScriptedCatalog, arguments: tuple[str, ...]
) -> None:
    catalog.answers["GET", "/images"] = ScriptedAnswer(200, NOTHING)
    assert caib(*arguments).code == 0
    assert catalog.requests[0].headers["authorization"] == "Bearer A"


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (
            problem(400, "InvalidParameter", "digest: is no digest"),
            ExitCode.USAGE,
            "Error: digest: is no digest\n",
        ),
        (
            problem(403, "Forbidden", 'you may not list catalogimages in namespace "default"'),
            ExitCode.DENIED,
            (
                'Error: you may not list catalogimages in namespace "default"\n'
                "Hint: somebody who may grant rights in that namespace can bind a role with this verb to you\n"
            ),
        ),
        (problem(409, "Conflict", "stale"), ExitCode.CONFLICT, "Error: stale\n"),
        (problem(504, "TimedOut", "late"), ExitCode.TIMED_OUT, "Error: late\n"),
        (problem(503, "ClusterUnavailable", "not\nnow"), ExitCode.ERROR, "Error: not now\n"),
        (
            problem(503, "IndexNotFilled", "the index is not filled yet"),
            ExitCode.ERROR,
            (
                "Error: the index is not filled yet\n"
                "Hint: it has just started, or cannot reach the cluster; ask again in a moment, or see its /readyz\n"
            ),
        ),
        (ScriptedAnswer(500, {}), ExitCode.ERROR, "Error: HTTP 500\n"),
    ],
    ids=["400", "403", "409", "504", "503", "not filled", "no words"],
)
def test_a_refusal_is_the_apis_sentence_and_the_code_that_scripts_go_by(
    caib: Run, catalog: ScriptedCatalog, answer: ScriptedAnswer, code: ExitCode, said: str
) -> None:
    catalog.answers["GET", "/images"] = answer
    ran = caib("catalog", "list")
    assert (ran.code, ran.out, ran.err) == (code, "", said)


@pytest.mark.parametrize(
    ("arguments", "said", "remedy"),
    [
        ((), "asks for a token, and there is none", "give one with --token"),
        (
            ("--token", "x"),
            "does not accept the token: over",
            "it may have expired; give another one with --token",
        ),
    ],
    ids=["none", "refused"],
)
def test_a_token_that_is_missing_or_over_gets_the_remedy(
    caib: Run, catalog: ScriptedCatalog, arguments: tuple[str, ...], said: str, remedy: str
) -> None:
    catalog.answers["GET", "/images"] = problem(401, "Unauthenticated", "over")
    ran = caib("catalog", "list", *arguments)
    error, hint = ran.err.splitlines()
    assert (ran.code, error) == (ExitCode.DENIED, f"Error: {catalog.url} {said}")
    assert hint == f'Hint: {remedy} "$(kubectl create token SERVICEACCOUNT)", or CAIB_TOKEN'


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ScriptedAnswer(200, "<html>", {"Content-Type": "text/html"}), "answers 200 with text/html"),
        (ScriptedAnswer(302, "", {"Location": "https://sso/", "Content-Type": ""}), "a redirect to https://sso/"),
        (ScriptedAnswer(200, "[1]"), "answers 200 with application/json"),
        (ScriptedAnswer(200, "{"), "answers 200 with application/json"),
    ],
    ids=["page", "log-in", "list", "half"],
)
def test_what_is_not_the_catalog_is_told_as_such(
    caib: Run, catalog: ScriptedCatalog, answer: ScriptedAnswer, said: str
) -> None:
    catalog.answers["GET", "/images"] = answer
    ran = caib("catalog", "list")
    error, hint = ran.err.splitlines()
    assert ran.code == ExitCode.ERROR
    assert said in error
    assert error.endswith("not as the catalog does")
    assert "--server" in hint


def test_requests_are_told_when_asked_for_and_never_the_token(caib: Run, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images"] = ScriptedAnswer(200, NOTHING)
    ran = caib("catalog", "list", "-v", "--token", "very-secret")
    assert f"GET {catalog.url}/api/v1alpha1/catalog/images?namespace=default&limit=20 200 " in ran.err
    assert "very-secret" not in ran.err + ran.out


def test_another_group_without_another_caib_is_told(caib: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    ran = caib("--server", "https://x", "build", "--push")
    assert ran.code == ExitCode.USAGE
    assert ran.err.splitlines()[0] == 'Error: this caib has no command "build", and there is no other caib on PATH'


def test_the_next_caib_is_neither_this_one_nor_a_link_to_it_nor_a_second_installation(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("this", "link", "twin", "plain", "other")]
    for folder in folders:
        folder.mkdir()
    this, link, twin, plain, other = (folder / "caib" for folder in folders)
    this.write_text("#!/bin/sh\n")
    link.symlink_to(this)
    twin.write_text("#!/usr/bin/python\nfrom image_catalog.cli.caib import main\n")
    plain.write_text("not executable")
    other.write_text("#!/bin/sh\n")
    for path in (this, twin, other):
        path.chmod(0o755)
    path_of = {"PATH": ":".join(str(folder) for folder in folders)}
    assert next_on_path("caib", beside=this, environ=path_of) == other
    assert next_on_path("caib", beside=this, environ={"PATH": str(folders[0])}) is None


def test_a_token_that_is_given_and_empty_is_not_replaced_by_another_one(caib: Run, catalog: ScriptedCatalog) -> None:
    ran = caib("catalog", "list", "--token", "")
    assert (ran.code, catalog.requests) == (ExitCode.ERROR, [])
    assert ran.err.splitlines() == [
        "Error: the token that --token gives is empty",
        "Hint: did the command that it comes from fail?",
    ]


def test_who_may_not_see_all_namespaces_is_told_what_is_missing(caib: Run, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images"] = problem(403, "Forbidden", "you may not list catalogimages in all namespaces")
    assert caib("catalog", "list", "-A").err.splitlines()[1] == (
        "Hint: somebody who may grant rights in all namespaces can bind a role with this verb to you"
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [("--arch", "--architecture"), ("--source", "--source-image-build"), ("--all-n", "--all-namespaces")],
    ids=["one", "a long one", "not the shorter one"],
)
def test_an_option_that_begins_like_another_one_is_named(caib: Run, written: str, meant: str) -> None:
    ran = caib("catalog", "list", written, "x")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err == f"Error: no such option {written}, did you mean {meant}?; see caib catalog list --help\n"


def test_the_help_of_a_command_shows_its_own_options_and_says_where_the_others_are(caib: Run) -> None:
    shown = caib("catalog", "remove", "--help").out
    assert "--namespace" in shown
    assert "--kubeconfig" not in shown
    assert "1m when absent" in " ".join(shown.replace("│", " ").split())
    assert "All global options: caib --help" in shown
    assert "--kubeconfig" in caib("--help").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_that_is_named_is_shown(caib: Run, shell: str) -> None:
    ran = caib("--show-completion", shell)
    assert (ran.code, ran.err) == (ExitCode.DONE, "")
    assert f"_CAIB_COMPLETE=complete_{shell}" in ran.out


def test_a_shell_without_a_completion_is_told(caib: Run) -> None:
    ran = caib("--show-completion", "tcsh")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err == "Error: there is no completion for tcsh\nHint: there is one for bash, zsh, fish\n"


def test_a_completion_is_installed_for_the_shell_that_is_named(caib: Run, home: Path) -> None:
    ran = caib("--install-completion", "fish")
    assert (ran.code, ran.out) == (ExitCode.DONE, "")
    (installed,) = home.rglob("caib.fish")
    assert ran.err == f"fish completion installed in {installed}; it takes effect in a new terminal\n"
