"""How the story is told: what is done, what came of it, and what was expected."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from image_catalog.local.demo.world import Taken
from image_catalog.models import CatalogImage, Phase

__all__ = ["StoryFailedError", "Teller", "facts", "short", "size"]


class StoryFailedError(Exception):
    """A step of the story is not as it should be; the message says which and why."""


class Teller:
    """Tells a step.

    Parameters
    ----------
    console
        Where it is told.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def does(self, text: str) -> None:
        """Say what somebody does."""
        self._console.print(Text(f"    {text}", style="dim"))

    def available(self, taken: Taken) -> None:
        """Say that an entry became Available, how fast, and what it is."""
        name, phase = taken.image.metadata.name, taken.image.status.phase
        self.holds(phase is Phase.AVAILABLE, f"{name} is {phase} after {taken.milliseconds} ms: {facts(taken.image)}")

    def holds(self, condition: object, text: str, otherwise: str = "") -> None:
        """Check something and say so.

        Parameters
        ----------
        condition
            What must be true.
        text
            What that means.
        otherwise
            What is there instead.

        Raises
        ------
        StoryFailedError
            Raised if it is not true.
        """
        if not condition:
            raise StoryFailedError(f"not so: {text}{f' ({otherwise})' if otherwise else ''}")
        self._console.print(Text("  ✓ ", style="green").append(text, style="default"))


def short(digest: str | None) -> str:
    """Return a digest as people read it: ``sha256:72adc3dd1b54``."""
    return (digest or "no digest")[:19]


def size(count: int) -> str:
    """Return a size as people read it: ``427 B``, ``1.2 GB``."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:  # noqa: PLR2004 - the units are powers of a thousand
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def facts(image: CatalogImage) -> str:
    """Return what an entry says about its image, in one line."""
    metadata, registry = image.spec.metadata, image.status.registry_metadata
    parts = [short(registry.resolved_digest) if registry else "unread"]
    if registry:
        platforms = [variant.architecture for variant in registry.platform_variants]
        if not platforms and registry.platform:
            platforms = [registry.platform.architecture]
        parts += ["+".join(platforms), size(registry.size_bytes)]
    if metadata:
        parts += [metadata.distro or "", ", ".join(target.name for target in metadata.targets)]
    return " · ".join(filter(None, parts))
