"""Circuits: a registry that does not answer is left alone, and looked at now and then.

Closed lets every request through. After `FAILURES` failures in a row it opens,
and no request is made; after a recovery time one is let through, whose outcome
decides. What fails may be one tenant's repository, a proxy of a server of his
for example, so a registry's circuit is opened only by a probe of its API that
fails as well. Where a registry has a CatalogRegistry, its status holds the circuit
for every process: one probes, all the others wait for what it finds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import NamedTuple, Self

import structlog

from image_catalog.errors import CircuitOpenError, RegistryUnreachableError
from image_catalog.models import CatalogRegistry, CircuitState, format_time
from image_catalog.models.catalogregistry import BELIEVED_FOR
from image_catalog.registry.access import Access, Tally
from image_catalog.registry.hosts import Origin, Target
from image_catalog.registry.limits import REQUEST_TIMEOUT
from image_catalog.registry.metrics import count_refusal, show_circuit

__all__ = ["FAILURES", "RECOVERY", "Attempt", "Circuits", "Opened", "is_failure"]

logger = structlog.get_logger(__name__)

FAILURES = 5
"""Failures in a row that open a circuit."""

RECOVERY = timedelta(seconds=30)
"""How long an open circuit lets nothing through, where nobody says otherwise."""

_TRIED_FOR = 2 * REQUEST_TIMEOUT
"""How long the one request of a half-open circuit may be under way before another may try."""

_UNTRIED_FOR = timedelta(minutes=15)
"""How long one that nobody has tried since is shown as half-open; an entry that waits for it is due sooner."""

_KEPT = 4096
"""Circuits with failures that are remembered: hosts are typed by users, so the memory for them is bounded."""


class _Key(NamedTuple):
    """A registry and where its requests go: a token server or a blob store fails for the registry that leads there."""

    registry: str
    origin: Origin
    is_own: bool
    """Whether that is the registry's own API."""


def is_failure(status: int) -> bool:
    """Tell whether an answer says that the server itself is in trouble.

    Parameters
    ----------
    status
        The HTTP status. 501 is a server that is well and does not know the method.
    """
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED


@dataclass(frozen=True, slots=True)
class Opened:
    """A registry's circuit that has opened here.

    Attributes
    ----------
    registry
        ``host[:port]`` as references name it.
    at
        When.
    message
        The last failure.
    """

    registry: str
    at: datetime
    message: str


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    failed: datetime | None = None
    """When the last request failed."""
    message: str = ""
    """How, without a word of what was asked for: one tenant's failure is told to others."""
    opened: datetime | None = None
    tried: datetime | None = None
    """When the request was let through that decides."""
    is_suspected: bool = False
    """Whether somebody is asking the API itself."""


class Attempt:
    """One request, whose outcome counts for its circuit.

    Parameters
    ----------
    circuits
        Where it counts.
    key
        The registry and where the request goes.
    subject
        What it is about; left out of what is remembered.
    tally
        Of the operation: its failures count once, else one image whose blobs
        are broken would speak for its registry.
    probe
        Whether it asks the API itself, for nobody's repository.

    Attributes
    ----------
    is_suspicion
        Whether enough has failed, this one included, that the API itself is to be asked now.
    """

    __slots__ = ("_circuits", "_key", "_probe", "_status", "_subject", "_tally", "is_suspicion")

    def __init__(self, circuits: Circuits, key: _Key, subject: str, tally: Tally, *, probe: bool) -> None:
        self.is_suspicion = False
        self._probe = probe
        self._circuits = circuits
        self._key = key
        self._subject = subject
        self._tally = tally
        self._status: int | None = None

    def answered(self, status: int) -> None:
        """Say that an answer came.

        Parameters
        ----------
        status
            Its HTTP status.
        """
        self._status = status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, RegistryUnreachableError):
            self._fail(error.message.removeprefix(f"{self._subject}: "))
        elif self._status is None:
            # Neither: a certificate, an address or a caller that gave up say nothing about the registry.
            self._circuits.undecided(self._key)
        elif is_failure(self._status):
            self._fail(f"{self._key.origin} answered {self._status}")
        else:
            self._circuits.succeeded(self._key)

    def _fail(self, message: str) -> None:
        proven = self._probe or not self._key.is_own
        self.is_suspicion = self._circuits.failed(self._key, message, again=self._tally.failed, proven=proven)
        self._tally.failed = True


