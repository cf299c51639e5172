"""What the name of a file says of it."""

from __future__ import annotations

import pytest

from image_catalog.artifacts import format_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("disk.raw", "raw"),
        ("boot.img", "raw"),
        ("disk.qcow2", "qcow2"),
        ("disk.qcow2.gz", "qcow2+gzip"),
        ("DISK.RAW.XZ", "raw+xz"),
        ("a/b/system_a.simg.lz4", "simg+lz4"),
        ("manifest.json", None),
        ("notes.gz", None),
        ("", None),
    ],
)
def test_the_format_is_guessed_from_the_name(name: str, expected: str | None) -> None:
    assert format_of(name) == expected
