"""What the page says of statuses and reasons is what the code answers."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

import image_catalog_functions.api
from image_catalog import errors
from image_catalog.errors import CatalogError
from image_catalog.models.events import PublishRejected, RejectionReason
from image_catalog.models.reasons import ProblemReason
from image_catalog_functions.api.http.problems import problem_of
from image_catalog_functions.api.http.reasons import REASONS
from image_catalog_functions.api.writing.written import refused

API = Path(image_catalog_functions.api.__path__[0])


def written() -> Iterator[tuple[int, ProblemReason]]:
    """Yield the status and the reason of every problem that is made with both in its place."""
    for path in API.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem" and len(node.args) > 1:
                status, reason = node.args[:2]
                if isinstance(reason, ast.Attribute) and ast.unparse(reason.value) == "ProblemReason":
                    yield _status(status), ProblemReason[reason.attr]


def _status(node: ast.expr) -> int:
    if isinstance(node, ast.Attribute):
        return int(HTTPStatus[node.attr])
    assert isinstance(node, ast.Constant)
    return int(str(node.value))


def simple_errors() -> list[CatalogError]:
    """Return an error of every kind that needs no more than a message."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CatalogError)]
    simple = [kind for kind in kinds if kind.reason != CatalogError.reason and len(_needed(kind)) == 1]
    return [kind("x") for kind in simple]


def _needed(kind: type[CatalogError]) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(kind).parameters.values() if p.default is p.empty]


def test_every_reason_has_a_status() -> None:
    assert {reason for reasons in REASONS.values() for reason in reasons} == set(ProblemReason)


def test_what_the_api_says_itself_is_on_the_page() -> None:
    found = set(written())
    assert len(found) > 30
    assert [(status, reason) for status, reason in sorted(found) if reason not in REASONS[status]] == []


@pytest.mark.parametrize("reason", RejectionReason)
def test_a_refused_publication_has_a_status_that_the_page_names(reason: RejectionReason) -> None:
    problem = refused(PublishRejected(namespace="a", reason=reason, message="no"))
    assert problem.reason in REASONS[problem.status]


@pytest.mark.parametrize("error", simple_errors(), ids=lambda error: type(error).__name__)
def test_an_error_has_a_status_that_the_page_names(error: CatalogError) -> None:
    problem = problem_of(error)
    assert problem.reason in REASONS[problem.status]
