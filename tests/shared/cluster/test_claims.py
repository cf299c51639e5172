"""Claims: one entry per image, whoever comes, in whatever order, and whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from image_catalog.cluster import CATALOG_IMAGE, LEASE, CatalogImages, ClaimOutcome, Claims, KubernetesAPI
from image_catalog.errors import ClusterUnavailableError, WriteConflictError
from image_catalog.models import CatalogImage, CatalogImageSpec, ObjectMeta, Reference
from image_catalog.testing.clock import StillClock
from image_catalog.testing.cluster import Effect, InProcessCluster

NS = "team-a"
IMAGE = Reference.parse("registry.example.com/os/cs9:1")


def make_claims(api: KubernetesAPI, clock: Callable[[], datetime]) -> Claims:
    return Claims(api=api, images=CatalogImages(api=api), clock=clock, patience=timedelta(milliseconds=50))


@pytest.fixture
def claims(api: KubernetesAPI, clock: StillClock) -> Claims:
    return make_claims(api, clock)


async def make_entry(images: CatalogImages, name: str, url: str = "registry.example.com/os/cs9:1") -> CatalogImage:
    image = CatalogImage(metadata=ObjectMeta(name=name, namespace=NS), spec=CatalogImageSpec(registry_url=url))
    return await images.create(image)


async def test_first_comer_gets_the_image(claims: Claims, api: KubernetesAPI, clock: StillClock) -> None:
    result = await claims.secure(NS, IMAGE, "cs9")
    assert result.outcome is ClaimOutcome.CREATED
    assert await claims.get(NS, IMAGE) == result.claim
    lease = await api.get(LEASE, f"catalogimage-{IMAGE.identity_hash}", NS)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "cs9"
    assert lease["metadata"]["annotations"]["automotive.sdv.cloud.redhat.com/reference"] == IMAGE.canonical
    assert result.claim.acquired_at == clock()


async def test_claiming_again_changes_nothing(claims: Claims) -> None:
    first = await claims.secure(NS, IMAGE, "cs9")
    again = await claims.secure(NS, IMAGE, "cs9")
    assert again.outcome is ClaimOutcome.OURS
    assert again.claim == first.claim


async def test_unclaimed_image_has_no_claim(claims: Claims) -> None:
    assert await claims.get(NS, IMAGE) is None


async def test_image_of_a_living_entry_is_held(claims: Claims, images: CatalogImages, clock: StillClock) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    await make_entry(images, "cs9")
    clock.advance(hours=1)
    result = await claims.secure(NS, IMAGE, "other")
    assert result.outcome is ClaimOutcome.HELD
    assert result.claim.holder == "cs9"


async def test_another_namespace_is_another_matter(claims: Claims) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    assert (await claims.secure("team-b", IMAGE, "cs9")).outcome is ClaimOutcome.CREATED


async def test_of_many_publishers_one_wins(cluster: InProcessCluster, clock: StillClock, images: CatalogImages) -> None:
    async def publish(number: int) -> ClaimOutcome:
        name = f"entry-{number}"
        claims = Claims(
            api=cluster.api(f"publisher-{number}"), images=images, clock=clock, patience=timedelta(seconds=2)
        )
        result = await claims.secure(NS, IMAGE, name)
        if result.outcome is ClaimOutcome.CREATED:
            await make_entry(images, name)
        return result.outcome

    outcomes = await asyncio.gather(*(publish(number) for number in range(8)))
    assert outcomes.count(ClaimOutcome.CREATED) == 1
    assert outcomes.count(ClaimOutcome.HELD) == 7


async def test_young_claim_without_an_entry_is_left_to_its_maker(claims: Claims, clock: StillClock) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    clock.advance(seconds=10)
    with pytest.raises(WriteConflictError, match="team-a/cs9, which is just being made or removed") as caught:
        await claims.secure(NS, IMAGE, "other")
    assert caught.value.retry_after == timedelta(seconds=20)


async def test_claim_whose_maker_died_is_taken_over(claims: Claims, clock: StillClock) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    clock.advance(seconds=30)
    result = await claims.secure(NS, IMAGE, "other")
    assert result.outcome is ClaimOutcome.TAKEN_OVER
    assert (result.claim.holder, result.claim.acquired_at) == ("other", clock())


async def test_claim_whose_entry_moved_to_another_image_is_taken_over(
    claims: Claims, images: CatalogImages, clock: StillClock
) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    await make_entry(images, "cs9", "registry.example.com/os/cs9:2")
    clock.advance(seconds=30)
    assert (await claims.secure(NS, IMAGE, "other")).outcome is ClaimOutcome.TAKEN_OVER


async def test_entry_on_its_way_out_is_neither_joined_nor_replaced(
    claims: Claims, images: CatalogImages, clock: StillClock
) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    metadata = ObjectMeta(name="cs9", namespace=NS, finalizers=["example.com/f"])
    image = await images.create(
        CatalogImage(metadata=metadata, spec=CatalogImageSpec(registry_url="registry.example.com/os/cs9:1"))
    )
    await images.delete(image)
    clock.advance(hours=1)
    with pytest.raises(WriteConflictError, match="just being made or removed") as caught:
        await claims.secure(NS, IMAGE, "other")
    assert caught.value.retry_after == timedelta(seconds=1)
    assert await claims.bury(NS, IMAGE, "cs9") is not None
    assert (await claims.secure(NS, IMAGE, "other")).outcome is ClaimOutcome.REMOVED


async def test_of_two_that_take_over_one_wins(cluster: InProcessCluster, claims: Claims, clock: StillClock) -> None:
    await claims.secure(NS, IMAGE, "dead")
    clock.advance(seconds=30)
    rival = make_claims(cluster.api("rival"), clock)

    async def interfere() -> None:
        assert (await rival.secure(NS, IMAGE, "rival")).outcome is ClaimOutcome.TAKEN_OVER

    cluster.before(interfere, verb="patch", actor="tester")
    with pytest.raises(WriteConflictError, match="team-a/rival, which is just being made or removed"):
        await claims.secure(NS, IMAGE, "ours")


async def test_claim_that_vanishes_meanwhile_is_made_anew(
    cluster: InProcessCluster, claims: Claims, clock: StillClock
) -> None:
    gone = (await claims.secure(NS, IMAGE, "dead")).claim
    clock.advance(seconds=30)

    async def vanish() -> None:
        assert await claims.release(gone)

    cluster.before(vanish, verb="patch")
    assert (await claims.secure(NS, IMAGE, "ours")).outcome is ClaimOutcome.CREATED


async def test_claim_that_was_made_without_an_answer_is_ours(cluster: InProcessCluster, claims: Claims) -> None:
    cluster.fail(Effect.TIMEOUT_AFTER, verb="create")
    with pytest.raises(ClusterUnavailableError):
        await claims.secure(NS, IMAGE, "cs9")
    assert (await claims.secure(NS, IMAGE, "cs9")).outcome is ClaimOutcome.OURS


async def test_removed_entry_leaves_a_tombstone(claims: Claims, clock: StillClock) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    clock.advance(hours=1)
    buried = await claims.bury(NS, IMAGE, "cs9", build_uid="build-1")
    assert buried is not None
    assert buried.tombstone is not None
    assert (buried.tombstone.removed_at, buried.tombstone.build_uid) == (clock(), "build-1")
    result = await claims.secure(NS, IMAGE, "again")
    assert result.outcome is ClaimOutcome.REMOVED
    assert result.claim == buried


async def test_burying_twice_keeps_the_first_time(claims: Claims, clock: StillClock) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    first = await claims.bury(NS, IMAGE, "cs9")
    clock.advance(hours=1)
    assert await claims.bury(NS, IMAGE, "cs9") == first


async def test_entry_without_a_claim_leaves_a_tombstone_too(claims: Claims) -> None:
    buried = await claims.bury(NS, IMAGE, "by-hand", build_uid="")
    assert buried is not None
    assert buried.tombstone is not None


async def test_claim_of_another_living_entry_is_not_buried(claims: Claims, images: CatalogImages) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    await make_entry(images, "cs9")
    assert await claims.bury(NS, IMAGE, "duplicate") is None
    found = await claims.get(NS, IMAGE)
    assert found is not None
    assert found.tombstone is None


async def test_tombstone_is_written_over_a_conflict(cluster: InProcessCluster, claims: Claims) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    cluster.fail(Effect.CONFLICT, verb="patch")
    buried = await claims.bury(NS, IMAGE, "cs9")
    assert buried is not None
    assert buried.tombstone is not None


async def test_tombstone_gives_up_on_endless_conflict(cluster: InProcessCluster, claims: Claims) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    cluster.fail(Effect.CONFLICT, verb="patch", times=100)
    with pytest.raises(WriteConflictError):
        await claims.bury(NS, IMAGE, "cs9")


async def test_terminating_namespace_does_not_hold_up_a_removal(cluster: InProcessCluster, claims: Claims) -> None:
    cluster.fail(Effect.FORBIDDEN, verb="create")
    assert await claims.bury(NS, IMAGE, "cs9") is None


async def test_tombstone_is_revived_on_request(claims: Claims) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    buried = await claims.bury(NS, IMAGE, "cs9", build_uid="build-1")
    assert buried is not None
    revived = await claims.revive(buried, "again")
    assert (revived.tombstone, revived.holder) == (None, "again")
    assert (await claims.secure(NS, IMAGE, "again")).outcome is ClaimOutcome.OURS
    with pytest.raises(WriteConflictError):
        await claims.revive(buried, "late")


async def test_tombstone_ends_after_thirty_days(claims: Claims, clock: StillClock) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    await claims.bury(NS, IMAGE, "cs9")
    clock.advance(days=29)
    assert (await claims.secure(NS, IMAGE, "again")).outcome is ClaimOutcome.REMOVED
    clock.advance(days=1)
    assert (await claims.secure(NS, IMAGE, "again")).outcome is ClaimOutcome.TAKEN_OVER


async def test_expired_tombstones_are_purged(claims: Claims, clock: StillClock) -> None:
    old, new, held = (Reference.parse(f"registry.example.com/os/cs9:{tag}") for tag in ("old", "new", "held"))
    for reference in (old, new, held):
        await claims.secure(NS, reference, "cs9")
    await claims.bury(NS, old, "cs9")
    clock.advance(days=20)
    await claims.bury(NS, new, "cs9")
    clock.advance(days=10)
    assert await claims.purge() == 1
    assert await claims.get(NS, old) is None
    assert await claims.get(NS, new) is not None
    assert await claims.get(NS, held) is not None


async def test_released_claim_is_free(claims: Claims) -> None:
    result = await claims.secure(NS, IMAGE, "cs9")
    assert await claims.release(result.claim) is True
    assert await claims.release(result.claim) is False
    assert (await claims.secure(NS, IMAGE, "other")).outcome is ClaimOutcome.CREATED


async def test_claim_that_changed_hands_is_not_released(claims: Claims, clock: StillClock) -> None:
    stale = (await claims.secure(NS, IMAGE, "cs9")).claim
    clock.advance(seconds=30)
    await claims.secure(NS, IMAGE, "other")
    assert await claims.release(stale) is False
    assert await claims.get(NS, IMAGE) is not None


async def test_holder_whose_reference_makes_no_sense_holds_nothing(
    cluster: InProcessCluster, claims: Claims, images: CatalogImages, clock: StillClock
) -> None:
    await claims.secure(NS, IMAGE, "cs9")
    await make_entry(images, "cs9")
    cluster.store_unchecked(CATALOG_IMAGE, "cs9", NS, {"spec": {"registryUrl": "registry.example.com:99999/a"}})
    clock.advance(seconds=30)
    assert (await claims.secure(NS, IMAGE, "other")).outcome is ClaimOutcome.TAKEN_OVER


async def test_claim_that_somebody_spoiled_is_taken_over(
    cluster: InProcessCluster, claims: Claims, clock: StillClock
) -> None:
    claim = (await claims.secure(NS, IMAGE, "cs9")).claim
    cluster.store_unchecked(LEASE, claim.name, NS, {"spec": {"holderIdentity": "nobody", "acquireTime": "soon"}})
    clock.advance(minutes=1)
    assert (await claims.secure(NS, IMAGE, "other")).outcome is ClaimOutcome.TAKEN_OVER


async def test_claim_that_always_comes_and_goes_is_given_up(
    cluster: InProcessCluster, claims: Claims, api: KubernetesAPI
) -> None:
    rival = make_claims(cluster.api("rival"), lambda: datetime.now(UTC))
    name = f"catalogimage-{IMAGE.identity_hash}"

    async def come() -> None:
        await rival.secure(NS, IMAGE, "rival")

    async def go() -> None:
        await api.delete(LEASE, name, NS)

    cluster.before(come, verb="create", actor="tester", resource="leases", times=1000)
    cluster.before(go, verb="get", actor="tester", resource="leases", times=1000)
    with pytest.raises(WriteConflictError, match="comes and goes"):
        await claims.secure(NS, IMAGE, "ours")
    with pytest.raises(WriteConflictError, match="comes and goes"):
        await claims.bury(NS, IMAGE, "ours")
