"""Every bound that the registry client works within, and why it has that value.

A registry is a server that any user of the cluster may name, so nothing that it
sends is taken without a bound (CVE-2020-1702, CVE-2024-29902).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = [
    "ARTIFACTS",
    "BLOBS",
    "CONFIG_BYTES",
    "CONNECT_TIMEOUT",
    "CRUMBS",
    "CRUMB_BYTES",
    "DEEP_TIMEOUT",
    "DEFAULT_CONCURRENCY",
    "DEFAULT_TOKEN_LIFE",
    "DOCUMENT_DEPTH",
    "DOCUMENT_PARTS",
    "ERROR_BYTES",
    "EXPIRY_MARGIN",
    "FACTS_BYTES",
    "HEADER_BYTES",
    "IMAGE_BYTES",
    "INDEX_CHILDREN",
    "INDEX_DEPTH",
    "INSPECTION_TIMEOUT",
    "KEPT_BYTES",
    "KEPT_KEY",
    "KEPT_TEXT",
    "KEPT_TEXTS",
    "KNOWN_CHALLENGES",
    "LAYERS",
    "MANIFEST_BYTES",
    "MAX_TOKEN_LIFE",
    "PLATFORM_TEXT",
    "POOL_CONNECTIONS",
    "READ_TIMEOUT",
    "REDIRECTS",
    "REFERRERS",
    "REFERRERS_READ",
    "REFERRERS_TIMEOUT",
    "REQUEST_TIMEOUT",
    "RETRY_AFTER",
    "TOKENS_KEPT",
    "TOKEN_BYTES",
    "TOKEN_LENGTH",
    "Timeouts",
]

MANIFEST_BYTES = 4 * 1024 * 1024
"""Largest manifest or index; the limit that the distribution specification asks registries to accept."""

CONFIG_BYTES = 4 * 1024 * 1024
"""Largest image configuration; real ones are a few KiB, some with long histories reach 1 MiB."""

TOKEN_BYTES = 1024 * 1024
"""Largest answer of a token server; the largest tokens seen are some 10 KiB."""

TOKEN_LENGTH = 16 * 1024
"""Longest token: it goes back in a header, few servers take a longer one, and `TOKENS_KEPT` of them are in memory."""

ERROR_BYTES = 64 * 1024
"""Most that is read of an answer that only tells what went wrong; its first line is what people need."""

CRUMBS = 1024
"""Pieces of an answer that may be of any size; honest servers need a few hundred for the largest manifest."""

CRUMB_BYTES = 64
"""Least size on average of more pieces than that: each is work, and 4 MiB are 4 million pieces of a byte."""

HEADER_BYTES = 100 * 1024
"""Largest head of an answer: what httpcore reads before it gives up. Stated here so that a test holds it to that."""

IMAGE_BYTES = 2**50
"""Largest image by its own word, configuration and layers together: 1 PiB, a thousand times what any board can hold.

Sizes are claims that nobody checks, and a status holds them in 64 bits: an index of `INDEX_CHILDREN` such images has
room there, while three layers of the largest size that JSON may carry would make the status of its entry unwritable.
"""

INDEX_CHILDREN = 128
"""Most entries that one inspection follows: the widest official images have some 20 with their attestations."""

REFERRERS = 64
"""Most referrers that are shown of an image: each takes some 200 bytes of a status of 1.5 MiB."""

REFERRERS_READ = 8192
"""Most entries of a list of referrers: as many as have room in `MANIFEST_BYTES`, some 500 bytes each."""

INDEX_DEPTH = 3
"""How deep indexes may nest: one is common, two are seen, more only in attacks."""

ARTIFACTS = 256
"""Most files that are shown of an image, one for each partition: each takes some 1 KiB of a status of 1.5 MiB."""

DOCUMENT_PARTS = 200_000
"""How many objects, lists and values JSON may have, by its brackets and commas: a list of `REFERRERS_READ` has 120,000.

Reading is work for each, in which nothing else is done: 4 MiB of brackets are two seconds of it.
"""

LAYERS = 1024
"""Most layers of a manifest: engines stop at 127, disk artifacts have one per partition."""

DOCUMENT_DEPTH = 32
"""How deep JSON may nest: manifests and configurations need 6."""

REDIRECTS = 5
"""Most redirects that one request follows: a blob needs one, a mirror before it another."""

CONNECT_TIMEOUT = timedelta(seconds=5)
"""Time for name, connection and TLS each: a registry that needs longer is as good as down."""

READ_TIMEOUT = timedelta(seconds=15)
"""Longest silence within an answer: busy registries take seconds for a cold manifest."""

REQUEST_TIMEOUT = timedelta(seconds=30)
"""Longest that one request may take in all: a server that sends a byte now and then holds nothing up."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of time of one request.

    Attributes
    ----------
    connect
        For name, connection and TLS each.
    read
        For silence within an answer.
    request
        In all.
    """

    connect: timedelta = CONNECT_TIMEOUT
    read: timedelta = READ_TIMEOUT
    request: timedelta = REQUEST_TIMEOUT


INSPECTION_TIMEOUT = timedelta(seconds=90)
"""Longest that an inspection may take in all: a delivery of the broker is given 120 s."""

DEEP_TIMEOUT = timedelta(seconds=110)
"""The same for an inspection that asks for every blob, which takes a request for each."""

REFERRERS_TIMEOUT = timedelta(seconds=10)
"""Longest that listing referrers may take: nothing depends on them, and a check has taken its time already."""

DEFAULT_CONCURRENCY = 16
"""Requests under way at one registry, from each process; a CatalogRegistry says otherwise."""

POOL_CONNECTIONS = 1024
"""Most connections of a process to one server with one TLS configuration.

More than a registry's requests under way at once, whatever its CatalogRegistry says: else those of one tenant could
keep another's from being sent.
"""

DEFAULT_TOKEN_LIFE = timedelta(seconds=60)
"""How long a token lives when its server does not say (distribution's token specification)."""

MAX_TOKEN_LIFE = timedelta(hours=1)
"""Longest that a token is kept: rights that were withdrawn are noticed within it."""

EXPIRY_MARGIN = timedelta(seconds=10)
"""How long before its end a token is not used any more; at most a fifth of its life."""

TOKENS_KEPT = 4096
"""Tokens in memory: one for each repository and credential that is checked within an hour."""

KNOWN_CHALLENGES = 1024
"""Registries and credentials whose way to ask for a token is remembered."""

FACTS_BYTES = 16 * 1024 * 1024
"""What the immutable facts of digests may weigh in memory: those of 5,000 usual images, some 3 KiB each.

A number of digests would be no bound: an index may name 131,072 layers.
"""

BLOBS = 4096
"""Most manifests and blobs that a deep check asks for: 32 platforms of as many layers as an engine takes."""

PLATFORM_TEXT = 64
"""Longest name of an architecture, an operating system or a variant: real ones have some 10 characters."""

KEPT_KEY = 255
"""Longest key of an annotation or label that is kept, and of a file's name: no file system takes a longer one."""

KEPT_TEXT = 4096
"""Longest annotation or label value that is kept, in characters: it ends in a status of 1.5 MiB at most."""

KEPT_TEXTS = 64
"""Most annotations, and most labels, that are kept of an image."""

KEPT_BYTES = 128 * 1024
"""What the annotations that are kept of an image, and what its labels, may take as JSON.

An object has 1.5 MiB at most, its status included, and a character may take six bytes: without this bound an image
could make the status of its entry unwritable.
"""

RETRY_AFTER = timedelta(hours=1)
"""Longest wait that a registry can ask of us: six hours are heard of, but an hour later may be another answer."""
