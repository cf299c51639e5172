"""Makes a plan of a seed: a few images with their builds and people, and a handful of things that go wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

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
from image_catalog.testing.simulation.mishaps import make_trouble
from image_catalog.testing.simulation.plan import Plan
from image_catalog.testing.simulation.scenery import IMAGES, NAMESPACES

__all__ = ["make_plan"]

_INTERVALS = ("5m", "10m", "30m", "1h")
_POLICIES = ("alert", "follow", "quarantine")
_EDITS = ("interval", "tags", "metadata", "policy", "blobs", "pin", "unpin", "image", "label", "annotation")


def make_plan(seed: int) -> Plan:
    """Return the plan of a seed.

    Parameters
    ----------
    seed
        Any whole number.
    """
    rng = random.Random(seed)  # noqa: S311 - repeats a run, guards nothing
    return _Planner(rng).plan(seed)


class _Planner:
    """Draws one plan.

    Parameters
    ----------
    rng
        Draws.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._images = rng.sample(range(len(IMAGES)), rng.choice((1, 2, 2, 3)))
        self._namespaces = NAMESPACES[: rng.choice((1, 1, 2))]
        self._lasts = float(rng.choice((900, 1800, 1800, 3600)))
        self._contents = 0
        self._actions: list[Action] = []

    def plan(self, seed: int) -> Plan:
        """Draw everything."""
        rng = self._rng
        for image in self._images:
            for number in range(rng.choice((0, 1, 1, 2, 3))):
                self._build(image, number)
        for _ in range(rng.choice((0, 1, 2, 3, 5))):
            self._person()
        for _ in range(rng.choice((0, 0, 1, 2))):
            self._push()
        if rng.random() < 0.05:  # noqa: PLR2004 - a crowd costs as much as all the rest
            count = rng.choice((3, 5, 10, 10, 50))
            self._actions.append(
                Crowd(at=self._moment(), namespace=self._namespace(), image=self._image(), count=count)
            )
        hosts = sorted({IMAGES[image].host for image in self._images})
        for _ in range(rng.choice((1, 2, 3, 4, 6, 8))):
            self._actions.append(make_trouble(rng, lasts=self._lasts, hosts=hosts))
        if rng.random() < 0.1:  # noqa: PLR2004 - one world of ten has a stranger in it
            kind = rng.choice(("publish.requested", "verification.requested"))
            self._actions.append(PoisonSent(at=self._moment(), type=kind))
        return Plan(
            seed=seed,
            lasts=self._lasts,
            tick=float(rng.choice((120, 300, 300, 600))),
            actions=tuple(self._actions),
            pods=rng.choice((1, 1, 2)),
        )

    def _moment(self, after: float = 0.0) -> float:
        """Draw a time, often one at which others do something too: what comes at once is what goes wrong."""
        rng = self._rng
        times = [at for action in self._actions if (at := getattr(action, "at", None)) is not None and at > after]
        if times and rng.random() < 0.3:  # noqa: PLR2004 - often, as said
            return float(round(rng.choice(times) + rng.choice((0.0, 0.01, 0.05, 0.2, 1.0, 30.0)), 2))
        return round(rng.uniform(after, max(after + 60, self._lasts * 0.8)), 1)

    def _image(self) -> int:
        return self._rng.choice(self._images)

    def _namespace(self) -> str:
        return self._rng.choice(self._namespaces)

    def _content(self) -> int:
        """Draw new content, or now and then some that was there before."""
        if self._contents and self._rng.random() < 0.2:  # noqa: PLR2004 - now and then
            return self._rng.randint(1, self._contents)
        self._contents += 1
        return self._contents

    def _build(self, image: int, number: int) -> None:
        rng = self._rng
        namespace, build = self._namespace(), f"build-{image}-{number}"
        started = self._moment()
        entry = f"entry-{image}" if rng.random() < 0.4 else ""  # noqa: PLR2004 - fewer than half of them are given a name
        publish = rng.choice(("", "", "", "", "true", "false"))
        place: dict[str, Any] = {"namespace": namespace, "build": build}
        add = self._actions.append
        add(BuildStarted(at=started, image=image, entry=entry, publish=publish, **place))
        done = round(started + rng.uniform(1, 600), 1)
        if rng.random() < 0.1:  # noqa: PLR2004 - one build of ten
            add(BuildFailed(at=done, **place))
            return
        ago = rng.choice((0.0, 0.0, 0.0, float(rng.randint(1, 120))))
        add(BuildCompleted(at=done, content=self._content(), ago=ago, **place))
        further = rng.random()
        if further < 0.1:  # noqa: PLR2004 - one build of ten is run once more
            add(BuildCompleted(at=round(done + rng.uniform(0.05, 900), 2), content=self._content(), **place))
        elif further < 0.15:  # noqa: PLR2004 - and fewer of these
            add(BuildOptedOut(at=round(done + rng.uniform(-60, 300), 2), **place))
        elif further < 0.2:  # noqa: PLR2004 - the same
            add(BuildRemoved(at=round(done + rng.uniform(0.05, 900), 2), **place))

    def _push(self) -> None:
        rng, image, at = self._rng, self._image(), self._moment()
        match rng.randrange(4):
            case 0:
                self._actions.append(TagRemoved(at=at, image=image))
            case 1 if self._contents:
                self._actions.append(ManifestRemoved(at=at, image=image, content=rng.randint(1, self._contents)))
            case _:
                self._actions.append(Pushed(at=at, image=image, content=self._content()))

    def _person(self) -> None:
        rng = self._rng
        place: dict[str, Any] = {"namespace": self._namespace(), "image": self._image()}
        kinds: tuple[tuple[int, Callable[[float], Action]], ...] = (
            (3, lambda at: self._apply(at, **place)),
            (4, lambda at: self._edit(at, **place)),
            (2, lambda at: EntryRemoved(at=at, **place)),
            (2, lambda at: PublicationRequested(at=at, name=rng.choice(("", "", "asked")), **place)),
            (2, lambda at: CheckRequested(at=at, **place)),
        )
        (draw,) = rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])
        self._actions.append(draw(self._moment()))

    def _apply(self, at: float, *, namespace: str, image: int) -> Action:
        rng = self._rng
        pinned = rng.randint(1, self._contents) if self._contents and rng.random() < 0.3 else -1  # noqa: PLR2004 - some
        return EntryApplied(
            at=at,
            namespace=namespace,
            name=rng.choice((f"entry-{image}", f"mine-{image}")),
            image=image,
            interval=rng.choice(_INTERVALS),
            content=pinned,
            policy=rng.choice(("", "", *_POLICIES)),
        )

    def _edit(self, at: float, *, namespace: str, image: int) -> Action:
        rng = self._rng
        field = rng.choice(_EDITS)
        values = {
            "interval": rng.choice(_INTERVALS),
            "policy": rng.choice(_POLICIES),
            "blobs": rng.choice(("true", "false")),
            "pin": str(rng.randint(1, max(1, self._contents))),
            "unpin": "",
            "image": str(self._image()),
        }
        value = values.get(field, f"words-{rng.randint(1, 99)}")
        return EntryEdited(at=at, namespace=namespace, image=image, field=field, value=value)
