"""The chapters: each does something that happens in the field, and checks what the catalog makes of it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from image_catalog.events import EventType
from image_catalog.local.demo.boards import board
from image_catalog.local.demo.commands import command_line
from image_catalog.local.demo.telling import Teller, facts, short
from image_catalog.local.demo.world import NAMESPACE, World, is_available
from image_catalog.local.registry import SampleImage, SampleIndex
from image_catalog.models import CatalogImage, Phase

__all__ = ["CHAPTERS", "PRIVATE_ACCOUNT"]

PRIVATE_ACCOUNT = ("robot", secrets.token_urlsafe(12))
"""The account that the embedded registry's private repositories ask for; new in every run."""

PRIVATE_HOST = "private-registry.example.com"
_AUTOSD = "centos-automotive/autosd"
_TWENTY = 20
_OFTEN = "2s"
_SELDOM = "1h"


def _is_unavailable(image: CatalogImage) -> bool:
    return image.status.phase is Phase.UNAVAILABLE


def _digest(image: CatalogImage) -> str | None:
    return image.status.registry_metadata.resolved_digest if image.status.registry_metadata else None


def _reason(image: CatalogImage) -> str:
    available = image.status.condition("Available")
    return available.reason if available else ""


def _about(name: str) -> str:
    return f"{NAMESPACE}/{name}"


async def builds_complete(world: World, tell: Teller) -> None:
    """Complete builds of both shapes, and one of a multi-arch image."""
    early, today = SampleImage(architecture="arm64", name="rpi4"), SampleImage(architecture="amd64", name="qemu")
    multi = SampleIndex(name="multi", attestations=True)
    for sample, tag in ((early, "cs9-rpi4"), (today, "cs9-qemu"), (multi, "cs9-multi")):
        await world.registry.push(sample, _AUTOSD, tag)
    tell.does("three ImageBuilds push to quay.io and complete: an early operator's fields, today's, multi-arch")
    for name, spec in (
        ("autosd-rpi4", _early_spec(f"quay.io/{_AUTOSD}:cs9-rpi4")),
        ("autosd-qemu", _today_spec(f"quay.io/{_AUTOSD}:cs9-qemu", "amd64", "qemu")),
        ("autosd-multi", _today_spec(f"quay.io/{_AUTOSD}:cs9-multi", "arm64", "raspberry-pi")),
    ):
        await world.build(name, spec)
        entry = await world.until(name, is_available, "Available")
        tell.holds(
            is_available(entry.image), f"{name} is Available after {entry.milliseconds} ms: {facts(entry.image)}"
        )
    image = (await world.until("autosd-multi", is_available, "Available")).image
    registry = image.status.registry_metadata
    platforms = [variant.architecture for variant in registry.platform_variants] if registry else []
    tell.holds(sorted(platforms) == ["amd64", "arm64"], "the index shows two platforms, and no attestation as a third")
    kept = (
        await world.until("autosd-qemu", lambda i: i.status.build_manifest_ref is not None, "with its recipe")
    ).image
    recipe = kept.status.build_manifest_ref
    tell.holds(
        recipe,
        f"the build's manifest is kept in ConfigMap {recipe.name if recipe else ''}, also after the build is gone",
    )


async def private_image(world: World, tell: Teller) -> None:
    """Ask a registry that wants a credential."""
    await world.registry.push(SampleImage(name="private"), "private/firmware", "1.0")
    url = f"{PRIVATE_HOST}/private/firmware:1.0"
    if world.registry.asks_for_passwords:
        tell.does(f"somebody adds {url} without a Secret")
        await world.create_entry("firmware", {"registryUrl": url})
        refused = (await world.until("firmware", lambda i: i.status.phase is Phase.FAILED, "Failed")).image
        tell.holds(_reason(refused) == "AuthenticationFailed", f"the entry is Failed, reason {_reason(refused)}")
    else:
        await world.create_entry("firmware", {"registryUrl": url})
    tell.does("the owner of the namespace makes a pull Secret, lets the functions read it, and names it in the entry")
    await world.create_pull_secret("firmware-pull", PRIVATE_HOST, PRIVATE_ACCOUNT)
    await world.allow_secrets()
    await world.edit_entry("firmware", {"authSecretRef": {"name": "firmware-pull"}})
    entry = await world.until("firmware", is_available, "Available")
    tell.available(entry)


