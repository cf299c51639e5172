"""What verify counts."""

from prometheus_client import Counter

from image_catalog.metrics import exemplar
from image_catalog.models import Phase, Reference
from image_catalog.registry import registry_label

__all__ = ["count_verification"]

_VERIFICATIONS = Counter(
    "image_catalog_verifications_total",
    "Checks of entries whose outcome was written, by the registry, the phase that came of it, and why.",
    ["registry", "phase", "reason"],
)


def count_verification(registry_url: str, phase: Phase, reason: str) -> None:
    """Count one check that came to its end.

    Parameters
    ----------
    registry_url
        The entry's reference.
    phase
        What the entry is now.
    reason
        Why, one of `PhaseReason`.
    """
    reference = Reference.try_parse(registry_url)
    registry = "none" if reference is None else registry_label(reference.registry)
    _VERIFICATIONS.labels(registry, phase, reason).inc(1, exemplar())
