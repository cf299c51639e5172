"""What a function listens to: one value for its Trigger filter, its dispatch and its payload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel

__all__ = ["TriggerFilter", "any_event", "as_filters", "directly", "exact", "prefix"]


@dataclass(frozen=True, slots=True)
class TriggerFilter:
    """One alternative of a Trigger's filter, and the type of what it lets through.

    Attributes
    ----------
    attributes
        Attribute names and what their values must be or begin with. None at all
        lets every event through: a dead-letter sink takes what comes.
    payload
        Model that the data must follow; `None` takes any data.
    dialect
        Which of the two, in `Knative's words
        <https://knative.dev/docs/eventing/triggers/#supported-filter-dialects>`__.
    direct
        Whether only a direct caller that has proven itself may send such
        events; no Trigger does.
    """

    attributes: Mapping[str, str]
    payload: type[BaseModel] | None
    dialect: Literal["exact", "prefix"] = "exact"
    direct: bool = False

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Return whether an event with these attributes is let through."""
        compare = str.__eq__ if self.dialect == "exact" else str.startswith
        return all(name in attributes and compare(attributes[name], value) for name, value in self.attributes.items())


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


def prefix(*, payload: type[BaseModel] | None, **attributes: str) -> TriggerFilter:
    """Let events through whose attributes begin with these values.

    Parameters
    ----------
    payload
        Model that the data must follow; `None` takes any data.
    **attributes
        Names and what each begins with, ``type`` for example.
    """
    return replace(exact(payload=payload, **attributes), dialect="prefix")


def directly(*, payload: type[BaseModel] | None, **attributes: str) -> TriggerFilter:
    """Let events through as `exact` does, but from direct callers alone, which have proven who they are.

    Parameters
    ----------
    payload
        Model that the data must follow; `None` takes any data.
    **attributes
        Names and values.
    """
    return replace(exact(payload=payload, **attributes), direct=True)


def any_event() -> TriggerFilter:
    """Let every event through: for a dead-letter sink, which no Trigger filters for."""
    return TriggerFilter(MappingProxyType({}), None)


def as_filters(triggers: Iterable[TriggerFilter]) -> list[dict[str, Any]]:
    """Return the ``spec.filters`` of the Trigger that stands for these.

    Returns
    -------
    list of dict
        One ``any`` of what each lets through. `any_event` is not among them: what
        a dead-letter sink takes beside, no Trigger sends it.
    """
    alternatives = [{t.dialect: dict(t.attributes)} for t in triggers if t.attributes and not t.direct]
    return [{"any": alternatives}] if alternatives else []
