from __future__ import annotations

import re
from pathlib import Path

import pytest

import image_catalog


@pytest.fixture
def instructions(top: Path) -> list[str]:
    """Return each instruction on one line."""
    text = re.sub(r"^\s*#.*\n", "", (top / "knative/Containerfile").read_text(), flags=re.MULTILINE)
    return [line for line in text.replace("\\\n", "").splitlines() if line]


def test_dependencies_are_installed_with_their_hashes(instructions: list[str]) -> None:
    (install,) = [line for line in instructions if "requirements/runtime.txt" in line and line.startswith("RUN")]
    assert "--require-hashes" in install


def test_every_file_that_is_copied_exists(top: Path, instructions: list[str]) -> None:
    for line in instructions:
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (top / source).exists(), source


def test_the_user_is_a_number_and_not_root(instructions: list[str]) -> None:
    # The kubelet cannot tell from a name that runAsNonRoot holds.
    (user,) = [line.split()[1] for line in instructions if line.startswith("USER")]
    assert re.fullmatch(r"[1-9]\d*:0", user)


def test_no_base_image_is_named_by_digest(instructions: list[str]) -> None:
    # A digest would pin one processor architecture's image, and last year's patches.
    (base,) = [line for line in instructions if line.startswith("ARG PYTHON=")]
    assert base == "ARG PYTHON=docker.io/library/python:3.11-slim"


def test_functions_are_where_the_manifests_look_for_them(instructions: list[str]) -> None:
    assert any(line.endswith("/functions") and "ln -s" in line for line in instructions)
    assert instructions[-1] == 'ENTRYPOINT ["functions-framework", "--asgi"]'


def test_the_build_command_in_the_file_names_this_version(top: Path) -> None:
    assert f"image-catalog:{image_catalog.__version__}" in (top / "knative/Containerfile").read_text()