class Circuits:
    """Knows which registries are not to be asked at present.

    Parameters
    ----------
    now
        Tells the time.
    rule
        Returns the CatalogRegistry that speaks for a host, with its status.
    recovery
        How long an open circuit lets nothing through.
    believed_for
        How long an open circuit in a status is believed.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        rule: Callable[[str], CatalogRegistry | None] = lambda _: None,
        recovery: timedelta = RECOVERY,
        believed_for: timedelta = BELIEVED_FOR,
    ) -> None:
        self._now = now
        self._rule = rule
        self._recovery = recovery
        self._believed_for = believed_for
        self._circuits: OrderedDict[_Key, _Circuit] = OrderedDict()
        self._untold: dict[str, Opened] = {}

    def refusal(self, target: Target, origin: Origin | None = None) -> CircuitOpenError | None:
        """Return why a request must not be made now; `None` if it may be.

        Parameters
        ----------
        target
            The registry.
        origin
            Where the request goes; the registry's own API without it.
        """
        now, key = self._now(), _key(target, origin)
        rule = self._rule(target.registry) if key.is_own else None
        if rule is not None and rule.is_shut(now=now, believed_for=self._believed_for):
            return _told(target, rule)
        circuit = self._circuits.get(key)
        if circuit is None or circuit.opened is None:
            return None
        if _is_found_well(circuit.opened, rule):
            return None
        waiting = now - circuit.opened < self._recovery
        if waiting or (circuit.tried is not None and now - circuit.tried < _TRIED_FOR):
            return CircuitOpenError(
                f"{target.registry} is not asked at present, because {circuit.failures} requests in a row failed; "
                f"the last at {format_time(circuit.failed or circuit.opened)}: {circuit.message}",
                retry_after=max(circuit.opened + self._recovery - now, timedelta()),
            )
        return None

    def admit(self, target: Target, origin: Origin | None = None) -> None:
        """Let a request be made.

        Parameters
        ----------
        target
            The registry.
        origin
            Where the request goes; the registry's own API without it.

        Raises
        ------
        CircuitOpenError
            Raised if it must not be made.
        """
        refused = self.refusal(target, origin)
        if refused is not None:
            self._show(_key(target, origin))
            count_refusal(target.registry, "circuit_open")
            raise refused

    def attempt(self, access: Access, origin: Origin, subject: str, *, probe: bool = False) -> Attempt:
        """Let a request through, or refuse it.

        Parameters
        ----------
        access
            Who asks which registry.
        origin
            Where the request goes.
        subject
            What it is about.
        probe
            Whether it is made to find out, whatever the circuit says.

        Raises
        ------
        CircuitOpenError
            Raised if the request must not be made.
        """
        if not probe:
            self.admit(access.target, origin)
        key = _key(access.target, origin)
        circuit = self._circuits.get(key)
        if circuit is not None and circuit.opened is not None:
            circuit.tried = self._now()
        return Attempt(self, key, subject, access.tally, probe=probe)

    def is_open(self, target: Target) -> bool:
        """Tell whether requests of this process have opened a registry's circuit, whatever any status says."""
        circuit = self._circuits.get(_key(target))
        return circuit is not None and circuit.opened is not None

    def take_opened(self) -> list[Opened]:
        """Return the registries whose circuit has opened here since the last call."""
        opened, self._untold = list(self._untold.values()), {}
        return opened

    def succeeded(self, key: _Key) -> None:
        """Close a circuit: an answer came."""
        if key in self._circuits:
            circuit = self._circuits.pop(key)
            if circuit.opened is not None:
                logger.info("circuit closed", registry=key.registry, origin=str(key.origin))

    def undecided(self, key: _Key) -> None:
        """Let another request decide."""
        circuit = self._circuits.get(key)
        if circuit is not None:
            circuit.tried, circuit.is_suspected = None, False

    def failed(self, key: _Key, message: str, *, again: bool, proven: bool) -> bool:
        """Count a failure; the last of `FAILURES` opens the circuit, and so does that of the one that decides.

        One that belongs to an operation that has failed ``again`` counts only
        where it decides. One that is not ``proven`` opens nothing: `True` says
        that it would, and that whoever counts it is to ask the API itself.
        """
        now = self._now()
        circuit = self._circuits.setdefault(key, _Circuit())
        self._circuits.move_to_end(key)
        circuit.failures += not again
        circuit.failed, circuit.message = now, message
        decided, circuit.tried = circuit.tried is not None, None
        is_last = circuit.failures >= FAILURES and (circuit.opened is None or decided)
        is_suspicion = is_last and not proven and not circuit.is_suspected
        circuit.is_suspected = is_suspicion or (circuit.is_suspected and not proven)
        if is_last and proven:
            if circuit.opened is None and key.is_own and len(self._untold) < _KEPT:
                self._untold[key.registry] = Opened(key.registry, now, message)
            if circuit.opened is None:
                logger.warning("circuit opened", registry=key.registry, origin=str(key.origin), error=message)
            circuit.opened = now
            self._show(key)
        while len(self._circuits) > _KEPT:
            self._circuits.popitem(last=False)
        return is_suspicion

    def _show(self, key: _Key) -> None:
        """Have figures tell of a registry's circuit from now on."""
        if key.is_own:
            show_circuit(key.registry, partial(self._state, key))

    def _state(self, key: _Key) -> CircuitState:
        """Return how a registry's circuit is now: who shows it may not have asked the registry for hours."""
        now, rule = self._now(), self._rule(key.registry)
        if rule is not None and rule.is_shut(now=now, believed_for=self._believed_for):
            return CircuitState.OPEN
        circuit = self._circuits.get(key)
        if circuit is None or circuit.opened is None or _is_found_well(circuit.opened, rule):
            return CircuitState.CLOSED
        if circuit.tried is not None and now - circuit.tried < _TRIED_FOR:
            return CircuitState.HALF_OPEN
        if now - circuit.opened < self._recovery:
            return CircuitState.OPEN
        # What is probed its status speaks for, which this process reads only while it has something to do.
        is_probed = rule is not None and rule.status.last_probe_time is not None
        is_forgotten = is_probed or now - circuit.opened >= _UNTRIED_FOR
        return CircuitState.CLOSED if is_forgotten else CircuitState.HALF_OPEN


def _is_found_well(opened: datetime, rule: CatalogRegistry | None) -> bool:
    """Tell whether whoever probes a registry has looked at it since its circuit opened here, and it is not shut."""
    probed = rule.status.last_probe_time if rule else None
    return probed is not None and probed > opened


def _key(target: Target, origin: Origin | None = None) -> _Key:
    own = origin is None or origin == target.origin
    return _Key(target.registry, target.origin if origin is None else origin, own)


def _told(target: Target, rule: CatalogRegistry) -> CircuitOpenError:
    """Return the refusal that a CatalogRegistry's status asks for."""
    probed, reachable = rule.status.last_probe_time, rule.status.condition("Reachable")
    last = f"; last probe at {format_time(probed)}" if probed else ""
    found = f": {reachable.message}" if reachable else ""
    return CircuitOpenError(f"{target.registry} is not asked at present, its circuit is open{last}{found}")
