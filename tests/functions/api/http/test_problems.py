"""Problem documents, and the closed set of their reasons."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from image_catalog import errors
from image_catalog.errors import CatalogError
from image_catalog.models.reasons import ProblemReason, RejectionReason
from image_catalog_functions.api.http.problems import Problem, respond


def kinds(error: type[CatalogError]) -> Iterator[type[CatalogError]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds(kind)


def test_the_path_that_was_asked_for_is_told_as_a_uri() -> None:
    answer = respond(Problem(404, ProblemReason.NOT_FOUND, "no"), "/images/a b\n\x00ü")
    assert orjson.loads(answer.body)["instance"] == "/images/a%20b%0A%00%C3%BC"


def test_what_a_publication_is_refused_for_the_api_can_say() -> None:
    assert {reason.value for reason in RejectionReason} <= {reason.value for reason in ProblemReason}


def test_what_the_catalogs_errors_say_the_api_can_say() -> None:
    own = [kind for kind in kinds(CatalogError) if kind.__module__ == errors.__name__]
    said = {kind.reason for kind in own if isinstance(vars(kind).get("reason"), str)}
    assert said <= {reason.value for reason in ProblemReason}
