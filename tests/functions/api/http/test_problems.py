"""Every word that a refusal can have is one of the API's own."""

from __future__ import annotations

from collections.abc import Iterator

from image_catalog import errors
from image_catalog.errors import CatalogError
from image_catalog.models.reasons import ProblemReason, RejectionReason


def kinds(error: type[CatalogError]) -> Iterator[type[CatalogError]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds(kind)


def test_what_a_publication_is_refused_for_the_api_can_say() -> None:
    assert {reason.value for reason in RejectionReason} <= {reason.value for reason in ProblemReason}


def test_what_the_catalogs_errors_say_the_api_can_say() -> None:
    own = [kind for kind in kinds(CatalogError) if kind.__module__ == errors.__name__]
    said = {kind.reason for kind in own if isinstance(vars(kind).get("reason"), str)}
    assert said <= {reason.value for reason in ProblemReason}
