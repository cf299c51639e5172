"""The rules by which an image is passed over, in the order in which they are asked.

An entry loses by the first rule that it breaks, and by that one alone. First comes
what was asked for, then whether the image can and may be used, then how far it is
to be trusted. What passes all of them is compared with its like in
`image_catalog.catalog.resolution.choice`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from image_catalog.catalog.resolution.candidate import Candidate, RecallNote
from image_catalog.catalog.resolution.platforms import fitting_platforms
from image_catalog.catalog.resolution.wish import Wish
from image_catalog.models import Phase
from image_catalog.models.reasons import PhaseReason, ResolutionReason

__all__ = ["ASKED", "RULES", "USABLE", "Judge", "Loss", "Recalls", "Rule", "is_as_asked", "is_recent"]


class Recalls(Protocol):
    """Knows which contents other entries say are recalled."""

    def find(self, namespace: str, digest: str) -> RecallNote | None:
        """Return what is said of a content in a namespace; `None` when nothing is."""


class Loss(NamedTuple):
    """Why an image is not the one.

    Attributes
    ----------
    reason
        The rule that it lost by.
    message
        The same as a sentence for people.
    """

    reason: ResolutionReason
    message: str


_Check = Callable[[Candidate, Wish, Recalls], str | None]
"""Returns what is wrong with an image, as a sentence; `None` when nothing is."""


class Rule(NamedTuple):
    """One way to lose.

    Attributes
    ----------
    reason
        What it is called.
    check
        Asks it.
    wished
        Field of a wish without which every image keeps the rule; `None` for a rule that always holds.
    """

    reason: ResolutionReason
    check: _Check
    wished: str | None = None

    def applies(self, wish: Wish) -> bool:
        """Tell whether an image may break it."""
        return self.wished is None or getattr(wish, self.wished) not in {None, ()}


def is_as_asked(candidate: Candidate, wish: Wish) -> bool:
    """Tell whether an image is of the kind that is wanted, be it of any use or not."""
    return all(rule.check(candidate, wish, _NONE) is None for rule in ASKED)


def is_recent(candidate: Candidate, wish: Wish) -> bool:
    """Tell whether an image was published recently enough."""
    return _too_old(candidate, wish, _NONE) is None


class Judge:
    """Says of images by which rule they lose; rules that a wish leaves out are not asked.

    Parameters
    ----------
    wish
        What is wanted.
    recalls
        What other entries say is recalled.
    """

    def __init__(self, wish: Wish, recalls: Recalls) -> None:
        self._wish = wish
        self._recalls = recalls
        self._rules = [rule for rule in RULES if rule.applies(wish)]
        self._usable = [rule.check for rule in USABLE if rule.applies(wish)]

    def loss_of(self, candidate: Candidate) -> Loss | None:
        """Return the first rule that an image breaks; `None` when it fits."""
        wish, recalls = self._wish, self._recalls
        for rule in self._rules:
            message = rule.check(candidate, wish, recalls)
            if message is not None:
                return Loss(rule.reason, message)
        return None

    def is_usable(self, candidate: Candidate) -> bool:
        """Tell whether an image of the wanted kind fits."""
        wish, recalls = self._wish, self._recalls
        return all(check(candidate, wish, recalls) is None for check in self._usable)


def _distro(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    return _other("distro", wish.distro, candidate.distro)


def _distro_version(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    return _other("distroVersion", wish.distro_version, candidate.distro_version)


def _architecture(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    if wish.architecture is None or wish.architecture in candidate.architectures:
        return None
    return _other("architecture", wish.architecture, ", ".join(candidate.architectures) or None)


def _tags(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    missing = [tag for tag in wish.tags if tag not in candidate.tags]
    return f"it lacks the tag {_and(missing)}" if missing else None


def _build_mode(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    return _other("buildMode", wish.build_mode, candidate.build_mode)


def _bootc(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    if wish.bootc_capable is None or candidate.bootc_capable is wish.bootc_capable:
        return None
    if candidate.bootc_capable is None:
        return "nobody knows whether bootc can run it"
    return "bootc can run it" if candidate.bootc_capable else "bootc cannot run it"


def _leaving(candidate: Candidate, _: Wish, __: Recalls) -> str | None:
    return "its entry is being removed" if candidate.standing.leaving else None


def _recalled(candidate: Candidate, wish: Wish, recalls: Recalls) -> str | None:
    if candidate.digest is None:
        return None
    fitting = fitting_platforms(candidate, wish.architecture)
    digests: tuple[str, ...] = (candidate.digest,)
    # Of several platforms nobody knows which one would be taken; that one of them is recalled is not said of the rest.
    if len(fitting) == 1 and fitting[0].digest != candidate.digest:
        digests += (fitting[0].digest,)
    for digest in digests:
        own = next((note for note in candidate.recalls if note.digest == digest), None) if candidate.recalls else None
        found = own or recalls.find(candidate.namespace, digest)
        if found is not None:
            return f"{digest} was {found.message}"
    return None


def _quarantined(candidate: Candidate, _: Wish, __: Recalls) -> str | None:
    standing = candidate.standing
    quarantined = standing.reason == PhaseReason.QUARANTINED and standing.phase != Phase.AVAILABLE
    return standing.message or "its tag moved away from what it is pinned to" if quarantined else None


def _not_available(candidate: Candidate, _: Wish, __: Recalls) -> str | None:
    standing = candidate.standing
    if standing.phase == Phase.AVAILABLE:
        return None
    why = ": ".join(filter(None, (standing.reason, standing.message)))
    return f"its phase is {standing.phase} ({why})" if why else f"its phase is {standing.phase}"


def _not_checked(candidate: Candidate, _: Wish, __: Recalls) -> str | None:
    return None if candidate.standing.checked else "its entry was changed, and its registry not asked since"


def _digest_unknown(candidate: Candidate, _: Wish, __: Recalls) -> str | None:
    if candidate.digest is None:
        return "nobody knows its digest"
    if candidate.pin is not None and candidate.pin != candidate.digest:
        return f"it is pinned to {candidate.pin}, and what its registry was found to have is {candidate.digest}"
    return None if candidate.repository else f"its reference {candidate.registry_url[:128]!r} cannot be read"


def _ambiguous(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    found = fitting_platforms(candidate, wish.architecture)
    if len(found) == 1:
        return None
    wanted = wish.architecture or candidate.architecture
    of = "/".join(filter(None, (candidate.os, wanted)))
    if wanted is None or not found:
        has = _and(sorted({each.architecture or "an unknown architecture" for each in candidate.platforms}))
        said = "neither asked for nor declared" if wanted is None else f"{of} is none of them"
        return f"it has platforms of {has}; which one is meant is not known: {said}"
    variants = _and([each.variant or "none" for each in found])
    return f"it has {len(found)} platforms of {of}, of the variants {variants}, and none is declared"


def _not_verified(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    if not wish.verified_only or wish.target in candidate.verified:
        return None
    if wish.target in candidate.tested:
        return f"its last test on {wish.target} did not pass"
    return f"no test of this content on {wish.target} was reported, and nobody says that it works there"


def _availability_unknown(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    unknown = wish.min_availability is not None and candidate.availability is None
    return "nobody knows yet for which share of time it was there" if unknown else None


def _availability_low(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    least, share = wish.min_availability, candidate.availability
    if least is None or share is None or share >= least:
        return None
    return f"it was there for {share:.4g} of the time, and {least:.4g} is asked for"


def _too_old(candidate: Candidate, wish: Wish, _: Recalls) -> str | None:
    since, published = wish.published_since, candidate.published_at
    if since is None or (published is not None and published >= since):
        return None
    return f"it was published {candidate.published}" if published else "nobody knows when it was published"


ASKED: Final = (
    Rule(ResolutionReason.DISTRO_MISMATCH, _distro, "distro"),
    Rule(ResolutionReason.DISTRO_VERSION_MISMATCH, _distro_version, "distro_version"),
    Rule(ResolutionReason.ARCHITECTURE_MISMATCH, _architecture, "architecture"),
    Rule(ResolutionReason.TAG_MISSING, _tags, "tags"),
    Rule(ResolutionReason.BUILD_MODE_MISMATCH, _build_mode, "build_mode"),
    Rule(ResolutionReason.BOOTC_MISMATCH, _bootc, "bootc_capable"),
)
"""Whether an image is of the kind that is wanted."""

USABLE: Final = (
    Rule(ResolutionReason.BEING_REMOVED, _leaving),
    Rule(ResolutionReason.RECALLED, _recalled),
    Rule(ResolutionReason.QUARANTINED, _quarantined),
    Rule(ResolutionReason.NOT_AVAILABLE, _not_available),
    Rule(ResolutionReason.NOT_CHECKED, _not_checked),
    Rule(ResolutionReason.DIGEST_UNKNOWN, _digest_unknown),
    Rule(ResolutionReason.ARCHITECTURE_AMBIGUOUS, _ambiguous),
    Rule(ResolutionReason.NOT_VERIFIED, _not_verified, "verified_only"),
    Rule(ResolutionReason.AVAILABILITY_UNKNOWN, _availability_unknown, "min_availability"),
    Rule(ResolutionReason.AVAILABILITY_TOO_LOW, _availability_low, "min_availability"),
    Rule(ResolutionReason.TOO_OLD, _too_old, "published_since"),
)
"""Whether one of that kind can and may be used, and is to be trusted."""

RULES: Final = (*ASKED, *USABLE)
"""Every rule that an image is passed over by, whatever others there are."""


def _other(field: str, wanted: str | None, found: str | None) -> str | None:
    if wanted is None or wanted == found:
        return None
    return f"its {field} is {found}" if found else f"its {field} is not known"


def _and(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


class _NoRecalls:
    """Knows of no recall: the rules of what is asked for do not go by any."""

    def find(self, namespace: str, digest: str) -> RecallNote | None:  # noqa: ARG002 - the parameters of `Recalls`
        return None


_NONE: Final[Recalls] = _NoRecalls()
