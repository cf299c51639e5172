"""Whatever happens to the catalog, the index answers what a plain list of its objects would."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from image_catalog.catalog.index import Index, Position, Query, Sort
from image_catalog.catalog.metadata import RegistryFacts
from image_catalog.models import AvailabilityWindow, CatalogImage, CatalogMetadata, Reference, normalise_architecture
from image_catalog.models.names import ANNOTATION_METADATA_OVERRIDE, GROUP, LABEL_SCHEDULE

Key = tuple[str, str]

NAMESPACES, NAMES = ("one", "two"), ("a", "b", "cs9", "cs9-qemu", "d.e")
KEYS = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(NAMES))
ARCHITECTURES = ("amd64", "arm64", "x86_64", "aarch64")
DISTROS, TARGETS, TAGS = ("cs9", "eln"), ("qemu", "board", "rcar"), ("nightly", "Production", "x")
PHASES = ("Pending", "Verifying", "Available", "Failed")
TIMES = tuple(f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3))
DIGESTS = tuple(f"sha256:{digit * 64}" for digit in "ab")
URLS = ("quay.io/cs9/qemu:1", "quay.io:443/cs9/qemu:1", "docker.io/fedora", "localhost:5000/a/b@" + DIGESTS[0])
DAY, MONTH = AvailabilityWindow
AVAILABILITIES: list[tuple[dict[str, Any], dict[AvailabilityWindow, float | None]]] = [
    ({"last24h": 1}, {DAY: None, MONTH: None}),
    ({"since": "2025-12-22T00:00:00Z", "asOf": "2026-01-01T00:00:00Z"}, {DAY: 1.0, MONTH: 1.0}),
    ({"since": "2025-12-22T00:00:00Z", "asOf": "2026-01-01T00:00:00Z", "days": "5:43200M"}, {DAY: 1.0, MONTH: 0.95}),
    (
        {"since": "2025-12-22T00:00:00Z", "asOf": "2026-01-01T00:00:00Z", "hours": "1-12:3600U", "days": "1:43200U"},
        {DAY: 0.5, MONTH: 0.95},
    ),
    ({"since": "2026-01-01T00:00:00Z", "asOf": "2026-01-01T01:00:00Z", "hours": "1:3600?"}, {DAY: None, MONTH: 1.0}),
]
"""What entries say of their availability, and which share that is of what is known."""


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Give objects of which any field may be missing."""
    return st.fixed_dictionaries({}, optional=fields)