async def missing_image(world: World, tell: Teller) -> None:
    """Complete a build that says it pushed, and did not."""
    tell.does("an ImageBuild completes whose image never reached the registry")
    await world.build("lost", _today_spec("quay.io/acme/lost:1.0", "arm64", "qemu"))
    data = await world.subscriber.first("publish.rejected", _about("lost"))
    tell.holds(data.get("reason") == "ImageNotFound", f"it is refused: {data.get('reason')}, {data.get('message')}")
    tell.holds(await world.entry("lost") is None, "and no entry was made")


async def external_request(world: World, tell: Teller) -> None:
    """Post one CloudEvent from another system."""
    await world.registry.push(SampleImage(architecture="amd64", name="reference"), _AUTOSD, "cs9-reference")
    tell.does("a CI system posts one CloudEvent, publish.requested, to the broker")
    metadata = {"architecture": "amd64", "distro": "cs9", "targets": [{"name": "qemu"}]}
    url = f"quay.io/{_AUTOSD}:cs9-reference"
    await world.post({"name": "reference-cs9", "registryUrl": url, "tags": ["baseline"], "metadata": metadata})
    entry = await world.until("reference-cs9", is_available, "Available")
    tell.holds(
        is_available(entry.image), f"reference-cs9 is Available after {entry.milliseconds} ms: {facts(entry.image)}"
    )


async def published_twice(world: World, tell: Teller) -> None:
    """Publish the same image again, and twenty times at once."""
    await world.registry.push(SampleImage(name="popular"), "acme/popular", "1.0")
    seen = len(world.subscriber.events)
    tell.does("the build autosd-qemu is published once more, by request")
    await world.post({"imageBuild": {"name": "autosd-qemu", "namespace": NAMESPACE}})
    await world.subscriber.wait_for(
        lambda: bool(world.subscriber.find("image.published", _about("autosd-qemu"), since=seen))
    )
    again = world.subscriber.find("image.published", _about("autosd-qemu"), since=seen)
    tell.holds(
        again and again[0].json()["change"] == "unchanged", "the answer is: unchanged; there is one entry as before"
    )
    tell.does(f"{_TWENTY} systems ask for quay.io/acme/popular:1.0 in the same moment")
    await asyncio.gather(*(world.post({"registryUrl": "quay.io/acme/popular:1.0"}) for _ in range(_TWENTY)))
    await world.subscriber.wait_for(
        lambda: len(world.subscriber.find("image.published", _about("popular-1.0"), since=seen)) >= _TWENTY
    )
    changes = [e.json()["change"] for e in world.subscriber.find("image.published", _about("popular-1.0"), since=seen)]
    entries = [
        i async for page in world.images.pages(NAMESPACE) for i in page.images if "/acme/popular" in i.spec.registry_url
    ]
    tell.holds(
        len(entries) == 1 and changes.count("created") == 1,
        f"one entry; of {_TWENTY} answers one says created and {changes.count('unchanged')} say unchanged",
        f"{len(entries)} entries, {changes}",
    )


