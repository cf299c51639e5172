"""Rules of the house that no other tool checks."""

from __future__ import annotations

import ast
import os
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE_ROOTS = (ROOT / "shared", ROOT / "functions")
SOURCES = sorted(path for root in SOURCE_ROOTS for path in root.rglob("*.py"))
PACKAGES = [path for path in SOURCES if path.name == "__init__.py"]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def _pages() -> Iterator[Path]:
    """Yield every page of the repository, without a look into what is made there: libraries have thousands of files."""
    for folder, inner, files in os.walk(ROOT):
        inner[:] = [name for name in inner if not name.startswith(".") and name != "build"]
        yield from (Path(folder, name) for name in files if name.endswith(".md") and not name.startswith("."))


PAGES = sorted(_pages())

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONGEST_MAIN = 40

EXEMPTION = re.compile(
    r"noqa: [A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*|type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\]|pragma: no cover"
)
"""An exemption that names what it exempts from."""
ANY_EXEMPTION = re.compile(r"noqa\b|type: ignore|pragma: no (?:cover|branch)")
REASON = re.compile(r"[A-Za-z]{2,}.*[A-Za-z]")
"""Some words: long enough to say something."""
LOGGERS = {"_log", "logger"}
LOGGING = {"debug", "info", "warning", "error", "exception", "critical"}
WORDS = re.compile(r"[A-Za-z]+(?:[ ,:;'-]+[A-Za-z0-9]+)*")
"""What happened, as docs/audit.md shows it: ``audit appended``; facts are given by name beside it."""
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def name_of(path: Path) -> str:
    """Return a path as the test's id shows it."""
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return what a file says, read once for all tests."""
    return ast.parse(path.read_text())


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Return every node of a file."""
    return list(ast.walk(tree_of(path)))


def path_root(path: Path) -> Path:
    """Return the source root that a module is in."""
    return next(root for root in SOURCE_ROOTS if path.is_relative_to(root))


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of every comment; strings that look like one are none."""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def declared(tree: ast.Module) -> list[str] | None:
    """Return what a module's ``__all__`` lists; `None` when it has none."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if node_value := getattr(node, "value", None):
            for target in targets:
                if isinstance(target, ast.Name) and target.id == "__all__":
                    return list(ast.literal_eval(node_value))
    return None


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines from its ``def``, without the docstring: parameters are described, not counted."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_a_package_declares_everything_that_it_imports() -> None:
    wrong = []
    for path in PACKAGES:
        tree = tree_of(path)
        imported = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module != "__future__"
            for alias in node.names
        }
        wrong += [f"{name_of(path)}: {name}" for name in imported - set(declared(tree) or ())]
    assert wrong == []


def test_a_module_says_what_it_is_and_what_is_public() -> None:
    wrong = []
    for path in SOURCES:
        tree = tree_of(path)
        if not ast.get_docstring(tree):
            wrong.append(f"{name_of(path)}: no docstring")
        # What has no name to import, and what functions-framework loads, declare nothing.
        if path.name not in {"__init__.py", "__main__.py", "main.py"} and declared(tree) is None:
            wrong.append(f"{name_of(path)}: no __all__")
    assert wrong == []


def test_what_a_module_takes_from_another_is_public_there() -> None:
    modules = {".".join(path.relative_to(path_root(path)).with_suffix("").parts): path for path in SOURCES}
    wrong = []
    for path in SOURCES:
        for node in nodes(path):
            if not isinstance(node, ast.ImportFrom) or (taken := modules.get(node.module or "")) is None:
                continue
            public = declared(tree_of(taken))
            names = {alias.name for alias in node.names}
            wrong += [f"{name_of(path)}: {node.module}.{name}" for name in names - set(public or names)]
    assert wrong == []


