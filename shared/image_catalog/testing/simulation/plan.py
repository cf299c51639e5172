"""A plan: everything that a world is put through, as it is written down and shortened."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from image_catalog.testing.simulation.actions import (
    Action,
    BuildCompleted,
    BuildFailed,
    BuildOptedOut,
    BuildRemoved,
    BuildStarted,
    CheckRequested,
    Crowd,
    EntryApplied,
    EntryEdited,
    EntryRemoved,
    ManifestRemoved,
    PoisonSent,
    PublicationRequested,
    Pushed,
    TagRemoved,
)
from image_catalog.testing.simulation.troubles import (
    BrokerClosed,
    CallTrouble,
    CredentialRotated,
    EventTrouble,
    Frozen,
    FunctionRestarted,
    Killed,
    RegistryTrouble,
    SinkTrouble,
    SourceStopped,
)

__all__ = ["ACTIONS", "Plan"]

ACTIONS: dict[str, type[Action]] = {
    action.__name__: action
    for action in (
        Pushed,
        TagRemoved,
        ManifestRemoved,
        BuildStarted,
        BuildCompleted,
        BuildFailed,
        BuildOptedOut,
        BuildRemoved,
        EntryApplied,
        EntryEdited,
        EntryRemoved,
        PublicationRequested,
        Crowd,
        CheckRequested,
        PoisonSent,
        CredentialRotated,
        RegistryTrouble,
        SourceStopped,
        BrokerClosed,
        FunctionRestarted,
        CallTrouble,
        Killed,
        Frozen,
        EventTrouble,
        SinkTrouble,
    )
}
"""Every action by its name in a plan that is written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that one world is put through.

    Attributes
    ----------
    seed
        Decides what no action says: how long everything takes.
    lasts
        Seconds until the faults end and the world may come to rest.
    tick
        Seconds between two ticks of ``reverify``.
    actions
        What is done.
    pods
        Processes of ``publish``, ``verify`` and ``cleanup`` each, among which their events are shared out.
    """

    seed: int
    lasts: float
    tick: float = 300.0
    actions: tuple[Action, ...] = ()
    pods: int = 1

    def dump(self) -> str:
        """Write the plan down as JSON."""
        actions = [{"do": type(action).__name__, **_told(action)} for action in self.actions]
        times = {"seed": self.seed, "lasts": self.lasts, "tick": self.tick, "pods": self.pods}
        return json.dumps({**times, "actions": actions}, indent=1)

    @classmethod
    def load(cls, text: str) -> Self:
        """Read what `dump` has written."""
        read = json.loads(text)
        actions = tuple(ACTIONS[action.pop("do")](**action) for action in read.pop("actions"))
        return cls(actions=actions, **read)


def _told(action: Action) -> dict[str, Any]:
    """Return the fields of an action that are not what they are by default."""
    default = {field.name: field.default for field in fields(action)}
    return {name: value for name, value in asdict(action).items() if value != default[name]}