async def next_version(world: World, tell: Teller) -> None:
    """Push the same tag with new content, and report a build too late."""
    before = (await world.until("autosd-rpi4", is_available, "Available")).image
    newer = SampleImage(architecture="arm64", name="rpi4-second")
    await world.registry.push(newer, _AUTOSD, "cs9-rpi4")
    tell.does("the next build pushes the same tag and completes")
    await world.build("autosd-rpi4-next", _early_spec(f"quay.io/{_AUTOSD}:cs9-rpi4"))
    after = (await world.until("autosd-rpi4", lambda i: _digest(i) == newer.digest, "at the new version")).image
    past = after.status.history[0].digest if after.status.history else None
    tell.holds(
        past == _digest(before), f"autosd-rpi4 has {short(_digest(after))} now, and {short(past)} in its history"
    )
    tell.does("an older build of the same image is reported late")
    await world.build(
        "autosd-rpi4-old", _early_spec(f"quay.io/{_AUTOSD}:cs9-rpi4"), completed=datetime.now(UTC) - timedelta(days=1)
    )
    reason = (await world.subscriber.first("publish.rejected", _about("autosd-rpi4-old"))).get("reason")
    unchanged = await world.entry("autosd-rpi4")
    tell.holds(reason == "OlderThanCurrent", f"it is refused: {reason}")
    tell.holds(unchanged is not None and _digest(unchanged) == newer.digest, "and the entry stays at the newer version")


async def registry_outage(world: World, tell: Teller) -> None:
    """Turn the registry off and on."""
    if not world.registry.can_stop:
        tell.does("not played: the registry was given by its URL, and is not ours to stop")
        return
    watched = ("autosd-qemu", "autosd-multi")
    for name in watched:
        await world.edit_entry(name, {"verificationInterval": _OFTEN})
        # Checked for its edit already, it fails once and not twice: a fifth failure in a row would open the registry's
        # circuit, and that it has closed is read once in 15 s, which a tick each minute does not notice.
        await world.until(name, is_available, "Available")
    tell.does(f"the registry stops ({', '.join(watched)} are checked every {_OFTEN} for this chapter)")
    await world.registry.stop()
    for name in watched:
        down = (await world.until(name, _is_unavailable, "Unavailable")).image
        tell.holds(_reason(down) == "RegistryUnreachable", f"{name} is Unavailable, reason {_reason(down)}")
        tell.holds(_digest(down), f"and still says what it was: {facts(down)}")
    tell.does("the registry starts again; nobody does anything else")
    await world.registry.start()
    for name in watched:
        up = await world.until(name, is_available, "Available again")
        tell.holds(is_available(up.image), f"{name} is Available again by itself")
        await world.edit_entry(name, {"verificationInterval": _SELDOM})


async def moved_tag(world: World, tell: Teller) -> None:
    """Move a tag away from a pin, then delete what is pinned."""
    pinned, moved = SampleImage(name="pinned"), SampleImage(name="moved")
    await world.registry.push(pinned, "acme/pinned", "stable")
    await world.create_entry("pinned", {"registryUrl": "quay.io/acme/pinned:stable", "digest": pinned.digest})
    await world.until("pinned", is_available, "Available")
    tell.does(f"an entry is pinned to {short(pinned.digest)}; then its tag is pushed again with other content")
    await world.registry.push(moved, "acme/pinned", "stable")
    await world.post({"name": "pinned", "namespace": NAMESPACE}, event_type=EventType.VERIFICATION_REQUESTED)
    drifted = (await world.until("pinned", _has_drifted, "marked as drifted")).image
    matched = drifted.status.condition("DigestMatched")
    tell.holds(drifted.status.phase is Phase.AVAILABLE, "the entry stays Available: what is pinned is still there")
    tell.holds(matched and matched.reason == "TagMoved", f"DigestMatched=False: {matched.message if matched else ''}")
    if not world.registry.can_stop:
        tell.does("not played: the registry was given by its URL, and its content is not ours to delete")
        return
    tell.does("somebody deletes the pinned content from the registry")
    await world.registry.delete("acme/pinned", pinned.digest)
    await world.post({"name": "pinned", "namespace": NAMESPACE}, event_type=EventType.VERIFICATION_REQUESTED)
    gone = (await world.until("pinned", _is_unavailable, "Unavailable")).image
    tell.holds(_reason(gone) == "PinnedDigestMissing", f"the entry is Unavailable, reason {_reason(gone)}")
    # Nothing brings the content back, and it would be asked for every few seconds until the end of the story.
    await world.edit_entry("pinned", {"digest": moved.digest})
    await world.until("pinned", is_available, "Available with its new pin")


