"""What a function listens to: one value for its Trigger filter, its dispatch and its payload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel

__all__ = ["TriggerFilter", "any_event", "as_filters", "exact", "prefix"]


@dataclass(frozen=True, slots=True)
class TriggerFilter:
    """One alternative of a Trigger's filter, and the type of what it lets through.

    Attributes
    ----------
    dialect
        ``exact`` or ``prefix``, of
        https://knative.dev/docs/eventing/triggers/#supported-filter-dialects.
    attributes
        Attribute names and what their values must be, or begin with. None at
        all lets every event through: a dead-letter sink takes what comes.
    payload
        Model that the data must follow; `None` takes any data.
    """

    dialect: Literal["exact", "prefix"]
    attributes: Mapping[str, str]
    payload: type[BaseModel] | None

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Return whether an event with these attributes is let through."""
        if self.dialect == "exact":
            return all(attributes.get(name) == value for name, value in self.attributes.items())
        return all(attributes.get(name, "").startswith(value) for name, value in self.attributes.items())


def exact(*, payload: type[BaseModel] | None, **attributes: str) -> TriggerFilter:
    """Let events through whose attributes have exactly these values.

    Parameters
    ----------
    payload
        Model that the data must follow; `None` takes any data.
    **attributes
        Names and values, ``type`` and ``kind`` for example.
    """
    return _filter("exact", payload, attributes)


def prefix(*, payload: type[BaseModel] | None, **attributes: str) -> TriggerFilter:
    """Let events through whose attributes begin with these values; see `exact`."""
    return _filter("prefix", payload, attributes)


def any_event(*, payload: type[BaseModel] | None = None) -> TriggerFilter:
    """Let every event through: for a dead-letter sink, which no Trigger filters for."""
    return TriggerFilter("exact", MappingProxyType({}), payload)


def as_filters(triggers: Iterable[TriggerFilter]) -> list[dict[str, Any]]:
    """Return the ``spec.filters`` of the Trigger that stands for these.

    Returns
    -------
    list of dict
        One ``any`` of one dialect each; empty when every alternative is
        `any_event`, which a Trigger says by having no filter.
    """
    alternatives = [{t.dialect: dict(t.attributes)} for t in triggers if t.attributes]
    return [{"any": alternatives}] if alternatives else []


def _filter(
    dialect: Literal["exact", "prefix"], payload: type[BaseModel] | None, attributes: Mapping[str, str]
) -> TriggerFilter:
    if not attributes:
        raise ValueError("a filter without attributes lets everything through; say any_event() when that is meant")
    # str() turns the members of EventType into what a YAML file can hold.
    return TriggerFilter(dialect, MappingProxyType({name: str(value) for name, value in attributes.items()}), payload)
