"""Weakenings of the functions, planted one at a time: the simulator has to notice each.

Everywhere else in the tests nothing of our own is replaced. Here it is the
point: a simulator that has never seen a broken promise proves nothing, so each
mutation takes away one rule that keeps one. It swaps a named function for a
weaker one while a run lasts; no file is edited.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from image_catalog.catalog import lifecycle, publishing
from image_catalog.catalog.changes import without_marks
from image_catalog.catalog.need import Need
from image_catalog.catalog.schedule import NextCheck, Schedule
from image_catalog.catalog.wishes import wish_of_build
from image_catalog.cluster import (
    CatalogImages,
    Claim,
    ClaimOutcome,
    ClaimResult,
    Claims,
    KubernetesAPI,
    _claims,
    _images,
)
from image_catalog.errors import ImageNotFoundError, RegistryUnreachableError
from image_catalog.events import event as events_event
from image_catalog.models import CatalogImageStatus, DueAt
from image_catalog.models.names import FINALIZER
from image_catalog.models.reasons import NextVerificationReason
from image_catalog_functions.cleanup import handler as cleanup_handler
from image_catalog_functions.publish import found as publish_found
from image_catalog_functions.publish import publisher
from image_catalog_functions.publish.found import Found
from image_catalog_functions.publish.intake import Intake
from image_catalog_functions.reverify import sweep
from image_catalog_functions.reverify.batches import Batch
from image_catalog_functions.verify import handler as verify_handler
from image_catalog_functions.verify import verifier

__all__ = ["MUTATIONS", "Mutation", "plant"]


@dataclass(frozen=True, slots=True)
class Swap:
    """One name that stands for something else while a mutation is planted.

    Attributes
    ----------
    owner, name
        The module or class, and the name in it.
    weaker
        Makes what stands there of what did.
    """

    owner: Any
    name: str
    weaker: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A rule that is taken away.

    Attributes
    ----------
    what
        What the functions do wrong.
    breaks
        Names of the invariants of which one has to notice.
    swaps
        How it is planted.
    """

    what: str
    breaks: frozenset[str]
    swaps: tuple[Swap, ...]


@contextmanager
def plant(mutation: Mutation) -> Iterator[None]:
    """Plant a mutation for as long as the context lasts."""
    with ExitStack() as stack:
        for swap in mutation.swaps:
            before = vars(swap.owner)[swap.name]
            setattr(swap.owner, swap.name, swap.weaker(before))
            stack.callback(setattr, swap.owner, swap.name, before)
        yield


def _returns(value: Any) -> Callable[[Any], Any]:
    return lambda _: lambda *_, **__: value