def test_no_file_and_no_function_is_too_long_to_read() -> None:
    long = []
    for path in SOURCES:
        text = path.read_text()
        if (count := len(text.splitlines())) > LONGEST_FILE:
            long.append(f"{name_of(path)}: {count} lines")
        functions = [n for n in nodes(path) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        found = ((function.name, body_lines(function)) for function in functions)
        long += [f"{name_of(path)}: {lines} lines of {name}" for name, lines in found if lines > LONGEST_FUNCTION]
    assert long == []


def test_a_function_is_wired_on_one_screen() -> None:
    mains = sorted((ROOT / "functions").rglob("main.py"))
    assert mains
    assert [name_of(path) for path in mains if len(path.read_text().splitlines()) > LONGEST_MAIN] == []


def test_an_exemption_names_its_rule_and_its_reason() -> None:
    unexplained = []
    # To find the comments of all files would take longer than everything else here.
    for path in (path for path in SOURCES + TESTS if ANY_EXEMPTION.search(path.read_text())):
        for line, comment in comments(path):
            found = ANY_EXEMPTION.findall(comment)
            if found and (
                len(EXEMPTION.findall(comment)) < len(found) or not REASON.search(EXEMPTION.sub("", comment))
            ):
                unexplained.append(f"{name_of(path)}:{line}: {comment}")
    assert unexplained == []


def test_a_log_line_says_in_words_what_happened() -> None:
    said = [
        (path, node.lineno, node.args[0].value)
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOGGING
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in LOGGERS
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]
    assert len(said) > 50, "the loggers have another name now"
    odd = [f"{name_of(path)}:{line}: {event}" for path, line, event in said if not WORDS.fullmatch(event)]
    assert odd == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    files = [*SOURCES, *TESTS, *PAGES, ROOT / "Makefile", *sorted((ROOT / "knative").rglob("*.yaml"))]
    assert [name_of(path) for path in files if UNFINISHED.search(path.read_text())] == []


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").iterdir()), ids=name_of)
def test_requirements_name_packages_and_no_place_to_get_them(path: Path) -> None:
    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links|\bfile:", path.read_text()) == []


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=name_of)
def test_requirements_are_pinned_and_hashed(path: Path) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", path.read_text().strip())
    assert [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_a_test_neither_patches_our_code_nor_waits_by_the_clock() -> None:
    wrong = []
    # What has none of the words has none of the calls, and need not be parsed.
    for path in (path for path in TESTS if re.search("mock|sleep|setattr", path.read_text())):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {getattr(node, "module", None) or "", *(alias.name for alias in node.names)}
                wrong += [f"{name_of(path)}:{node.lineno}: {name}" for name in names & {"mock", "unittest.mock"}]
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in {"time.sleep", "asyncio.sleep"} or called.endswith("monkeypatch.setattr"):
                    wrong.append(f"{name_of(path)}:{node.lineno}: {ast.unparse(node)}")
    assert wrong == []


def test_every_link_of_a_page_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            there = (page.parent / file).resolve() if file else page
            if not there.exists() or (anchor and anchor not in anchors(there)):
                broken.append(f"{name_of(page)}: {target}")
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert named <= targets
    assert {"demo", "test"} <= named


def test_make_shows_every_target_that_is_not_a_file() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)[0].split())
    explained = set(re.findall(r"^([a-z-]+):[^#\n]*## \S", makefile, flags=re.MULTILINE))
    assert explained == phony


def test_every_page_of_decisions_is_listed_and_dated() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(folder.glob("[0-9]*.md"))
    listed = re.findall(r"\]\(([0-9][^)]+)\)", (folder / "README.md").read_text())
    assert listed == [page.name for page in pages]
    for page in pages:
        title, date, *parts = page.read_text().split("\n\n")
        assert title.startswith("# ")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date)
        headings = [line for part in parts for line in part.splitlines() if line.startswith("#")]
        assert headings == ["## Context", "## Decision", "## Consequence"]


def test_every_page_stands_in_the_list_of_pages() -> None:
    docs = ROOT / "docs"
    text = (docs / "README.md").read_text()
    listed = {(docs / target.partition("#")[0]).resolve() for target in re.findall(r"\]\(([^)\s:]+)\)", text)}
    # A folder with a list of its own is listed by that.
    pages = {
        page for page in docs.rglob("*.md") if page == docs / page.name or not (page.parent / "README.md").exists()
    }
    assert {name_of(page) for page in pages - listed} == {"docs/README.md"}
