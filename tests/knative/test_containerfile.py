from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import image_catalog

Objects = dict[tuple[str, str], dict[str, Any]]

_INSTRUCTIONS = {"ARG", "FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "EXPOSE", "ENTRYPOINT"}


@pytest.fixture
def instructions(top: Path) -> list[str]:
    """Return each instruction on one line."""
    text = re.sub(r"^\s*#.*\n", "", (top / "knative/Containerfile").read_text(), flags=re.MULTILINE)
    return [line for line in text.replace("\\\n", "").splitlines() if line]


def _stages(instructions: list[str]) -> list[list[str]]:
    """Return the instructions of each stage, its ``FROM`` first."""
    starts = [index for index, line in enumerate(instructions) if line.startswith("FROM ")]
    return [instructions[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def test_every_line_is_an_instruction_that_every_builder_knows(instructions: list[str]) -> None:
    assert {line.split()[0] for line in instructions} <= _INSTRUCTIONS


def test_what_builds_is_left_behind(instructions: list[str]) -> None:
    build, final = _stages(instructions)
    # Python's path is in the environment's scripts: both stages must have the same one.
    assert build[0].split()[1] == final[0].split()[1] == "${PYTHON}"
    (copied,) = [line for line in final if line.startswith("COPY")]
    assert copied.split() == ["COPY", "--from=build", "/opt/image-catalog", "/opt/image-catalog"]
    assert not [line for line in final if "pip" in line]


def test_every_package_and_pythons_own_library_are_compiled(instructions: list[str]) -> None:
    # A read-only root file system keeps nothing that is compiled later.
    build, final = _stages(instructions)
    for stage, what in ((build, "/opt/image-catalog/lib"), (final, "stdlib")):
        (compiling,) = [line for line in stage if "compileall" in line]
        assert compiling.startswith("RUN")
        assert "--invalidation-mode unchecked-hash" in compiling
        assert what in compiling
    # Compiled before it is copied, and by root, who alone may write there.
    assert "compileall" in build[-1]
    assert next(i for i, line in enumerate(final) if "compileall" in line) < final.index("USER 65532:0")


def test_every_service_starts_something_that_the_image_has(top: Path, local: Objects) -> None:
    code = top / "functions" / "image_catalog_functions"
    for (kind, name), service in local.items():
        if kind != "Service":
            continue
        (container,) = service["spec"]["template"]["spec"]["containers"]
        assert container["image"].partition(":")[0] == "image-catalog"
        sources = [v["value"] for v in container["env"] if v["name"] == "FUNCTION_SOURCE"]
        if sources:
            assert (code / sources[0].removeprefix("/functions/")).is_file(), name
        else:
            assert container["command"] == ["python", "-m", f"image_catalog_functions.{name}"]
            assert (code / name / "__main__.py").is_file()


def test_what_starts_is_among_the_dependencies(top: Path, instructions: list[str]) -> None:
    assert instructions[-1].startswith('ENTRYPOINT ["functions-framework"')
    assert re.search(r"^functions-framework==", (top / "requirements/runtime.txt").read_text(), re.MULTILINE)


def test_the_image_has_a_python_that_the_package_takes(top: Path, instructions: list[str]) -> None:
    (base,) = [line for line in instructions if line.startswith("ARG PYTHON=")]
    version = tuple(map(int, base.rpartition(":")[2].removesuffix("-slim").split(".")))
    required = tomllib.loads((top / "pyproject.toml").read_text())["project"]["requires-python"]
    assert version >= tuple(map(int, required.removeprefix(">=").split(".")))


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
    assert any("ln -s /opt/image-catalog/functions /functions" in line for line in instructions)
    assert instructions[-1] == 'ENTRYPOINT ["functions-framework", "--asgi"]'


def test_the_build_command_in_the_file_names_this_version(top: Path) -> None:
    assert f"image-catalog:{image_catalog.__version__}" in (top / "knative/Containerfile").read_text()
