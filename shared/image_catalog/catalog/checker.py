"""Asks a registry about what an entry stands for, with the credential that belongs there."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from image_catalog.catalog.allowances import Allowances
from image_catalog.catalog.budget import Urgency
from image_catalog.catalog.check_target import CheckTarget
from image_catalog.catalog.credentials import Choice, CredentialSources, Wanted
from image_catalog.catalog.metadata import RegistryFacts
from image_catalog.catalog.pace import Pace
from image_catalog.catalog.steps import StepLog
from image_catalog.catalog.verdict import Check
from image_catalog.cluster import CatalogRegistries
from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    CircuitOpenError,
    ClusterUnavailableError,
    ForbiddenError,
    HostNotAllowedError,
    ImageNotFoundError,
    InvalidReferenceError,
    RegistryUnreachableError,
)
from image_catalog.models import CatalogRegistry, Reference, RegistryType
from image_catalog.models.events import StepStatus
from image_catalog.models.reference import without_credentials
from image_catalog.registry import Credential, HostPolicy, Inspection, Referrer, RegistryClient

__all__ = ["Checker"]

_ASK_AGAIN_WITHIN = timedelta(seconds=5)
"""A registry that took longer to fail is not asked twice: a delivery of the broker is given 120 s in all."""

_DENIALS = (AuthenticationError, AccessDeniedError)

_NOBODYS = Choice(None, "none, asked anonymously: nobody knows who asks; ask at the catalog's API")

_STATUSES = {AuthenticationError: 401, AccessDeniedError: 403, ImageNotFoundError: 404}
"""What a registry answers to say so, which people who know registries look for first."""


class _Progress(StepLog):
    """How far a check has got: its steps, the one that is under way, and the credential that was chosen."""

    under_way = "Registry URL"
    choice: Choice | None = None

    def judge(self, name: str, message: str, *, ok: bool) -> None:
        """Note that a step has come to its end, and how."""
        self.add(name, message, StepStatus.OK if ok else StepStatus.FAILED)

    def skip(self, name: str, message: str) -> None:
        """Note that there was nothing to do."""
        self.add(name, message, StepStatus.SKIPPED)


@dataclass(slots=True, kw_only=True)
class Checker:
    """Asks registries on behalf of entries.

    Parameters
    ----------
    registry
        Speaks to registries.
    hosts
        What may be contacted; brought up to date from `registries`.
    registries
        The cluster's CatalogRegistry objects.
    credentials
        Chooses the credential for a reference.
    allowances
        What registries' limits allow this process.
    clock
        Tells the time.
    """

    registry: RegistryClient
    hosts: HostPolicy
    registries: CatalogRegistries
    credentials: CredentialSources
    allowances: Allowances
    clock: Callable[[], datetime]
    _applied: tuple[CatalogRegistry, ...] | None = None

    async def check(self, target: CheckTarget) -> Check:
        """Ask the registry.

        Parameters
        ----------
        target
            What is to be checked.

        Returns
        -------
        Check
            What was found out. Trouble with the registry, the reference or
            the credential is a finding.

        Raises
        ------
        ClusterUnavailableError
            Raised when the API server cannot tell what credential or policy holds.
        ForbiddenError
            Raised when this process may not read the policy.
        """
        steps = _Progress()
        at = self.clock()
        try:
            async with asyncio.timeout(target.limit.total_seconds()):
                return await self._check(target, steps, at)
        except (ClusterUnavailableError, ForbiddenError):
            raise
        except TimeoutError:
            url, seconds = without_credentials(target.registry_url), target.limit.total_seconds()
            error: CatalogError = RegistryUnreachableError(f"{url}: it took longer than {seconds:.0f} s in all")
        except CatalogError as e:
            error = _with_notes(e, steps.choice)
        steps.judge(steps.under_way, _told(error), ok=False)
        return Check(at=at, pin=target.pin, error=error, steps=tuple(steps.done))

    def facts(self, check: Check | None) -> RegistryFacts:
        """Return what a check brought to light, in the words of metadata."""
        inspection = check.inspection if check else None
        if inspection is None:
            return RegistryFacts((), {})
        platforms = [variant.platform for variant in inspection.platform_variants]
        if not platforms and inspection.platform is not None:
            platforms = [inspection.platform]
        architectures = tuple(dict.fromkeys(p.architecture for p in platforms if p.is_known))
        return RegistryFacts(architectures, {**inspection.labels, **inspection.annotations})

    async def registry_type(self, reference: Reference) -> RegistryType | None:
        """Return what a CatalogRegistry says about a host; `None` where there is none, or it does not say."""
        await self._apply_policy()
        found = self.hosts.find(reference.registry)
        return found.type if found else None

    async def postponement(self, registry_url: str) -> CircuitOpenError | None:
        """Return why a check would ask no registry at present; `None` if it would, or would say why not."""
        await self._apply_policy()
        try:
            return self.registry.refusal(Reference.parse(registry_url))
        except (InvalidReferenceError, HostNotAllowedError):
            return None

    @contextlib.asynccontextmanager
    async def place(self, registry_url: str, urgency: Urgency, *, known: bool = False) -> AsyncIterator[None]:
        """Hold a place of a registry while one of its images is checked, and what is found is written.

        Parameters
        ----------
        registry_url
            The reference, as it was typed. One that leads nowhere needs none:
            nobody will be asked.
        urgency
            Who wants the check: what a registry's limit allows is kept for people first.
        known
            Whether its content was looked at before.

        Raises
        ------
        RegistryBusyError
            Raised when the registry is slow and has all that it may have of
            this process, or its limit is used up for now. Nothing has been
            found out, and nothing is to be written.
        TransientError
            Raised when the API server is in trouble that passes.
        """
        await self._apply_policy()
        try:
            reference = Reference.parse(registry_url)
            held = self.registry.place(reference)
            unasked = self.registry.refusal(reference) is not None
        except (InvalidReferenceError, HostNotAllowedError):
            yield
            return
        rule = self.hosts.rule(reference.registry)
        async with held:
            if rule is None or unasked:
                yield
                return
            async with self.allowances.take(rule, urgency, known=known):
                yield

    def pace(self, registry_url: str) -> Pace | None:
        """Return what a registry's limit allows each of its entries; `None` where there is none, or it suffices."""
        reference = Reference.try_parse(registry_url)
        return None if reference is None else Pace.of(self.hosts.rule(reference.registry))

    async def apply_policy(self) -> tuple[CatalogRegistry, ...]:
        """Bring what may be contacted up to date, and return the CatalogRegistries that say so.

        Raises
        ------
        ClusterUnavailableError
            Raised when the API server cannot tell.
        ForbiddenError
            Raised when this process may not read them.
        """
        await self._apply_policy()
        return self._applied or ()

    async def _check(self, target: CheckTarget, steps: _Progress, at: datetime) -> Check:
        """Ask the registry, again where that may go better."""
        await self._apply_policy()
        reference = Reference.parse(target.registry_url)
        steps.under_way = "Registry accessibility"
        # No Secret is read for a request that is not made. That a host is forbidden is said by asking it.
        with contextlib.suppress(HostNotAllowedError):
            self.registry.admit(reference)
        steps.under_way = "Credentials"
        choice = await self._choose(reference, target, steps)
        policy = self._applied
        try:
            return await self._ask(reference, choice.credential, target, steps, at)
        except CatalogError as e:
            if not await self._may_go_better(e, choice, policy, steps, at):
                raise
        choice = await self._choose(reference, target, steps)
        return await self._ask(reference, choice.credential, target, steps, at)

    async def _apply_policy(self, *, since: datetime | None = None) -> None:
        found = await self.registries.list_all(since=since)
        if found is not self._applied:
            self.hosts.replace(found)
            self._applied = found

    async def _choose(self, reference: Reference, target: CheckTarget, steps: _Progress) -> Choice:
        """Choose the credential, and tell which source has the say."""
        wanted = Wanted(
            reference=reference,
            namespace=target.namespace,
            secret_ref=target.auth_secret_ref,
            registry=self.hosts.find(reference.registry),
        )
        choice = _NOBODYS if target.anonymous else await self.credentials.choose(wanted)
        steps.choice = choice
        told = choice.explain(every=target.explain)
        if choice.credential is None:
            steps.skip("Credentials", told)
        else:
            steps.add("Credentials", told)
        steps.under_way = "Registry accessibility"
        return choice

    async def _may_go_better(
        self,
        error: CatalogError,
        choice: Choice,
        policy: tuple[CatalogRegistry, ...] | None,
        steps: _Progress,
        at: datetime,
    ) -> bool:
        """Tell whether asking again at once may go better, and say why in the steps."""
        if self.clock() - at > _ASK_AGAIN_WITHIN:
            return False
        if isinstance(error, _DENIALS) and await self.credentials.drop(choice):
            steps.add("Credentials", f"turned down; another one is asked for after {_told(error)}")
            return True
        if await self._has_changed(policy, since=at):
            steps.add("Registry policy", f"a CatalogRegistry has changed; asked again after {_told(error)}")
            return True
        return False

    async def _has_changed(self, policy: tuple[CatalogRegistry, ...] | None, *, since: datetime) -> bool:
        """Tell whether a failure may be due to a policy that an administrator has changed by now.

        A CatalogRegistry is often applied together with the entries that need
        it, and the list at hand may be older than both.
        """
        await self._apply_policy(since=since)
        return [registry.spec for registry in policy or ()] != [registry.spec for registry in self._applied or ()]

    async def _ask(
        self, reference: Reference, credential: Credential | None, target: CheckTarget, steps: _Progress, at: datetime
    ) -> Check:
        pin = target.pin or reference.digest
        known = target.known.resolved_digest if target.known else None
        if pin is not None and reference.tag is None and reference.digest is not None:
            reference = reference.with_digest(pin)
        found = await self.registry.inspect(
            reference,
            credential=credential,
            known=known if pin is None or known == pin else None,
            deep=target.deep,
        )
        steps.add("Registry accessibility", f"OK ({reference.registry} answered, requests: {found.requests})")
        tag_digest = found.resolved_digest
        inspection: Inspection | None = found
        if pin is not None and tag_digest != pin and not target.follow:
            steps.judge("Digest verification", f"pinned to {pin}, the tag has {tag_digest}", ok=False)
            inspection = await self._pinned(reference.with_digest(pin), credential, known, deep=target.deep)
            steps.judge("Pinned content", "still there" if inspection else "gone", ok=inspection is not None)
        else:
            steps.add("Digest verification", f"OK ({tag_digest})")
        if inspection is not None:
            note = "unchanged" if inspection.unchanged else inspection.media_type or ""
            complaint = "; ".join([*inspection.warnings, *(f"{m} is missing" for m in inspection.missing)])
            steps.judge("Metadata extraction", complaint or f"OK ({note})", ok=not complaint)
        referrers = None
        if inspection is not None and target.referrers:
            referrers = await self._referrers(inspection, credential, steps)
        return Check(
            at=at,
            pin=pin,
            tag_digest=tag_digest,
            inspection=inspection,
            referrers=referrers,
            steps=tuple(steps.done),
        )

    async def _pinned(
        self, reference: Reference, credential: Credential | None, known: str | None, *, deep: bool
    ) -> Inspection | None:
        """Look at the pinned content after its tag has moved; `None` when it is gone."""
        try:
            return await self.registry.inspect(
                reference, credential=credential, known=known if known == reference.digest else None, deep=deep
            )
        except ImageNotFoundError:
            return None

    async def _referrers(
        self, inspection: Inspection, credential: Credential | None, steps: _Progress
    ) -> tuple[Referrer, ...] | None:
        """List what refers to the image; `None` when the registry does not tell, which is nobody's fault."""
        try:
            found = await self.registry.referrers(
                inspection.reference, inspection.resolved_digest, credential=credential
            )
        except CatalogError as e:
            steps.skip("Referrers", f"not listed: {_told(e)}")
            return None
        counts = Counter(referrer.kind for referrer in found)
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        steps.add("Referrers", f"OK ({told or 'none'})")
        return found


def _with_notes(error: CatalogError, choice: Choice | None) -> CatalogError:
    """Say with a denial which sources of credentials gave none: one of them is what somebody has to mend."""
    if not isinstance(error, _DENIALS) or choice is None or not choice.notes:
        return error
    return type(error)(f"{error.message}; passed over: {choice.notes}")


def _told(error: CatalogError) -> str:
    status = next((f"{code} " for kind, code in _STATUSES.items() if isinstance(error, kind)), "")
    return f"{status}{error.reason}: {error.message}"
