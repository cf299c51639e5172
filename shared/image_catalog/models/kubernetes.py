"""What every Kubernetes object shares, as far as the catalog reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

__all__ = ["Condition", "KubernetesModel", "ObjectMeta", "Time", "format_time", "parse_time"]


def parse_time(value: Any) -> Any:
    """Read a Kubernetes time, which is RFC 3339 in UTC.

    Parameters
    ----------
    value
        A string as the API server writes it, or a `datetime`.

    Returns
    -------
    Any
        An aware `datetime` in UTC for what can be read; anything else is
        passed on for pydantic to refuse with its path.
    """
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return _in_utc(moment) if isinstance(moment, datetime) else moment
    except ValueError:
        return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as e:
        # A year 0 or 10000 in UTC can neither be held nor written.
        raise ValueError("outside the years 1 to 9999 in UTC") from e


def format_time(value: datetime) -> str:
    """Write a time as the API server does: RFC 3339 in UTC, to the second."""
    # Not strftime: it writes the year 5 as one digit, which the API server refuses.
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


Time = Annotated[
    datetime,
    BeforeValidator(parse_time),
    # pydantic reads more forms of time than we do; whatever it read is UTC, too.
    AfterValidator(_in_utc),
    PlainSerializer(format_time, return_type=str, when_used="json"),
    Field(json_schema_extra={"type": "string", "format": "date-time"}),
]
"""An aware UTC time, written to the second as metav1.Time is."""


class KubernetesModel(BaseModel):
    """Base of the parts of an object: camelCase on the wire, frozen in memory.

    Unknown fields are dropped, not refused. What reaches the catalog has
    passed the API server's schema, and an older function must be able to read
    what a newer one wrote while a roll-out is under way.
    """

    # Built on first use: a function reads few of the kinds, and its start need not wait for the others.
    # A default that is itself a model takes a default_factory: an instance as default would be the first use.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, defer_build=True
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the object as it stands on the wire, without absent fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ObjectMeta(KubernetesModel):
    """The metadata that the catalog reads of any object."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: list[str] = []
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None


class Condition(KubernetesModel):
    """A metav1.Condition."""

    type: Annotated[str, Field(max_length=316)]
    """What is true or not, ``Available`` for example."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=1024, min_length=1)]
    """Why, as one CamelCase word from a closed set."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, as a sentence for people."""
    last_transition_time: Time
    """When `status` last changed."""
    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """Generation of the spec that the condition speaks of."""