def _is(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _swap(owner: Any, name: str, weaker: Callable[[Any], Any]) -> Swap:
    return Swap(owner, name, weaker)


# What the weaker ones do.


def _claims_nothing(_: Any) -> Any:
    async def secure(_: Claims, namespace: str, reference: Any, holder: str, **__: Any) -> ClaimResult:
        claim = Claim(namespace, "none", "", "", reference.canonical, holder, datetime.now(UTC))
        return ClaimResult(ClaimOutcome.CREATED, claim)

    return secure


def _without_preconditions(patch: Any) -> Any:
    async def unconditional(self: KubernetesAPI, *args: Any, **options: Any) -> Any:
        options.pop("resource_version", None)
        return await patch(self, *args, **options)

    return unconditional


def _believes_the_publication(_: Any) -> Any:
    return lambda _, published, **__: dict(published)


def _names_a_day_late(named: Any) -> Any:
    def a_day_late(status: CatalogImageStatus) -> CatalogImageStatus:
        due = status.next_verification_time
        told: CatalogImageStatus = named(status)
        return told if due is None else told.model_copy(update={"due": DueAt.of(due + timedelta(days=1))})

    return a_day_late


def _draws_an_id(_: Any) -> Any:
    return lambda *_: str(uuid.uuid4())


def _forgets_what_is_owed(_: Any) -> Any:
    return lambda status, *_, **__: without_marks(status)


def _believes_every_build(_: Any) -> Any:
    def automatic(self: Intake, build: Any) -> Any:
        wanted = build.is_completed and build.published_reference is not None
        return wish_of_build(build, now=self.clock()) if wanted else None

    return automatic


def _waits_for_the_registry(let_go: Callable[..., Awaitable[None]]) -> Any:
    async def wait(event: Any, image: Any, **parts: Any) -> None:
        if image.status.phase == "Available":
            await let_go(event, image, **parts)

    return wait


def _lets_go_first(_: Any) -> Any:
    async def let_go(event: Any, image: Any, *, images: CatalogImages, claims: Claims, told: Any, sink: Any) -> None:
        def without(fresh: Any) -> Any:
            left = [name for name in fresh.metadata.finalizers if name != FINALIZER]
            return fresh.model_copy(update={"metadata": fresh.metadata.model_copy(update={"finalizers": left})})

        await images.apply_metadata(image.metadata.namespace, image.metadata.name, without, start=image)
        await cleanup_handler._bury(image, claims)
        await sink.send([cleanup_handler._removed(image, event)])
        told.add(image.metadata.uid)

    return let_go


def _takes_silence_for_absence(judge: Any) -> Any:
    def hasty(spec: Any, check: Any, **options: Any) -> Any:
        if isinstance(check.error, RegistryUnreachableError):
            check = replace(check, error=ImageNotFoundError(check.error.message))
        return judge(spec, check, **options)

    return hasty


def _blanks_what_it_cannot_read(take_over: Any) -> Any:
    def blank(before: Any, check: Any, **options: Any) -> Any:
        after = take_over(before, check, **options)
        return after if check.inspection is not None else after.model_copy(update={"registry_metadata": None})

    return blank


def _keeps_no_history(take_over: Any) -> Any:
    return lambda *args, **options: take_over(*args, **options).model_copy(update={"history": []})


async def _finds_nothing(*_: Any, **__: Any) -> list[Any]:
    return []


def _checks_again_at_once(_: Any) -> Any:
    return lambda *_, now, **__: NextCheck(now + timedelta(seconds=1), NextVerificationReason.INTERVAL, "at once")


def _stamps_what_it_names(merge: Any) -> Any:
    def stamp(current: Any, findings: Any, **options: Any) -> Any:
        known = {condition.type: condition for condition in current}
        merged = merge(known.values(), findings, **options)
        return [said if said.type in findings else known[said.type] for said in merged]

    return stamp


def _buries_whoever_has_the_name(_: Any) -> Any:
    async def bury_gone(self: Claims, *args: Any) -> Any:
        return await self._bury(*args)

    return bury_gone


def _sees_every_write_as_a_wish(need_of: Any) -> Any:
    def needy(image: Any, **options: Any) -> Need:
        found: Need = need_of(image, **options)
        return Need.CHECK if found is Need.NOTHING and image.metadata.deletion_timestamp is None else found

    return needy


def _knows_its_mark_alone(_: Any) -> Any:
    return lambda image: dict(image.metadata.annotations)


async def _nothing(*_: Any, **__: Any) -> None:
    pass


def _passes_over_what_is_new(add: Any) -> Any:
    return lambda self, row: None if row.next_verification is None else add(self, row)


MUTATIONS: dict[str, Mutation] = {
    "publish without a claim": Mutation(
        "publish and verify make entries without claiming the image first",
        frozenset({"one-entry-per-image", "living-entries-hold-their-claim"}),
        (_swap(Claims, "secure", _claims_nothing),),
    ),
    "a dead maker keeps its claim": Mutation(
        "the claim of a maker that died is never taken over",
        frozenset({"every-build-has-its-entry"}),
        (_swap(_claims, "ABANDONED_AFTER", _is(timedelta(days=365))),),
    ),
    "an older build overwrites a newer one": Mutation(
        "publications are applied in the order in which their events come",
        frozenset({"never-back-to-an-older-build"}),
        (_swap(publisher, "refuse_stale", _returns(None)), _swap(publishing, "refuse_stale", _returns(None))),
    ),
    "writes without preconditions": Mutation(
        "what was decided on a stale read is written over what others wrote since",
        frozenset(
            {
                "history-is-monotone",
                "people-are-heard",
                "phase-changes-are-owed",
                "generations-are-true",
                "events-are-emitted",
                "metadata-is-kept",
            }
        ),
        (_swap(KubernetesAPI, "patch", _without_preconditions),),
    ),
    "a publication blanks what people wrote": Mutation(
        "metadata is written as it was published, whatever a person has changed in it since",
        frozenset({"people-are-heard"}),
        (_swap(publishing, "merge_metadata", _believes_the_publication),),
    ),
    "a retry draws another id": Mutation(
        "events get a random id, so that a redelivery tells the same under another one",
        frozenset({"events-tell-of-writes", "events-are-emitted"}),
        (_swap(events_event, "event_id", _draws_an_id),),
    ),
    "a status write owes nothing": Mutation(
        "what a write owes is not kept with it, and lost with the function that dies over it",
        frozenset({"phase-changes-are-owed"}),
        (_swap(lifecycle, "remember", _forgets_what_is_owed),),
    ),
    "what is owed is not told again": Mutation(
        "a redelivered cause that was written already is taken for done",
        frozenset({"events-are-emitted"}),
        (_swap(publisher, "replay", _is(_finds_nothing)), _swap(verify_handler, "replay", _is(_finds_nothing))),
    ),
    "a tombstone is ignored": Mutation(
        "builds bring back what a person has removed",
        frozenset({"removed-stays-away"}),
        (_swap(Found, "was_removed_since", _returns(False)),),
    ),
    "an opt-out is ignored": Mutation(
        "builds that say publish: false are published",
        frozenset({"opted-out-stays-out"}),
        (_swap(Intake, "_automatic", _believes_every_build),),
    ),
    "deletion waits for the registry": Mutation(
        "the finalizer of an entry that is not Available stays",
        frozenset({"deleted-entries-are-gone"}),
        (_swap(cleanup_handler, "_let_go", _waits_for_the_registry),),
    ),
    "an entry goes before it is told": Mutation(
        "the finalizer is removed before image.removed is out",
        frozenset({"removals-are-told"}),
        (_swap(cleanup_handler, "_let_go", _lets_go_first),),
    ),
    "silence is taken for absence": Mutation(
        "a registry that does not answer is taken to have lost the image",
        frozenset({"reasons-are-witnessed"}),
        (_swap(verifier, "judge", _takes_silence_for_absence),),
    ),
    "what cannot be read is blanked": Mutation(
        "a check that could not read the metadata replaces it by nothing",
        frozenset({"metadata-is-kept", "history-is-monotone"}),
        (_swap(lifecycle, "take_over", _blanks_what_it_cannot_read),),
    ),
    "a new version forgets the old ones": Mutation(
        "the history is not kept",
        frozenset({"history-is-monotone"}),
        (_swap(lifecycle, "take_over", _keeps_no_history),),
    ),
    "nobody looks for entries that were never checked": Mutation(
        "entries without a check are not due, and the sweep passes them over",
        frozenset({"living-entries-hold-their-claim", "nothing-is-left-waiting", "phase-is-the-truth"}),
        (
            _swap(sweep, "_is_behind", _returns(False)),
            _swap(Batch, "add", _passes_over_what_is_new),
        ),
    ),
    "names of later times are believed": Mutation(
        "entries are named as due a day late, and the sweep does not look whether their time has come",
        frozenset({"nothing-is-left-waiting"}),
        (
            _swap(_images, "_named", _names_a_day_late),
            _swap(sweep, "_is_passed_over", _returns(False)),
        ),
    ),
    "nobody looks for builds without an entry": Mutation(
        "the sweep does not look at builds",
        frozenset({"every-build-has-its-entry"}),
        (_swap(sweep, "_forgotten", _is(_finds_nothing)),),
    ),
    "failures are not waited for": Mutation(
        "an entry is due again at once, whatever the last check found",
        frozenset({"checks-are-spaced"}),
        (_swap(Schedule, "after", _checks_again_at_once),),
    ),
    "a recorded build is published again": Mutation(
        "that a build was published already is not recognised",
        frozenset({"published-once"}),
        (_swap(publish_found, "is_recorded", _returns(False)), _swap(publishing, "is_recorded", _returns(False))),
    ),
    "conditions are left behind": Mutation(
        "a condition that a write does not name keeps the generation of before",
        frozenset({"generations-are-true"}),
        (_swap(lifecycle, "merge_conditions", _stamps_what_it_names),),
    ),
    "unchanged content is read again": Mutation(
        "every check reads manifest and config, though the digest is the same",
        frozenset({"registry-is-asked-little"}),
        (_swap(verifier, "known_metadata", _returns(None)),),
    ),
    "own writes are news": Mutation(
        "a status write of our own that comes back as an event is checked again",
        frozenset({"checks-are-spaced", "nothing-loops", "comes-to-rest"}),
        (_swap(verify_handler, "need_of", _sees_every_write_as_a_wish),),
    ),
    "a person's pin is moved": Mutation(
        "a publication moves a pin that a person typed",
        frozenset({"people-are-heard"}),
        (
            _swap(publishing, "refuse_users_pin", _returns(None)),
            _swap(publisher, "refuse_users_pin", _returns(None)),
        ),
    ),
    "a pin is known by its mark alone": Mutation(
        "a pin typed a moment ago, with the mark of before beside it, is taken for the functions' own",
        frozenset({"people-are-heard"}),
        (_swap(publishing, "owned_annotations", _knows_its_mark_alone),),
    ),
    "a slow check overwrites a later one": Mutation(
        "what a registry said a while ago is written over what it has said since",
        frozenset({"history-is-monotone", "phase-changes-are-owed", "events-are-emitted"}),
        (
            _swap(verifier, "is_outdated", _returns(False)),
            _swap(publishing, "_refuse_outdated", _returns(None)),
            _swap(lifecycle, "_later", _is(lambda _, at: at)),
        ),
    ),
    "a late word buries who came after": Mutation(
        "the deletion of an entry makes a tombstone of the claim of a later one of its name",
        frozenset({"living-entries-hold-their-claim", "one-entry-per-image"}),
        (_swap(Claims, "_bury_gone", _buries_whoever_has_the_name), _swap(Claims, "_refuse_fresh", _is(_nothing))),
    ),
}
"""Every mutation, by the rule that it takes away."""
