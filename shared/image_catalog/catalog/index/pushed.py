"""Which entries have to do with what a registry was given, or has lost."""

from __future__ import annotations

from pyroaring import BitMap

from image_catalog.catalog.index.postings import Postings
from image_catalog.catalog.index.values import term

__all__ = ["holders_of_push"]


def holders_of_push(terms: Postings, repository: str, *, tag: str | None, digest: str | None) -> BitMap:
    """Return the slots of the entries that have to do with a place of a registry: it costs no more than there are.

    Parameters
    ----------
    terms
        Every entry's words.
    repository, tag, digest
        The place, as `Index.of_push` takes it.
    """
    in_repository = term("repository", repository)
    if not (tag or digest):
        return terms.holders((in_repository,))
    asked: list[tuple[str, ...]] = []
    if tag:
        asked.append((term("registryUrl", f"{repository}:{tag}"),))
    if digest:
        asked.append((term("registryUrl", f"{repository}@{digest}"),))
        asked.append((in_repository, term("digest", digest)))
    return BitMap.union(*map(terms.holders, asked))
