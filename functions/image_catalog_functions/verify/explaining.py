"""Explains a reference that has no entry: what a check would find, and nothing is written."""

from __future__ import annotations

from image_catalog.catalog.budget import Urgency
from image_catalog.catalog.check_target import CheckTarget
from image_catalog.catalog.checker import Checker
from image_catalog.catalog.verdict import Check, judge
from image_catalog.errors import SecretError
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent
from image_catalog.models import CatalogImageSpec
from image_catalog.models.events import ImageVerified, VerificationRequest
from image_catalog.models.reference import without_credentials

__all__ = ["explain"]


async def explain(event: ReceivedEvent[object], request: VerificationRequest, *, checker: Checker) -> CatalogEvent:
    """Check a reference step by step.

    Parameters
    ----------
    event
        The request as it came.
    request
        Names the reference, and the Secret to ask with.
    checker
        Asks registries.

    Returns
    -------
    CatalogEvent
        The outcome of each step, and the phase that an entry would have.

    Raises
    ------
    TransientError
        Raised when the API server is in trouble that passes, or the registry
        is slow and has all that it may have of this process.
    """
    url, namespace = request.reference or "", request.namespace or "default"
    if request.auth_secret_ref is not None and not event.is_authenticated:
        refused = SecretError(
            "authSecretRef is refused from a caller that nobody knows; ask at the catalog's API",
            reason="SecretForbidden",
        )
        check = Check(at=checker.clock(), error=refused)
    else:
        target = CheckTarget(
            registry_url=url,
            namespace=namespace,
            auth_secret_ref=request.auth_secret_ref,
            deep=request.deep,
            explain=True,
            # The namespace is what the asker says. It opens Secrets and images only for those who are known.
            anonymous=not event.is_authenticated,
            referrers=True,
        )
        async with checker.place(url, Urgency.ASKED):
            check = await checker.check(target)
    verdict = judge(CatalogImageSpec.model_construct(registry_url=url), check, was_available=False)
    found = check.inspection
    data = ImageVerified(
        namespace=namespace,
        registry_url=without_credentials(url),
        actor=event.actor,
        phase=verdict.phase,
        reason=verdict.reason,
        message=verdict.message,
        resolved_digest=found.resolved_digest if found else None,
        size_bytes=found.size_bytes if found else None,
        layer_count=found.layer_count if found else None,
        last_verified=check.at if found else None,
        steps=list(check.steps),
    )
    return CatalogEvent.of_name(EventType.IMAGE_VERIFIED, namespace, None, data, cause=event)
