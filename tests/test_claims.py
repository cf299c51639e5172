"""Whatever a page names of settings, figures, commands, flags, calls, files and tests is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted(
    page
    for page in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *(ROOT / "knative").rglob("*.md"))
    # A decision tells of its day, and what is made from the code is compared with it.
    if not page.is_relative_to(ROOT / "docs" / "decisions") and page.parent != REFERENCE
)

SETTING = re.compile(r"\bIMAGE_CATALOG_[A-Z_]+\b")
FIGURE = re.compile(r"\bimage_catalog_[a-z_]+(?:_total|_seconds|_ratio|_bytes|_info|_entries)\b")
COMMAND = re.compile(
    r"(?:(?<=`)|(?<=bin/)|^(?:\$ )?)"
    r"(caib (?:catalog|images)|image-catalog(?: local| audit| dead-letters)?) ([a-z][a-z-]*)(.*)",
    re.MULTILINE,
)
"""At a line's beginning or in backticks: elsewhere it is prose, or a namespace."""
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
CALL = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[\w/{}-]*)")
TEST = re.compile(r"`(test_\w+)(\.py)?`")

GROUPS = {"image-catalog dead-letters"}
"""What is named as a group, without a command of it."""


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def reference(name: str) -> str:
    return text_of(REFERENCE / name)


@cache
def flags() -> dict[str, set[str]]:
    """Return the flags of each command line, the global ones of ``caib`` too."""
    found = {}
    for section in re.split(r"^(?=##)", reference("cli.md"), flags=re.MULTILINE)[1:]:
        found[section.splitlines()[0].lstrip("# ")] = set(FLAG.findall(section)) | {"--help", "--version"}
    return found


@cache
def there() -> frozenset[str]:
    files = list((ROOT / "tests").rglob("test_*.py"))
    functions = (name for file in files for name in re.findall(r"def (test_\w+)\(", text_of(file)))
    return frozenset((*functions, *(file.stem for file in files)))


def on_pages(wrong: Callable[[str], Iterable[str]]) -> dict[str, list[str]]:
    """Return what is wrong with a page's text, by the page's name, of those of which anything is."""
    found = {str(page.relative_to(ROOT)): sorted(wrong(text_of(page))) for page in PAGES}
    assert len(found) > 20, "the pages are elsewhere now"
    return {page: said for page, said in found.items() if said}


def test_settings() -> None:
    known = set(SETTING.findall(reference("settings.md")))
    assert on_pages(lambda text: set(SETTING.findall(text)) - known) == {}


def test_figures() -> None:
    known = set(FIGURE.findall(text_of(ROOT / "docs" / "metrics.md")))
    assert on_pages(lambda text: set(FIGURE.findall(text)) - known) == {}


def test_commands_and_their_flags() -> None:
    assert on_pages(wrong_commands) == {}


def wrong_commands(text: str) -> Iterator[str]:
    for group, name, rest in COMMAND.findall(text):
        line = f"{group} {name}"
        if line not in flags():
            yield from [line] if line not in GROUPS else []
            continue
        # Up to the end of the command, in prose of the code that it stands in.
        said = re.split(r"[`|#;&]|\$\(", rest)[0]
        yield from (f"{line} {flag}" for flag in FLAG.findall(said) if flag not in flags()[line] | flags()["caib"])


def test_calls() -> None:
    known = {*re.findall(r"`([A-Z]+ /[\w/{}.-]*)`", reference("api.md")), "GET /v2/"}
    prefixes = ("", "/api/v1alpha1/catalog", "/api/v1alpha1")

    def unknown(text: str) -> Iterator[str]:
        named = set(CALL.findall(text))
        return (
            f"{method} {path}" for method, path in named if not any(f"{method} {p}{path}" in known for p in prefixes)
        )

    assert on_pages(unknown) == {}


def test_tests() -> None:
    assert on_pages(lambda text: {name for name, _ in TEST.findall(text)} - there()) == {}
