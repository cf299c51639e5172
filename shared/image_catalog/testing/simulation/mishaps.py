"""Draws what goes wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from image_catalog.testing.simulation.actions import Action
from image_catalog.testing.simulation.scenery import FUNCTIONS, HOSTS
from image_catalog.testing.simulation.troubles import (
    EFFECTS,
    FAULTS,
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

__all__ = ["make_trouble"]

_KINDS = (*FAULTS, "credential rotated", "registry throttles")
"""Every kind of fault; what strikes few worlds, because few ask the private registry or ask again, comes twice."""

_READS = (
    ("publish", "get", "imagebuilds", None),
    ("publish", "get", "catalogimages", None),
    ("publish", "list", "catalogimages", None),
    ("publish", "get", "leases", None),
    ("verify", "get", "catalogimages", None),
    ("cleanup", "get", "catalogimages", None),
    ("cleanup", "list", "catalogimages", None),
)
_LISTS = (("reverify", "list", "catalogimages", None), ("reverify", "list", "imagebuilds", None))
_CREATES = (
    ("publish", "create", "leases", None),
    ("publish", "create", "catalogimages", None),
    ("publish", "create", "events", None),
    ("verify", "create", "leases", None),
)
_PATCHES = (
    ("publish", "patch", "catalogimages", ""),
    ("publish", "patch", "catalogimages", "status"),
    ("publish", "patch", "leases", None),
    ("verify", "patch", "catalogimages", ""),
    ("verify", "patch", "catalogimages", "status"),
    ("verify", "patch", "catalogimages", "status"),
    ("cleanup", "patch", "catalogimages", ""),
    ("cleanup", "patch", "leases", None),
)
_EVENTS = (
    ("ImageBuild add", ("publish",)),
    ("ImageBuild update", ("publish",)),
    ("ImageBuild update", ("publish",)),
    ("CatalogImage add", ("verify",)),
    ("CatalogImage update", ("verify", "cleanup")),
    ("CatalogImage update", ("verify", "cleanup")),
    ("CatalogImage delete", ("cleanup",)),
    ("publish.requested", ("publish",)),
    ("verification.requested", ("verify",)),
)
_TICKS = (("tick reverify", ("reverify", "verify")), ("tick sweep", ("reverify", "cleanup")))
_LIVES = (("publish", 15), ("publish", 15), ("verify", 7), ("verify", 7), ("reverify", 3), ("cleanup", 5))
"""Functions, and how often they ask anybody in a delivery in which they have work to do."""
_EMITTERS = ("publish", "publish", "verify", "reverify", "reverify", "cleanup")


def make_trouble(rng: random.Random, *, lasts: float, hosts: Sequence[str] = HOSTS) -> Action:
    """Draw something that goes wrong, every kind about as likely as the others.

    Parameters
    ----------
    rng
        Draws.
    lasts
        Seconds that the world lives.
    hosts
        Registries that it has images of.
    """
    what, _, how = rng.choice(_KINDS).partition(" ")
    at = round(rng.uniform(0, lasts * 0.9), 1)
    makers: dict[str, Callable[[], Action]] = {
        "registry": lambda: RegistryTrouble(at=at, host=rng.choice(hosts), kind=how, lasts=_length(rng)),
        "credential": lambda: CredentialRotated(at=at, mended_after=round(rng.uniform(0, 1200), 1)),
        "source": lambda: SourceStopped(at=at, lasts=round(rng.uniform(10, 1200), 1)),
        "broker": lambda: BrokerClosed(at=at, lasts=round(rng.uniform(1, 300), 1)),
        "call": lambda: _call(rng, how.upper().replace(" ", "_")),
        "function": lambda: _end(rng, how, at),
        "delivery": lambda: _kill(rng, gently=True),
        "event": lambda: _event(rng, how, _EVENTS),
        "tick": lambda: _event(rng, how, _TICKS),
        "sink": lambda: SinkTrouble(function=rng.choice(_EMITTERS), nth=rng.randint(1, 4), kind=how),
    }
    return makers[what]()


def _length(rng: random.Random) -> float:
    return round(rng.choice((rng.uniform(5, 60), rng.uniform(60, 900))), 1)


def _event(rng: random.Random, how: str, events: Sequence[tuple[str, tuple[str, ...]]]) -> Action:
    event, functions = rng.choice(events)
    delay = 0.0 if how == "lost" else round(rng.choice((0.0, rng.uniform(0, 5), rng.uniform(0, 1500))), 2)
    return EventTrouble(
        event=event, nth=rng.randint(1, 6), kind=how, delay=delay, function=rng.choice(("", *functions))
    )


def _call(rng: random.Random, effect: str) -> Action:
    if effect not in EFFECTS:
        raise ValueError(f"no effect {effect}")
    places = (
        _PATCHES if effect == "CONFLICT" else _LISTS if effect == "GONE" else (*_READS, *_LISTS, *_CREATES, *_PATCHES)
    )
    actor, verb, resource, subresource = rng.choice(places)
    return CallTrouble(
        effect=effect,
        actor=actor,
        verb=verb,
        resource=resource,
        subresource=subresource,
        nth=rng.randint(1, 4),
        times=rng.choice((1, 1, 2, 5)),
    )


def _end(rng: random.Random, how: str, at: float) -> Action:
    if how == "restarted":
        return FunctionRestarted(at=at, function=rng.choice(FUNCTIONS))
    if how == "killed":
        return _kill(rng, gently=False)
    function, requests = rng.choice(_LIVES)
    return Frozen(
        function=function,
        delivery=rng.randint(1, 6),
        request=rng.randint(1, requests),
        seconds=round(rng.choice((rng.uniform(1, 20), rng.uniform(31, 200))), 1),
        after=rng.random() < 0.5,  # noqa: PLR2004 - before as often as after
    )


def _kill(rng: random.Random, *, gently: bool) -> Action:
    function, requests = rng.choice(_LIVES)
    return Killed(
        function=function,
        delivery=rng.randint(1, 6),
        request=rng.randint(1, requests),
        after=rng.random() < 0.5,  # noqa: PLR2004 - before as often as after
        gently=gently,
    )
