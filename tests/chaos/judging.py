"""Judges what has become of everything once the blows have stopped; over HTTP, as whoever looks from outside."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from tests.chaos.ledger import Image, Ledger
from tests.chaos.watching import Chronicle, Post

from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD, LEASE, KubernetesAPI
from image_catalog.events.event import removal_id
from image_catalog.models import Reference
from image_catalog.testing.simulation.invariants import Invariant, Quiet, Truth, Violation

__all__ = ["PROMISES", "Judge"]

PROMISES = (
    "removed-stays-away",
    "opted-out-stays-out",
    "edits-are-kept",
    "owed-events-were-sent",
    "removals-were-told",
    "dead-letters-are-shown",
    "audit-keeps-what-it-took",
    "newest-content-is-shown",
)
"""What is judged here, beside the invariants that hold from outside."""

_SEARCHED = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
_LOOKED_UP = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Looks at a stack that has been left alone, and names each promise that is broken.

    Parameters
    ----------
    api
        The cluster, as an administrator.
    registry_url
        The registry that answers for quay.io.
    catalog
        Asks the catalog's API, with a token.
    ledger, chronicle, post
        What was done, seen and delivered.
    invariants
        Those that looked on all along.
    database
        The audit's.
    """

    api: KubernetesAPI
    registry_url: str
    catalog: httpx.AsyncClient
    ledger: Ledger
    chronicle: Chronicle
    post: Post
    invariants: tuple[Invariant, ...]
    database: Path

    async def judge(self, *, quiet_since: datetime) -> list[str]:
        """Return what is wrong, as sentences with the story of each entry that they name.

        Parameters
        ----------
        quiet_since
            When the last thing went wrong, or was done by somebody.
        """
        objects = {
            kind.plural: await self.api.list_all(kind, "default") for kind in (CATALOG_IMAGE, IMAGE_BUILD, LEASE)
        }
        entries = objects["catalogimages"]
        truths = await self._truths(entries)
        quiet = Quiet(
            now=datetime.now(UTC),
            quiet_since=quiet_since,
            objects=objects.__getitem__,
            truth=lambda url, pin: truths[url, pin],
        )
        wrong = [f"{broken}" for broken in self._broken(quiet)]
        wrong += self._removed(entries)
        wrong += self._contents(entries)
        wrong += self._edited(entries)
        wrong += self._events()
        wrong += await self._letters()
        wrong += await self._recorded()
        return [self._with_stories(line, entries) for line in wrong]

    def _with_stories(self, line: str, entries: Iterable[Mapping[str, Any]]) -> str:
        names = {entry["metadata"]["name"] for entry in entries} | set(self.chronicle.stories)
        words = {word.strip(",.:;'\"()").rpartition("/")[2] for word in line.split()}
        told = [f"    {name}:\n{self.chronicle.story(name)}" for name in sorted(names & words)[:3]]
        return "\n".join([line, *told])

    def _broken(self, quiet: Quiet) -> Iterator[Violation]:
        for invariant in self.invariants:
            try:
                invariant.at_quiet(quiet)
            except Violation as e:
                yield e

    async def _truths(self, entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str | None], Truth]:
        """Ask the registry for what every entry and every build points to."""
        wanted = {(image.url, None) for image in self.ledger.images.values()}
        wanted |= {(entry["spec"]["registryUrl"], entry["spec"].get("digest")) for entry in entries}
        async with httpx.AsyncClient(base_url=self.registry_url, trust_env=False, timeout=10) as client:
            return {(url, pin): await self._truth(client, url, pin) for url, pin in wanted}

    async def _truth(self, client: httpx.AsyncClient, url: str, pin: str | None) -> Truth:
        reference = Reference.parse(url)

        async def look(what: str) -> str | None:
            path = f"/v2/{reference.repository}/manifests/{what}"
            answer = await client.head(path, headers={"Accept": _SEARCHED})
            return answer.headers["docker-content-digest"] if answer.is_success else None

        tag_digest = await look(reference.tag or "latest")
        return Truth(tag_digest=tag_digest, pinned_there=pin is None or await look(pin) is not None)

    def _removed(self, entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """Compare with what people removed: only people do."""
        there = {Reference.parse(entry["spec"]["registryUrl"]).canonical: entry for entry in entries}
        for image in self.ledger.images.values():
            entry = there.get(Reference.parse(image.url).canonical)
            if image.opted_out and entry is not None:
                yield f"opted-out-stays-out: {entry['metadata']['name']} is of a build that opted out"
            asked = self._last_removal(image)
            if entry is None or asked is None or not image.builds or not image.built:
                continue
            newest = image.builds[-1]
            if newest.completed < asked:
                name = entry["metadata"]["name"]
                yield f"removed-stays-away: {name} was removed at {asked} and is there, of {newest.name} before that"

    def _last_removal(self, image: Image) -> datetime | None:
        canonical = Reference.parse(image.url).canonical
        asked = [
            datetime.fromisoformat(last["metadata"]["deletionTimestamp"])
            for _, last in self.chronicle.gone.values()
            if Reference.parse(last["spec"]["registryUrl"]).canonical == canonical
            and "deletionTimestamp" in last["metadata"]
        ]
        return max(asked, default=None)

    def _contents(self, entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """Compare the content of built entries with what was pushed since the newest build."""
        for entry in entries:
            image = self.ledger.images.get(entry["spec"]["registryUrl"])
            has = ((entry.get("status") or {}).get("registryMetadata") or {}).get("resolvedDigest")
            if image is not None and image.built and has not in image.pushed:
                name = entry["metadata"]["name"]
                yield f"newest-content-is-shown: {name} has {has}; since its newest build were pushed {image.pushed}"

    def _edited(self, entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        for entry in entries:
            edits = self.ledger.edits.get(entry["metadata"]["uid"], [])
            kept = max((place for place, edit in enumerate(edits) if edit.acknowledged), default=None)
            if kept is None:
                continue
            allowed = [[edit.tag] for edit in edits[kept:]]
            if entry["spec"].get("tags") not in allowed:
                name, tags = entry["metadata"]["name"], entry["spec"].get("tags")
                yield f"edits-are-kept: {name} has the tags {tags}; a person wrote {allowed[0]}"

    def _events(self) -> Iterator[str]:
        """Compare what was owed with what the broker was given."""
        for (uid, cause), (name, change) in self.chronicle.owed.items():
            if not self.post.acknowledged(cause, "publish", "verify"):
                continue
            gone, _ = self.chronicle.gone.get(uid, (None, None))
            if gone is not None and gone < self.post.taken_by(cause, "publish", "verify"):
                # Before its cause came again the entry was removed, which was told, and what it remembered is gone.
                continue
            for event in change.get("events") or ():
                if event["id"] not in self.post.kinds:
                    yield f"owed-events-were-sent: {name} owes {event} of {change['cause']}, which was taken"
        for uid, (_, last) in self.chronicle.gone.items():
            # One that went at once never had our finalizer: its removal is told if its event is not lost.
            if "deletionTimestamp" in last["metadata"] and removal_id(uid) not in self.post.kinds:
                yield f"removals-were-told: {last['metadata']['name']} ({uid}) is gone, and nobody has been told"

    async def _letters(self) -> list[str]:
        """Look for every dead letter where a person does."""
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("image-catalog")), "dead-letters", "list", "--state", "all"),
            *("--limit", str(_LOOKED_UP), "-o", "json", "--database", f"sqlite:///{self.database}"),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        document = orjson.loads(out)
        shown = {letter["eventId"] for letter in (document["items"] if isinstance(document, dict) else document)}
        return [
            f"dead-letters-are-shown: {event_id}, which {trigger} did not take, is not among {len(shown)}"
            for event_id, trigger in self.post.letters
            if event_id not in shown
        ]

    async def _recorded(self) -> list[str]:
        """Look for every publication and removal that the audit has taken in what it shows."""
        shown: set[str] = set()
        query: dict[str, Any] = {"allNamespaces": "true", "kind": "image.published,image.removed", "limit": 500}
        while True:
            page = (await self.catalog.get("/audit", params=query)).raise_for_status().json()
            shown |= {record["eventId"] for record in page["items"]}
            if not page["metadata"].get("continue"):
                break
            query["continue"] = page["metadata"]["continue"]
        return [
            f"audit-keeps-what-it-took: {event_id} ({kind}) of {subject} is not in the audit"
            for event_id, kinds in self.post.kinds.items()
            for kind, subject in kinds
            if kind.endswith((".image.published", ".image.removed"))
            and self.post.acknowledged(event_id, "audit")
            and event_id not in shown
        ]