async def cron(world: World, tell: Teller) -> None:
    """Let the cron tick while one entry is due."""
    await world.settle()
    await world.edit_entry("autosd-multi", {"verificationInterval": _OFTEN})
    await world.post({"name": "autosd-multi", "namespace": NAMESPACE}, event_type=EventType.VERIFICATION_REQUESTED)
    await world.until("autosd-multi", is_available, "Available")
    seen = len(world.subscriber.events)
    checked = {name: image.status.last_verification_time for name, image in (await _all(world)).items()}
    tell.does(f"one of {len(checked)} entries is due every {_OFTEN}; the cron ticks")
    await world.subscriber.wait_for(
        lambda: len(world.subscriber.find("verification.requested", _about("autosd-multi"), since=seen)) > 1
    )
    await world.settle()
    after = {name: image.status.last_verification_time for name, image in (await _all(world)).items()}
    asked = {event.attributes.get("subject") for event in world.subscriber.find("verification.requested", since=seen)}
    tell.holds(
        asked == {_about("autosd-multi")}, "it asked for autosd-multi, more than once, and for nothing else", f"{asked}"
    )
    others = {name for name in checked if name != "autosd-multi" and after[name] != checked[name]}
    tell.holds(not others, "and no other entry was checked", ", ".join(others))
    await world.edit_entry("autosd-multi", {"verificationInterval": _SELDOM})


async def removal(world: World, tell: Teller) -> None:
    """Delete an entry, then update its build."""
    image = (await world.until("autosd-qemu", is_available, "Available")).image
    tell.does("somebody deletes the entry autosd-qemu")
    await world.images.delete(image)
    await world.until_gone("autosd-qemu")
    tell.holds(
        await world.subscriber.first("image.removed", _about("autosd-qemu")), "it is gone, and image.removed says so"
    )
    tell.does("its build is updated, as operators do all the time")
    await world.touch_build("autosd-qemu")
    await world.settle()
    tell.holds(await world.entry("autosd-qemu") is None, "the entry does not come back")


async def _all(world: World) -> dict[str, CatalogImage]:
    return {image.metadata.name: image async for page in world.images.pages(NAMESPACE) for image in page.images}


def _has_drifted(image: CatalogImage) -> bool:
    matched = image.status.condition("DigestMatched")
    return image.status.phase is Phase.AVAILABLE and matched is not None and matched.status == "False"


def _early_spec(url: str) -> dict[str, object]:
    return {
        "architecture": "arm64",
        "distro": "cs9",
        "target": "raspberry-pi",
        "mode": "image",
        "exportFormat": "raw",
        "containerPush": url,
    }


def _today_spec(url: str, architecture: str, target: str) -> dict[str, object]:
    return {
        "architecture": architecture,
        "aib": {"distro": "cs9", "target": target, "mode": "bootc", "manifest": "name: autosd\ncontent: {}\n"},
        "export": {"format": "qcow2", "container": url},
    }


CHAPTERS: tuple[tuple[str, Callable[[World, Teller], Awaitable[None]]], ...] = (
    ("Builds complete, and their images become entries", builds_complete),
    ("A private image needs a credential, and gets it from a Secret", private_image),
    ("A build whose image is missing is refused", missing_image),
    ("Anything that can post a CloudEvent publishes an image", external_request),
    ("Publishing the same image again never makes a second entry", published_twice),
    ("The same tag with new content is a new version", next_version),
    ("The registry goes away and comes back", registry_outage),
    ("A pinned entry notices that its tag moved", moved_tag),
    ("The cron re-verifies what is due, and nothing else", cron),
    ("What a person removes stays away", removal),
    ("People and scripts use caib, which asks the catalog's API", command_line),
    ("A board asks which image it gets, and a recall takes it away", board),
)
"""Title and chapter, in the order in which they are played."""
