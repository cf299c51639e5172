"""The standard auth files: where they are, which one counts, and that they are read again."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

import pytest

from image_catalog.models import Reference
from image_catalog.registry import AuthFiles

IMAGE = Reference.parse("quay.io/org/image:v1")


def write(path: Path, password: str, *, host: str = "quay.io", legacy: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = {host: {"auth": base64.b64encode(f"u:{password}".encode()).decode()}}
    # As the kubelet exchanges a mounted Secret: another file under the same name.
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(entries if legacy else {"auths": entries}))
    fresh.replace(path)
    return path


def password_of(files: AuthFiles, image: Reference = IMAGE) -> str | None:
    credential = files.find(image).credential
    return credential.password if credential else None


PLACES = {
    "named": ({"REGISTRY_AUTH_FILE": "{0}/mine.json"}, ["mine.json"]),
    "home": ({"HOME": "{0}"}, [".config/containers/auth.json", ".docker/config.json", ".dockercfg"]),
    "runtime-dir": (
        {"XDG_RUNTIME_DIR": "{0}/run", "HOME": "{0}"},
        ["run/containers/auth.json", ".config/containers/auth.json", ".docker/config.json", ".dockercfg"],
    ),
    "config-dirs": (
        {"XDG_CONFIG_HOME": "{0}/etc", "DOCKER_CONFIG": "{0}/docker", "HOME": "{0}"},
        ["etc/containers/auth.json", "docker/config.json"],
    ),
    "no-home": ({"DOCKER_CONFIG": "{0}/docker"}, ["docker/config.json"]),
    "nothing": ({}, []),
}


@pytest.mark.parametrize(("environment", "expected"), PLACES.values(), ids=list(PLACES))
def test_files_are_where_tools_for_containers_have_them(
    tmp_path: Path, environment: dict[str, str], expected: list[str]
) -> None:
    files = AuthFiles.from_environment({name: value.format(tmp_path) for name, value in environment.items()})
    assert password_of(files) is None
    assert files.present == ()
    # From the last one to the first: each wins over those before.
    for name in reversed(expected):
        password = secrets.token_hex(8)
        path = write(tmp_path / name, password, legacy=name == ".dockercfg")
        assert password_of(files) == password
        assert path in files.present
    write(tmp_path / "else.json", "another")
    assert len(files.present) == len(expected)


def test_a_file_that_names_other_hosts_leaves_the_say_to_the_next(tmp_path: Path) -> None:
    write(tmp_path / ".config/containers/auth.json", "first", host="ghcr.io")
    write(tmp_path / ".docker/config.json", "second")
    files = AuthFiles.from_environment({"HOME": str(tmp_path)})
    assert password_of(files) == "second"
    assert password_of(files, Reference.parse("ghcr.io/x")) == "first"
    found = files.find(IMAGE)
    assert found.credential
    assert found.credential.source == f"auth file {tmp_path}/.docker/config.json, key quay.io"


def test_a_file_that_changed_is_read_again_and_its_tokens_are_another_credentials(tmp_path: Path) -> None:
    files = AuthFiles([tmp_path / "auth.json"])
    seen = []
    for number in range(3):
        write(tmp_path / "auth.json", f"password-{number}")
        credential = files.find(IMAGE).credential
        assert credential
        assert credential.password == f"password-{number}"
        seen.append(credential.identity)
    assert len(set(seen)) == 3
    (tmp_path / "auth.json").unlink()
    assert password_of(files) is None


def test_a_file_that_did_not_change_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / "auth.json", "first")
    files = AuthFiles([path])
    stamp = path.stat()
    assert password_of(files) == "first"
    path.write_text(path.read_text().replace("first", "other"))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert password_of(files) == "first"


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        pytest.param(b"{", "it is no JSON", id="no-json"),
        pytest.param(b'{"auths": []}', 'no "auths"', id="no-map"),
        pytest.param(b'{"auths": {"quay.io": {}}, "credsStore": "x"}', "neither a password nor a token", id="helper"),
        pytest.param(b" " * (1024 * 1024 + 1), "longer than", id="too-long"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_and_spoils_no_other(tmp_path: Path, content: bytes, warning: str) -> None:
    bad, good = tmp_path / "bad.json", write(tmp_path / "good.json", "good")
    bad.write_bytes(content)
    found = AuthFiles([bad, good]).find(IMAGE)
    assert found.credential
    assert found.credential.password == "good"
    assert [warning in each for each in found.warnings] == [True]
    assert str(bad) in found.warnings[0]


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    found = AuthFiles([tmp_path]).find(IMAGE)
    assert "cannot be read" in found.warnings[0]
