from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_catalog import __version__
from image_catalog.cli.errors import ExitCode
from image_catalog.cli.operator import app

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]


def test_what_is_committed_is_what_the_code_says(run: Run) -> None:
    schemas = ROOT / "shared" / "image_catalog" / "events" / "schemas"
    assert run(app, "crds", "--check", "--output", ROOT / "crds").code == 0
    assert run(app, "schemas", "--check", "--output", schemas).code == 0


@pytest.mark.parametrize(
    ("command", "file"),
    [("crds", "catalogimages.yaml"), ("schemas", "image.published.json")],
    ids=["crds", "schemas"],
)
def test_a_file_that_is_behind_is_named_with_the_remedy(run: Run, tmp_path: Path, command: str, file: str) -> None:
    written = run(app, command, "--output", tmp_path)
    assert f"wrote {tmp_path / file}" in written.out.splitlines()
    assert run(app, command, "--check", "--output", tmp_path).code == 0

    (tmp_path / file).write_text("old")

    ran = run(app, command, "--check", "--output", tmp_path)
    assert (ran.code, ran.err) == (ExitCode.ERROR, f"behind the code: {file}; run `make crds`\n")
    assert (tmp_path / file).read_text() == "old"


@pytest.mark.parametrize("port", ["--api-port", "--broker-port", "--registry-port"])
def test_a_port_that_is_taken_is_named_with_the_remedy(run: Run, tmp_path: Path, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        ran = run(app, "local", "up", port, str(number), "--folder", tmp_path / "stack")
    assert ran.code == ExitCode.ERROR
    assert ran.err.splitlines()[-1] == f"Error: port {number} is taken: choose another one with {port}, or leave it out"
    assert not (tmp_path / "stack").exists()


def test_a_kubeconfig_that_leads_nowhere_ends_before_anything_runs(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {"token": "a"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    path.write_text(yaml.safe_dump(config))
    ran = run(app, "local", "up", "--kubeconfig", path, "--folder", tmp_path / "stack")
    assert ran.code == ExitCode.ERROR
    assert ran.err.splitlines()[-1].startswith(f"Error: the kubeconfig {path} leads to no cluster: ")
    assert not (tmp_path / "stack" / "logs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("local", "up", "--nope"), "no such option: --nope"),
        (("local", "up", "--api-port", "99999"), "65535"),
        (("local", "up", "--kubeconfig", "/no/such/file"), "does not exist"),
        (("local", "demo", "--registry", "127.0.0.1:5000"), "write http://127.0.0.1:5000"),
        (("crds", "--nope"), "no such option: --nope"),
    ],
    ids=["flag", "port", "kubeconfig", "registry", "crds"],
)
def test_a_wrong_flag_is_one_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    ran = run(app, *arguments)
    assert (ran.code, len(ran.err.splitlines())) == (ExitCode.USAGE, 1)
    assert said in ran.err


def test_the_version_is_the_packages(run: Run) -> None:
    assert run(app, "--version").out == f"image-catalog {__version__}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("local", "up", "--help")], ids=" ".join)
def test_help_is_given(run: Run, arguments: tuple[str, ...]) -> None:
    ran = run(app, *arguments)
    assert ran.code == 0
    assert "Usage" in ran.out