METADATA = optional(
    architecture=st.sampled_from(ARCHITECTURES),
    distro=st.sampled_from(DISTROS),
    distroVersion=st.sampled_from(("9", "10")),
    kernelVersion=st.sampled_from(("6.1", "6.2")),
    targets=st.lists(st.builds(lambda name: {"name": name}, st.sampled_from(TARGETS)), max_size=3, unique_by=str),
    bootcCapable=st.booleans(),
    bootc=st.booleans(),
    buildMode=st.sampled_from(("bootc", "image")),
)
REGISTRY = optional(
    sizeBytes=st.integers(0, 3),
    platform=st.builds(lambda name: {"architecture": name}, st.sampled_from(("amd64", "arm64"))),
    platformVariants=st.lists(
        st.builds(lambda name: {"architecture": name, "digest": DIGESTS[0]}, st.sampled_from(("amd64", "arm64"))),
        max_size=2,
        unique_by=str,
    ),
    annotations=st.dictionaries(
        st.sampled_from((f"{GROUP}/distro", f"{GROUP}/target", f"{GROUP}/arch", "com.redhat.automotive.bootc-capable")),
        st.sampled_from(("cs9", "qemu", "arm64", "true", "false")),
        max_size=3,
    ),
).flatmap(lambda fields: st.sampled_from(DIGESTS).map(lambda digest: {**fields, "resolvedDigest": digest}))
STATUS = optional(
    phase=st.sampled_from(PHASES),
    publishedAt=st.sampled_from(TIMES),
    lastVerificationTime=st.sampled_from(TIMES),
    registryMetadata=REGISTRY,
    sourceImageBuild=st.sampled_from(({"name": "build", "namespace": "one"}, {"name": "other", "namespace": "two"})),
    accessCount=st.integers(0, 5),
    availability=st.sampled_from([said for said, _ in AVAILABILITIES]),
    conditions=st.sampled_from(("True", "False")).map(
        lambda status: [
            {"type": kind, "status": status, "reason": "R", "message": "", "lastTransitionTime": TIMES[0]}
            for kind in ("Available", "Recalled")
        ]
    ),
)
OBJECTS = st.fixed_dictionaries(
    {
        "metadata": optional(
            creationTimestamp=st.sampled_from(TIMES),
            labels=st.sampled_from(({}, {LABEL_SCHEDULE: "nightly"})),
            annotations=st.sampled_from(({}, {ANNOTATION_METADATA_OVERRIDE: "true"})),
        ),
        "spec": st.fixed_dictionaries(
            {"registryUrl": st.sampled_from(URLS)},
            optional={
                "digest": st.sampled_from(DIGESTS),
                "tags": st.lists(st.sampled_from(TAGS), unique=True),
                "metadata": METADATA,
            },
        ),
    },
    optional={"status": STATUS},
)
FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "namespace": st.sampled_from(NAMESPACES),
    "architecture": st.sampled_from(ARCHITECTURES),
    "distro": st.sampled_from(DISTROS),
    "distro_version": st.sampled_from(("9", "10")),
    "target": st.sampled_from(TARGETS),
    "phase": st.sampled_from(PHASES),
    "build_mode": st.sampled_from(("bootc", "image")),
    "digest": st.sampled_from(DIGESTS),
    "registry_url": st.sampled_from((*URLS, "docker.io/library/fedora:latest", "no reference")),
    "kernel_version": st.sampled_from(("6.1", "6.2")),
    "source_image_build": st.sampled_from(("build", "two/other", "one/other")),
    "schedule": st.just("nightly"),
    "q": st.sampled_from(("c", "S9", "qemu", "QUAY.IO/cs9", "production", "d.e", "9-q", "nowhere", "")),
    "tags": st.lists(st.sampled_from(TAGS), max_size=2).map(tuple),
    "bootc_capable": st.booleans(),
    "recalled": st.booleans(),
    "min_availability": st.sampled_from((0.0, 0.5, 0.500001, 0.95, 1.0)),
}
POSITIONS = {
    Sort.NAME: st.builds(lambda key: Position(key[1], *key), KEYS),
    Sort.SIZE: st.builds(lambda value, key: Position(value, *key), st.none() | st.integers(0, 3), KEYS),
    Sort.AVAILABILITY: st.builds(lambda value, key: Position(value, *key), st.sampled_from((None, 1.0, 0.95)), KEYS),
}


@st.composite
def queries(draw: st.DrawFn) -> Query:
    asked = draw(st.sets(st.sampled_from(sorted(FILTERS)), max_size=3))
    sort = draw(st.sampled_from(Sort))
    return Query(
        **{field: draw(FILTERS[field]) for field in sorted(asked)},
        availability_window=draw(st.sampled_from(AvailabilityWindow)),
        latest=draw(st.booleans()),
        sort=sort,
        descending=draw(st.sampled_from((None, True, False))),
        limit=draw(st.sampled_from((0, 1, 2, 20))),
        after=draw(st.none() | POSITIONS.get(sort, st.none())),
    )


def queries_for_the_newest() -> st.SearchStrategy[Query]:
    """Give the queries whose answers are kept at hand, if only in part."""
    fields = ("phase", "architecture", "distro", "target")
    filters = {field: st.none() | FILTERS[field] for field in fields}
    return st.builds(lambda asked: Query(**asked, latest=True, limit=0), st.fixed_dictionaries(filters))


