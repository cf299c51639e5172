"""File names that somebody else chose: none leads out of the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_catalog.cli.download.names import UnsafeNameError, local_path


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/etc/passwd",
        "../disk.raw",
        "a/../../disk.raw",
        "a//b",
        "a/",
        "/",
        "a/./b",
        "..\\disk.raw",
        "C:\\disk.raw",
        "C:disk.raw",
        "a\\b",
        "disk\0.raw",
        "disk\n.raw",
        "disk\x1b[2J.raw",
        "disk\u202e.raw",
        "disk\u2028.raw",
        ".bashrc",
        "..data",
        "a/.ssh/authorized_keys",
        "~/disk.raw",
        "~root",
        "-rf",
        " disk.raw",
        "disk.raw ",
        "disk.raw.",
        "con",
        "NUL.raw",
        "com1.img",
        "disk*.raw",
        "disk?.raw",
        'disk".raw',
        "disk|.raw",
        "disk.raw.part",
        "a" * 251,
        "ä" * 126,
        "\ud800",
        "/".join("abcdefghi"),
    ],
    ids=repr,
)
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeNameError, match="has a name that no file is given here"):
        local_path(tmp_path, name)


@pytest.mark.parametrize(
    "name",
    ["disk.raw", "disk.raw.gz", "boot/boot.img", "a b+c_(1).qcow2", "größe.img", "a" * 244, "a..b"],
    ids=repr,
)
def test_a_plain_name_is_kept_below_the_folder(tmp_path: Path, name: str) -> None:
    path = local_path(tmp_path, name)
    assert path == tmp_path / name
    assert path.resolve().is_relative_to(tmp_path.resolve())


def test_a_link_in_the_folder_is_not_followed_out_of_it(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "boot").symlink_to(elsewhere)
    (folder / "disk.raw").symlink_to(elsewhere / "passwd")
    for name in ("boot/boot.img", "disk.raw"):
        with pytest.raises(UnsafeNameError, match="by a link"):
            local_path(folder, name)
    (folder / "inside").mkdir()
    (folder / "same").symlink_to(folder / "inside")
    assert local_path(folder, "same/boot.img") == folder / "same" / "boot.img"
