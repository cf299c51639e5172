"""What a function listens to: one value for its Trigger filter, its dispatch and its payload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

__all__ = ["TriggerFilter", "any_event", "as_filters", "exact"]


@dataclass(frozen=True, slots=True)
class TriggerFilter:
    """One alternative of a Trigger's filter, and the type of what it lets through.

    Attributes
    ----------
    attributes
        Attribute names and what their values must be, which Knative calls the dialect
        `exact <https://knative.dev/docs/eventing/triggers/#supported-filter-dialects>`__.
        None at all lets every event through: a dead-letter sink takes what comes.
    payload
        Model that the data must follow; `None` takes any data.
    """

    attributes: Mapping[str, str]
    payload: type[BaseModel] | None

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Return whether an event with these attributes is let through."""
        return all(attributes.get(name) == value for name, value in self.attributes.items())


def exact(*, payload: type[BaseModel] | None, **attributes: str) -> TriggerFilter:
    """Let events through whose attributes have exactly these values.

    Parameters
    ----------
    payload
        Model that the data must follow; `None` takes any data.
    **attributes
        Names and values, ``type`` and ``kind`` for example.
    """
    if not attributes:
        raise ValueError("a filter without attributes lets everything through; say any_event() when that is meant")
    # str() turns the members of EventType into what a YAML file can hold.
    return TriggerFilter(MappingProxyType({name: str(value) for name, value in attributes.items()}), payload)


def any_event(*, payload: type[BaseModel] | None = None) -> TriggerFilter:
    """Let every event through: for a dead-letter sink, which no Trigger filters for."""
    return TriggerFilter(MappingProxyType({}), payload)


def as_filters(triggers: Iterable[TriggerFilter]) -> list[dict[str, Any]]:
    """Return the ``spec.filters`` of the Trigger that stands for these.

    Returns
    -------
    list of dict
        One ``any`` of what each lets through; empty when every alternative is
        `any_event`, which a Trigger says by having no filter.
    """
    alternatives = [{"exact": dict(t.attributes)} for t in triggers if t.attributes]
    return [{"any": alternatives}] if alternatives else []
