"""What became of an event that a function was called with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import orjson
from pydantic import ValidationError

from image_catalog.events import EVENT_DATA, EventType
from image_catalog.models.artifact_events import ArtifactsLocated
from image_catalog.models.events import EventModel, ImagePublished, ImageVerified, PublishRejected, Step

__all__ = ["Outcome", "UnreadableOutcomeError"]

EventT = TypeVar("EventT", bound=EventModel)


class UnreadableOutcomeError(ValueError):
    """A function answered a success that is no list of catalog events."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The events that a function emitted, as it represented them.

    Attributes
    ----------
    events
        Each event in the JSON format of CloudEvents, as it came.
    data
        The data of those that this version knows.
    """

    events: tuple[Mapping[str, Any], ...]
    data: tuple[EventModel, ...]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read the answer to ``Prefer: return=representation``.

        What a newer function says beyond this version's words is passed over,
        because the two are not rolled out at the same moment.

        Raises
        ------
        UnreadableOutcomeError
            Raised if the body is something else.
        """
        try:
            events = tuple(dict(event) for event in orjson.loads(body)["events"])
            return cls(events, tuple(_known(events)))
        except (orjson.JSONDecodeError, ValidationError, LookupError, TypeError, ValueError) as e:
            raise UnreadableOutcomeError(f"no list of catalog events: {type(e).__name__}") from e

    @property
    def published(self) -> ImagePublished | None:
        """What was published."""
        return self._first(ImagePublished)

    @property
    def rejected(self) -> PublishRejected | None:
        """Why a publication was refused."""
        return self._first(PublishRejected)

    @property
    def verified(self) -> ImageVerified | None:
        """What a check found."""
        return self._first(ImageVerified)

    @property
    def located(self) -> ArtifactsLocated | None:
        """The URLs that were made."""
        return self._first(ArtifactsLocated)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of what was done, in their order."""
        told = self.published or self.rejected or self.verified
        return tuple(told.steps) if told is not None else ()

    def _first(self, kind: type[EventT]) -> EventT | None:
        return next((data for data in self.data if isinstance(data, kind)), None)


def _known(events: Iterable[Mapping[str, Any]]) -> Iterable[EventModel]:
    for event in events:
        if event["type"] in set(EventType):
            model = EVENT_DATA[EventType(event["type"])]
            data = model.model_validate(event["data"], extra="ignore")
            if isinstance(data, EventModel):
                yield data