class PlainEntry:
    """An object of the catalog, looked at slowly."""

    def __init__(self, obj: dict[str, Any], accesses: int) -> None:
        self.obj = obj
        self.image = CatalogImage.from_object(obj)
        self.key = (self.image.metadata.namespace, self.image.metadata.name)
        self.accesses = accesses
        said, facts = self.image.spec.metadata or CatalogMetadata(), RegistryFacts.of(self.image)
        overridden = self.image.metadata.annotations.get(ANNOTATION_METADATA_OVERRIDE) == "true"
        given = {normalise_architecture(said.architecture)} if said.architecture else set()
        found = set(facts.platforms) or {word for word in [facts.annotated("architecture")] if word}
        self.architectures = given if given and (overridden or not found) else found
        distro, target, bootc = (facts.annotated(field) for field in ("distro", "target", "bootcCapable"))
        self.distro = said.distro if said.distro and overridden else distro or said.distro
        self.targets = [target.name for target in said.targets]
        if target and target not in self.targets and not (self.targets and overridden):
            self.targets = [target]
        self.bootc_capable = said.is_bootc_capable
        if bootc in {"true", "false"} and not (self.bootc_capable is not None and overridden):
            self.bootc_capable = bootc == "true"
        self.phase = str(self.image.status.phase or "Pending")
        recalled = self.image.status.condition("Recalled")
        self.recalled = recalled is not None and recalled.status == "True"
        self.schedule = self.image.metadata.labels.get(LABEL_SCHEDULE)
        told = obj.get("status", {}).get("availability")
        self.shares = next((shares for each, shares in AVAILABILITIES if each == told), {DAY: None, MONTH: None})

    def value(self, query: Query) -> float | str | None:
        sort, status = query.sort, self.image.status
        if sort is Sort.AVAILABILITY:
            return self.shares[query.availability_window]
        if sort is Sort.NAME:
            return self.image.metadata.name
        if sort is Sort.SIZE:
            size: int | None = self.obj.get("status", {}).get("registryMetadata", {}).get("sizeBytes")
            return size
        published = status.published_at or self.image.metadata.creation_timestamp
        moment = published if sort is Sort.PUBLISHED else status.last_verification_time
        if moment is None or sort is not Sort.PUBLISHED:
            return int(moment.timestamp()) * 1_000_000 if moment else None
        build = status.source_image_build
        origin = (build and build.completion_time) or self.image.metadata.creation_timestamp
        age = max(int((moment - origin).total_seconds()), 0) if origin else 999_999_999
        if age > 500_000:
            age = min(500_000 + (age - 500_000) // 60, 999_999)
        return int(moment.timestamp()) * 1_000_000 + 999_999 - age

    def groups(self, query: Query) -> set[tuple[str | None, ...]]:
        namespace = self.key[0]
        if self.schedule:
            return {(namespace, self.schedule)}
        nothing: list[str | None] = [None]
        asked = query.architecture and normalise_architecture(query.architecture)
        return {
            (namespace, self.distro, architecture, target)
            for architecture in self.architectures or nothing
            for target in self.targets or nothing
            if asked in {None, architecture} and query.target in {None, target}
        }

    def matches(self, query: Query) -> bool:
        image = self.image
        build, registry = image.status.source_image_build, image.status.registry_metadata
        url, said = image.spec.registry_url, image.spec.metadata or CatalogMetadata()
        digests = {image.spec.digest, registry.resolved_digest if registry else None}
        searched = [self.key[1], url, *image.spec.tags]
        builds = {build.name, f"{build.namespace}/{build.name}"} if build else set()
        asked: list[tuple[object, bool]] = [
            (query.namespace, self.key[0] == query.namespace),
            (query.architecture, normalise_architecture(query.architecture or "") in self.architectures),
            (query.distro, self.distro == query.distro),
            (query.distro_version, said.distro_version == query.distro_version),
            (query.target, query.target in self.targets),
            (query.phase, self.phase == query.phase),
            (query.build_mode, said.build_mode == query.build_mode),
            (query.digest, query.digest in digests),
            (query.registry_url, same_image(url, query.registry_url)),
            (query.kernel_version, said.kernel_version == query.kernel_version),
            (query.source_image_build, query.source_image_build in builds),
            (query.schedule, self.schedule == query.schedule),
            (query.bootc_capable, self.bootc_capable is query.bootc_capable),
            (query.recalled, self.recalled is query.recalled),
            (query.q or None, any((query.q or "").lower() in text.lower() for text in searched)),
        ]
        share = self.shares[query.availability_window]
        asked.append((query.min_availability, share is not None and share >= (query.min_availability or 0)))
        return all(fits for wanted, fits in asked if wanted is not None) and set(query.tags) <= set(image.spec.tags)


def same_image(url: str, other: str | None) -> bool:
    if other is None or other == "no reference":
        return url == other
    return Reference.parse(url).canonical == Reference.parse(other).canonical


def order(value: float | str | None, key: Key, sort: Sort) -> tuple[Any, ...]:
    """Return what ascends in the direction that a sort is wanted in."""
    missing = value is None
    signed = -value if isinstance(value, int | float) and sort is not Sort.NAME else value
    return (missing, 0 if missing else signed, *key)


def newest(entries: list[PlainEntry], query: Query) -> list[PlainEntry]:
    best: dict[tuple[str | None, ...], PlainEntry] = {}
    for entry in sorted(entries, key=lambda e: order(e.value(Query()), e.key, Sort.PUBLISHED)):
        for group in entry.groups(query):
            best.setdefault(group, entry)
    chosen = {entry.key for entry in best.values()}
    return [entry for entry in entries if entry.key in chosen]


def plain_find(entries: list[PlainEntry], query: Query) -> tuple[list[Key], int, int]:
    """Answer a query the slow way: the page's keys, how many match, and how many come after the page."""
    found = [entry for entry in entries if entry.matches(query)]
    if query.latest:
        found = newest(found, query)
    mirrored = query.descending is not None and query.descending is (query.sort is Sort.NAME)
    places = sorted((order(entry.value(query), entry.key, query.sort) for entry in found), reverse=mirrored)
    if mirrored:
        places.sort(key=lambda place: place[0])
    if query.after is not None:
        place = order(query.after.value, (query.after.namespace, query.after.name), query.sort)
        behind = [
            p for p in places if (p[0] > place[0]) or (p[0] == place[0] and (p < place if mirrored else p > place))
        ]
    else:
        behind = places
    page = behind[: query.limit] if query.limit else behind
    return [(place[2], place[3]) for place in page], len(places), len(behind) - len(page)


class IndexMachine(RuleBasedStateMachine):
    """Puts, removes, lists anew and counts, and asks all the time."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.plain: dict[Key, PlainEntry] = {}
        self.revision = 100
        self.waiting: dict[Key, int] = {}

    def put(self, key: Key, obj: dict[str, Any]) -> dict[str, Any]:
        self.revision += 1
        known = self.plain.get(key)
        identity = {"namespace": key[0], "name": key[1], "uid": f"uid-{key}", "resourceVersion": str(self.revision)}
        obj = {**obj, "metadata": {**obj["metadata"], **identity}}
        assert self.index.put(obj)
        assert not self.index.put(obj)
        written = obj.get("status", {}).get("accessCount", 0)
        figure = written if known is None else max(known.accesses, written + self.waiting.get(key, 0))
        self.plain[key] = PlainEntry(obj, figure)
        return obj

    def drop(self, key: Key) -> None:
        assert self.index.remove(*key) is (key in self.plain)
        self.plain.pop(key, None)
        self.waiting.pop(key, None)

    @rule(key=KEYS, obj=OBJECTS)
    def an_object_comes_or_changes(self, key: Key, obj: dict[str, Any]) -> None:
        self.put(key, obj)

    @rule(objects=st.dictionaries(KEYS, OBJECTS, min_size=4))
    def many_come(self, objects: dict[Key, dict[str, Any]]) -> None:
        for key, obj in objects.items():
            self.put(key, obj)

    @rule(key=KEYS)
    def an_object_goes(self, key: Key) -> None:
        self.drop(key)

    @rule(key=KEYS, obj=OBJECTS)
    def an_object_goes_and_an_old_message_comes_late(self, key: Key, obj: dict[str, Any]) -> None:
        late = self.put(key, obj)
        self.drop(key)
        assert not self.index.put(late)

    @rule(key=KEYS)
    def somebody_looks(self, key: Key) -> None:
        entry = self.index.count_access(*key)
        assert (entry is not None) is (key in self.plain)
        if entry is not None:
            self.plain[key].accesses += 1
            self.waiting[key] = self.waiting.get(key, 0) + 1
            assert entry.accesses == self.plain[key].accesses

    @rule(written=st.booleans())
    def accesses_are_written_or_not(self, written: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        taken = self.index.take_accesses()
        assert taken == self.waiting
        if written:
            self.waiting = {}
        else:
            for key, count in taken.items():
                self.index.give_back(*key, count)

    @rule(objects=st.dictionaries(KEYS, OBJECTS), kept=st.sets(KEYS))
    def everything_is_listed_anew(self, objects: dict[Key, dict[str, Any]], kept: set[Key]) -> None:
        with self.index.relist():
            for key in kept & self.plain.keys():
                assert not self.index.put(self.plain[key].obj)
            for key, obj in objects.items():
                self.put(key, obj)
        for key in self.plain.keys() - kept - objects.keys():
            del self.plain[key]
            self.waiting.pop(key, None)

    @rule(asked=st.lists(queries() | queries_for_the_newest(), min_size=1, max_size=6))
    def somebody_asks(self, asked: list[Query]) -> None:
        for query in asked:
            listing = self.index.find(query)
            found = [(entry.namespace, entry.name) for entry in listing.entries]
            assert (found, listing.total, listing.remaining) == plain_find([*self.plain.values()], query)

    @rule(query=queries(), changes=st.lists(st.tuples(KEYS, st.none() | OBJECTS), max_size=4))
    def somebody_pages_while_entries_change(
        self, query: Query, changes: list[tuple[Key, dict[str, Any] | None]]
    ) -> None:
        query = query._replace(after=None, limit=1, latest=False)
        before = set(plain_find([*self.plain.values()], query._replace(limit=0))[0])
        seen: list[Key] = []
        touched: set[Key] = set()
        while True:
            listing = self.index.find(query)
            seen += [(entry.namespace, entry.name) for entry in listing.entries]
            if listing.next is None:
                break
            query = query._replace(after=listing.next)
            if changes:
                key, obj = changes.pop()
                touched.add(key)
                if obj is None:
                    self.drop(key)
                else:
                    self.put(key, obj)
        untouched = [key for key in seen if key not in touched]
        assert sorted(untouched) == sorted(before - touched)

    @invariant()
    def every_entry_is_answered_as_it_is(self) -> None:
        assert len(self.index) == len(self.plain)
        for key, plain in self.plain.items():
            entry = self.index.get(*key)
            assert entry is not None
            assert entry.accesses == plain.accesses
            assert entry.object["status"]["accessCount"] == plain.accesses
            answered = orjson.loads(entry.json)
            assert answered["spec"] == plain.obj["spec"]
            assert answered["metadata"] == plain.obj["metadata"]

    def teardown(self) -> None:
        for key in list(self.plain):
            self.drop(key)
        assert len(self.index) == 0
        assert self.index.find(Query()).total == 0
        assert len(self.index._terms) == len(self.index._grams) == len(self.index._groups) == 0


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
