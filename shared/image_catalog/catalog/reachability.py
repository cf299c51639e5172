"""What a probe means for a CatalogRegistry: its status, as pure decisions.

A status is written by whoever probes, and read by every process that asks
registries. Doing a decision again on a fresher object is safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from image_catalog.catalog.conditions import Finding, merge_conditions
from image_catalog.errors import CatalogError, RegistryFaultError, RegistryUnreachableError
from image_catalog.models import (
    CatalogRegistry,
    CatalogRegistryStatus,
    CircuitState,
    ProbeHour,
    RegistryPhase,
)

__all__ = [
    "Counts",
    "Probe",
    "Probes",
    "is_due",
    "status_half_open",
    "status_opened",
    "status_probed",
    "status_unprobed",
]

RegistryConditionType = Literal["Accepted", "Reachable"]

_HOURS = 24
"""Hours that availability is computed over: the one under way, and those before it."""

_WRITTEN_EVERY = timedelta(minutes=5)
"""How often the status of a registry that keeps answering is written; its counts wait in memory until then."""

_SLACK = 0.1
"""Share of the interval by which a tick may come early and still find a probe due."""

_ATTEMPT = timedelta(minutes=1)
"""How long somebody else's probe of a half-open circuit is waited for: twice what a request may take."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one probe brought to light.

    Attributes
    ----------
    at
        When it was made.
    error
        Why there was no answer; `None` for an answer.
    is_open
        Whether the prober's own circuit is open after it.
    """

    at: datetime
    error: CatalogError | None = None
    is_open: bool = False


@dataclass(slots=True)
class Counts:
    """Probes that are not in the status yet, by the hour: how many, and how many of them were answered."""

    hours: dict[datetime, tuple[int, int]] = field(default_factory=dict)

    def add(self, probe: Probe) -> None:
        """Count a probe."""
        hour = _hour(probe.at)
        probes, answered = self.hours.get(hour, (0, 0))
        self.hours[hour] = probes + 1, answered + (probe.error is None)


@dataclass(slots=True)
class _Memory:
    last: datetime | None = None
    counts: Counts = field(default_factory=Counts)


class Probes:
    """Remembers what is not written: when each registry was last probed, and what came of it.

    A process that dies forgets the answered probes of its last five minutes.
    """

    def __init__(self) -> None:
        self._memories: dict[str, _Memory] = {}

    def last(self, registry: CatalogRegistry) -> datetime | None:
        """Return when this process last probed a registry."""
        return self._of(registry).last

    def add(self, registry: CatalogRegistry, probe: Probe) -> Counts:
        """Remember a probe, and return everything that is not in the status."""
        memory = self._of(registry)
        memory.last = probe.at
        memory.counts.add(probe)
        return memory.counts

    def written(self, registry: CatalogRegistry) -> None:
        """Forget what is in the status now."""
        self._of(registry).counts = Counts()

    def keep(self, registries: Iterable[CatalogRegistry]) -> None:
        """Forget every registry but these."""
        uids = {registry.metadata.uid for registry in registries}
        self._memories = {uid: memory for uid, memory in self._memories.items() if uid in uids}

    def _of(self, registry: CatalogRegistry) -> _Memory:
        return self._memories.setdefault(registry.metadata.uid, _Memory())


def is_due(
    registry: CatalogRegistry, *, now: datetime, interval: timedelta, recovery: timedelta, last: datetime | None
) -> bool:
    """Tell whether a registry is to be probed.

    Parameters
    ----------
    registry
        The registry.
    now
        The time.
    interval
        Time between probes.
    recovery
        How long an open circuit is left alone.
    last
        When this process last probed it.
    """
    status = registry.status
    if status.observed_generation != registry.metadata.generation:
        return True
    since = status.circuit_since
    if since is not None:
        if status.circuit is CircuitState.HALF_OPEN and now - since < _ATTEMPT:
            return False
        if status.circuit is CircuitState.OPEN and now - since < recovery:
            return False
    known = max((at for at in (status.last_probe_time, last) if at is not None), default=None)
    return known is None or now - known >= interval * (1 - _SLACK)


def status_half_open(registry: CatalogRegistry, *, now: datetime) -> CatalogRegistryStatus | None:
    """Return the status that says that one request is made to find out; `None` if somebody else makes it."""
    status = registry.status
    if status.circuit is CircuitState.HALF_OPEN and status.circuit_since and now - status.circuit_since < _ATTEMPT:
        return None
    return status.model_copy(update={"circuit": CircuitState.HALF_OPEN, "circuit_since": now})


def status_opened(registry: CatalogRegistry, *, at: datetime, message: str) -> CatalogRegistryStatus | None:
    """Return the status of a registry that entries' checks found dead; `None` if that is known.

    Parameters
    ----------
    registry
        The registry.
    at
        When its circuit opened.
    message
        The last failure.
    """
    if registry.is_shut(now=at):
        return None
    told = f"requests to it failed one after the other; the last: {message}"
    findings: dict[RegistryConditionType, Finding] = {
        "Reachable": Finding("False", RegistryUnreachableError.reason, told)
    }
    return _with(registry, findings, at, RegistryPhase.UNREACHABLE, CircuitState.OPEN)


def status_unprobed(
    registry: CatalogRegistry, accepted: Finding, why: str, *, now: datetime
) -> CatalogRegistryStatus | None:
    """Return the status of a registry that is not probed; `None` if it says so already.

    Parameters
    ----------
    registry
        The registry as it is.
    accepted
        What the condition ``Accepted`` shall say.
    why
        Why it is not probed.
    now
        The time.
    """
    findings: dict[RegistryConditionType, Finding] = {
        "Accepted": accepted,
        "Reachable": Finding("Unknown", "NotProbed", why),
    }
    status = _with(registry, findings, now, None, None)
    status = status.model_copy(update={"last_probe_time": None, "availability24h": None, "probes": []})
    return None if status == registry.status else status


def status_probed(
    registry: CatalogRegistry, probe: Probe, counts: Counts, accepted: Finding
) -> CatalogRegistryStatus | None:
    """Return the status after a probe; `None` if it is not worth a write now.

    That a registry keeps answering is written every few minutes; everything
    else at once, each failed probe too: others wait for what it finds.

    Parameters
    ----------
    registry
        The registry as it is.
    probe
        What it brought to light.
    counts
        Every probe that is not in the status, this one included.
    accepted
        What the condition ``Accepted`` shall say.
    """
    before = registry.status
    hours = _merged(before.probes, counts, probe.at)
    findings: dict[RegistryConditionType, Finding] = {"Accepted": accepted, "Reachable": _reachable(probe)}
    phase = RegistryPhase.REACHABLE if probe.error is None else RegistryPhase.UNREACHABLE
    status = _with(registry, findings, probe.at, phase, _circuit(registry, probe))
    written = before.last_probe_time
    if probe.error is None and status == before and written is not None and probe.at - written < _WRITTEN_EVERY:
        return None  # Nothing but the counts has changed.
    share = sum(hour.answered for hour in hours) / sum(hour.probes for hour in hours)
    return status.model_copy(update={"last_probe_time": probe.at, "availability24h": round(share, 4), "probes": hours})


def _reachable(probe: Probe) -> Finding:
    if probe.error is None:
        return Finding("True", "Answered", "it answers")
    return Finding("False", probe.error.reason, probe.error.message)


def _circuit(registry: CatalogRegistry, probe: Probe) -> CircuitState:
    """Return the circuit after a probe: only silence and a server in trouble keep it open."""
    if not isinstance(probe.error, RegistryUnreachableError | RegistryFaultError):
        return CircuitState.CLOSED
    current = registry.status.observed_generation == registry.metadata.generation
    was_open = current and registry.status.circuit in {CircuitState.OPEN, CircuitState.HALF_OPEN}
    return CircuitState.OPEN if was_open or probe.is_open else CircuitState.CLOSED


def _with(
    registry: CatalogRegistry,
    findings: Mapping[RegistryConditionType, Finding],
    at: datetime,
    phase: RegistryPhase | None,
    circuit: CircuitState | None,
) -> CatalogRegistryStatus:
    status, generation = registry.status, registry.metadata.generation
    return status.model_copy(
        update={
            "observed_generation": generation,
            "phase": phase,
            "circuit": circuit,
            "circuit_since": status.circuit_since if circuit is status.circuit else circuit and at,
            "conditions": merge_conditions(status.conditions, findings, generation=generation, now=at),
        }
    )


def _merged(hours: Iterable[ProbeHour], counts: Counts, now: datetime) -> list[ProbeHour]:
    """Add what was counted to what is written, and drop what is older than a day."""
    kept = {hour.hour: (hour.probes, hour.answered) for hour in hours}
    for hour, (probes, answered) in counts.hours.items():
        before = kept.get(hour, (0, 0))
        kept[hour] = before[0] + probes, before[1] + answered
    oldest = _hour(now) - timedelta(hours=_HOURS - 1)
    return [ProbeHour(hour=h, probes=kept[h][0], answered=kept[h][1]) for h in sorted(kept) if h >= oldest]


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
