"""What a collection is asked for in its query: the combinations that the API server takes.

The rules are those of `ListOptions`,
https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-watch and, for a list that comes
as a watch, https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from image_catalog.local.kubernetes.status import Cause, forbidden_field, invalid_options

__all__ = ["check_list_options", "is_true", "wants_watch"]

_MATCH: Final = "resourceVersionMatch"
_NOT_OLDER: Final = "NotOlderThan"
_INITIAL: Final = "sendInitialEvents"


def is_true(text: str | None) -> bool:
    """Read a boolean as Go's query decoding does: whatever is given and is not false is true."""
    return text is not None and text.lower() not in ("false", "0")


def wants_watch(query: Mapping[str, str]) -> bool:
    """Return whether a collection is to be watched rather than listed."""
    return is_true(query.get("watch"))


def check_list_options(query: Mapping[str, str], *, streaming_lists: bool) -> None:
    """Refuse what contradicts itself.

    Parameters
    ----------
    query
        The parameters of the request.
    streaming_lists
        Whether the feature gate ``WatchList`` is on, as it is by default in Kubernetes 1.32.

    Raises
    ------
    StatusError
        422, naming each parameter that is wrong.
    """
    causes = [*(_of_watch(query, streaming_lists=streaming_lists) if wants_watch(query) else _of_list(query))]
    if causes:
        raise invalid_options(causes)


def _of_watch(query: Mapping[str, str], *, streaming_lists: bool) -> Iterator[Cause]:
    match, initial = query.get(_MATCH, ""), query.get(_INITIAL)
    if initial is not None and match != _NOT_OLDER:
        yield forbidden_field(_MATCH, f"sendInitialEvents requires setting resourceVersionMatch to {_NOT_OLDER}")
    if initial is not None and not streaming_lists:
        why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        yield forbidden_field(_INITIAL, why)
    if not match:
        return
    if initial is None:
        yield forbidden_field(
            _MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        )
    if match != _NOT_OLDER:
        yield _unsupported(match, f'"{_NOT_OLDER}"')
    if query.get("continue"):
        yield forbidden_field(_MATCH, "resourceVersionMatch is forbidden when continue is provided")


def _of_list(query: Mapping[str, str]) -> Iterator[Cause]:
    match, version = query.get(_MATCH, ""), query.get("resourceVersion", "")
    if match:
        if not version:
            yield forbidden_field(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided")
        if query.get("continue"):
            yield forbidden_field(_MATCH, "resourceVersionMatch is forbidden when continue is provided")
        if match not in ("Exact", _NOT_OLDER):
            yield _unsupported(match, f'"Exact", "{_NOT_OLDER}", ""')
        if (match, version) == ("Exact", "0"):
            yield forbidden_field(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if _INITIAL in query:
        yield forbidden_field(_INITIAL, "sendInitialEvents is forbidden for list")


def _unsupported(value: str, supported: str) -> Cause:
    return Cause("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {supported}', _MATCH)
