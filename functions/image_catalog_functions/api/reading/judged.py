"""List queries, read parameter by parameter: what one means is known from the last time that somebody gave it."""

from __future__ import annotations

import re
from typing import Any, Final

from image_catalog.catalog.index import Query
from image_catalog_functions.api.http.parameters import MAX_QUERY_BYTES, read_query
from image_catalog_functions.api.reading.queries import ListQuery
from image_catalog_functions.api.reading.tokens import MAX_TOKEN

__all__ = ["JudgedParameters"]

_MAX_KNOWN: Final = 2048
_MAX_LENGTH: Final = 256
"""Parameters that are remembered, and their length in bytes: half a megabyte, whatever strangers send."""

_CONTINUE: Final = re.compile(rb"continue=([A-Za-z0-9_-]{1,%d})" % MAX_TOKEN)
"""No token comes twice: it is not judged by the model, and not remembered."""

_Meaning = tuple[str, Any]
"""What is asked by a parameter: a field of `Query`, or one that `JudgedParameters.read` knows, and its value."""


class JudgedParameters:
    """Reads list queries.

    What a parameter may be does not depend on the others, and most are given again and again: a filter, a sort, a
    length. So `ListQuery` judges each once, and a query is put together from what is known, in a fifth of the time.

    Parameters
    ----------
    namespace
        What a query asks about that names none.
    """

    def __init__(self, *, namespace: str) -> None:
        self._namespace = namespace
        self._known: dict[bytes, _Meaning] = {}

    def __len__(self) -> int:
        """Tell how many parameters are known."""
        return len(self._known)

    def read(self, raw: bytes) -> tuple[Query, str | None] | None:
        """Return what the index is asked, and the continue token; `None` for what `ListQuery` has to read.

        Parameters
        ----------
        raw
            The query string as it came.

        Raises
        ------
        Problem
            400 for a parameter that is not known or not possible. It is told as if it were the only one.
        """
        if len(raw) > MAX_QUERY_BYTES:
            return None
        pairs = raw.split(b"&") if raw else []
        given: dict[str, Any] = {}
        known = self._known
        for pair in pairs:
            meaning = known.get(pair) or self._judge(pair)
            if meaning is None:
                return None
            given[meaning[0]] = meaning[1]
        if len(given) != len(pairs):
            return None
        token = given.pop("continue_", None)
        if given.pop("all_namespaces", False):
            given["namespace"] = None
        elif "namespace" not in given:
            given["namespace"] = self._namespace
        return Query(**given), token

    def _judge(self, pair: bytes) -> _Meaning | None:
        if token := _CONTINUE.fullmatch(pair):
            return "continue_", token[1].decode()
        query = read_query(ListQuery, pair)
        if len(query.model_fields_set) != 1 or query.as_of is not None or query.continue_ is not None:
            return None
        (name,) = query.model_fields_set
        if name == "all_namespaces":
            meaning = name, query.all_namespaces
        else:
            field = "descending" if name == "order" else name
            meaning = field, getattr(query.to_index(query.namespace, None), field)
        if len(pair) <= _MAX_LENGTH:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[pair] = meaning
        return meaning
