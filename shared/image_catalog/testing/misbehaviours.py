"""Everything that real registries do wrong, and hostile ones on purpose, as one list.

Each is a way to spoil the image ``team/os:1.0`` of a `FakeRegistry` that is
served with `hostile_registry`. What the catalog makes of it stands beside each
in the tests; the list itself is also what memory is measured with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from image_catalog.local.registry import Sample, SampleImage, SampleIndex
from image_catalog.testing import registry_content as content
from image_catalog.testing.registry import BearerAuth, FakeRegistry
from image_catalog.testing.registry_faults import (
    Answer,
    Cut,
    Fault,
    Gate,
    HeaderChange,
    Oversized,
    Redirect,
    another_content_type,
    another_digest_header,
    corrupt_body,
    gzip_body,
    head_not_allowed,
    html_page,
    no_challenge,
    no_digest_header,
    rate_limited,
    server_error,
)
from image_catalog.testing.registry_log import Kind
from image_catalog.testing.registry_wire import Endless, GzipBomb, Trickle, WrongLength

__all__ = ["MISBEHAVIOURS", "REPOSITORY", "TAG", "Misbehaviour", "hostile_registry"]

REPOSITORY, TAG = "team/os", "1.0"
_OCI_INDEX, _OCI_MANIFEST = SampleIndex().media_type, SampleImage().media_type
_NOBODY = f"sha256:{'b' * 64}"
_METADATA_SERVICE = "http://169.254.169.254"
_HUGE = 64 * 1024 * 1024

Misbehaviour = Callable[[FakeRegistry], None]
"""Spoils what a registry says about ``team/os:1.0``."""


def _image(registry: FakeRegistry) -> SampleImage:
    # Of its own: what a digest says is read once, wherever it is.
    return SampleImage(name=registry.host)


def _fails(fault: Callable[[], Fault], *, kind: Kind = "manifest") -> Misbehaviour:
    def spoil(registry: FakeRegistry) -> None:
        registry.put(_image(registry), REPOSITORY, TAG)
        registry.fail(fault(), kind=kind)

    return spoil


def _fails_everywhere(fault: Fault) -> Misbehaviour:
    def spoil(registry: FakeRegistry) -> None:
        registry.put(_image(registry), REPOSITORY, TAG)
        registry.fail(fault)

    return spoil


def _has(sample: Callable[[], Sample]) -> Misbehaviour:
    def spoil(registry: FakeRegistry) -> None:
        registry.put(sample(), REPOSITORY, TAG)

    return spoil


def _has_raw(body: Callable[[], bytes], media_type: str = _OCI_MANIFEST) -> Misbehaviour:
    def spoil(registry: FakeRegistry) -> None:
        registry.put(_image(registry), REPOSITORY, TAG)
        # Past the store, which would read it.
        registry.fail(Answer(200, body(), {"Content-Type": media_type}), kind="manifest")

    return spoil


def _takes_no_head(registry: FakeRegistry) -> None:
    registry.put(_image(registry), REPOSITORY, TAG)
    registry.fail(head_not_allowed(), method="HEAD")


def _redirects_for_ever(registry: FakeRegistry) -> None:
    registry.fail(Redirect(registry.url), kind="manifest")


def _redirects_blobs(registry: FakeRegistry) -> None:
    registry.put(_image(registry), REPOSITORY, TAG)
    registry.redirect_blobs = True


def _sends_for_tokens(realm: str) -> Misbehaviour:
    def spoil(registry: FakeRegistry) -> None:
        registry.put(_image(registry), REPOSITORY, TAG)
        if isinstance(registry.auth, BearerAuth):
            registry.auth.realm = realm.format(elsewhere=registry.storage_host)

    return spoil


def _says_no_expiry(registry: FakeRegistry) -> None:
    registry.put(_image(registry), REPOSITORY, TAG)
    if isinstance(registry.auth, BearerAuth):
        registry.auth.expires_in = None


def _lacks_a_platform(registry: FakeRegistry) -> None:
    there, gone = SampleImage(name="there"), SampleImage(name="gone", architecture="arm64")
    registry.put(SampleIndex([there, gone]), REPOSITORY, TAG)
    registry.fail(Answer(404), kind="manifest", reference=gone.digest)


_IN_A_MINUTE = timedelta(minutes=1)

MISBEHAVIOURS: Mapping[str, Misbehaviour] = {
    # What honest registries, and proxies before them, are known for.
    "no digest header": _fails(no_digest_header),
    "HEAD is not allowed": _takes_no_head,
    "a digest header that is wrong": _fails(lambda: another_digest_header(_NOBODY)),
    "a media type that says nothing": _fails(lambda: another_content_type("text/plain; charset=utf-8")),
    "a media type that is wrong": _fails(lambda: another_content_type(_OCI_INDEX)),
    "a page of HTML with 200": _fails(html_page),
    "blobs on another host": _redirects_blobs,
    "a token without an expiry": _says_no_expiry,
    "a platform that is missing": _lacks_a_platform,
    "an index within an index": _has(lambda: content.nested_index(2)),
    "schema 1": _has_raw(lambda: content.schema_1(REPOSITORY, TAG), content.SCHEMA_1),
    "429 with a date": _fails(lambda: rate_limited(retry_after=datetime.now(UTC) + _IN_A_MINUTE)),
    "429 with seconds": _fails(lambda: rate_limited(retry_after=_IN_A_MINUTE)),
    "429 without a word": _fails(rate_limited),
    "503 with Retry-After": _fails(lambda: rate_limited(status=503, retry_after=_IN_A_MINUTE)),
    "500": _fails(server_error),
    "401 without a challenge": _fails_everywhere(no_challenge()),
    "401 with an empty challenge": _fails_everywhere(no_challenge(empty_header=True)),
    "gzip that nobody asked for": _fails(gzip_body),
    "a byte that is wrong": _fails(corrupt_body, kind="blob"),
    "a connection that is cut before the answer": _fails(Cut),
    "a connection that is cut within the answer": _fails(lambda: Cut(after=10)),
    "a length that is too large": _fails(lambda: WrongLength(100)),
    "a length that is too small": _fails(lambda: WrongLength(-100)),
    "no answer at all": _fails(Gate),
    # What only somebody does who wants something.
    "a realm on a foreign host": _sends_for_tokens("http://{elsewhere}/token"),
    "a realm at the metadata service": _sends_for_tokens("https://169.254.169.254/token"),
    "a realm in the private network": _sends_for_tokens("https://10.0.0.1/token"),
    "a realm that is loopback": _sends_for_tokens("https://{elsewhere}/token"),
    "a redirect to the metadata service": _fails(lambda: Redirect(_METADATA_SERVICE), kind="blob"),
    "redirects without end": _redirects_for_ever,
    "a slow trickle": _fails(Trickle),
    "a body without end": _fails(Endless),
    "a body in crumbs": _fails(lambda: Endless(piece=2)),
    "a body without end for a configuration": _fails(Endless, kind="blob"),
    "a manifest of 64 MiB": _fails(lambda: Oversized(_HUGE)),
    "a manifest of 64 MiB that does not say so": _fails(lambda: Oversized(_HUGE, declared=False)),
    "an error of 64 MiB": _fails(lambda: Oversized(_HUGE, status=500, media_type="text/plain")),
    "a token of 64 MiB": _fails(lambda: Oversized(_HUGE), kind="token"),
    "a header of 200 KiB": _fails(lambda: HeaderChange({"X-Filler": "x" * 200 * 1024})),
    "a gzip bomb": _fails(GzipBomb),
    "a gzip bomb for a configuration": _fails(GzipBomb, kind="blob"),
    "100,000 children": _has_raw(content.wide_index, _OCI_INDEX),
    "25,000 children": _has_raw(lambda: content.wide_index(25_000), _OCI_INDEX),
    "indexes nested five deep": _has(lambda: content.nested_index(5)),
    "an index that names itself": _has_raw(lambda: content.self_naming_index(_NOBODY), _OCI_INDEX),
    "image and index at once": _has_raw(content.manifest_and_index),
    "a key that is there twice": _has_raw(content.twice_said),
    "nothing but nesting": _has_raw(content.deeply_nested),
    "4 MiB of brackets": _has_raw(content.nested_lists),
    "an error that begins a token everywhere": _fails(
        lambda: Answer(500, b"eyJ-" * 16_000, {"Content-Type": "text/plain"})
    ),
    "a digest that leads elsewhere": _has_raw(content.escaping_digest),
    "a layer that lies elsewhere": _has_raw(lambda: content.foreign_layer(f"{_METADATA_SERVICE}/layer")),
}
"""By name, what a registry does; each is told apart from the others by what it does, not by what comes of it."""


@asynccontextmanager
async def hostile_registry(root: Path) -> AsyncIterator[FakeRegistry]:
    """Serve a registry on loopback that asks for tokens, with a store for its blobs on another port.

    Parameters
    ----------
    root
        Folder for its content.
    """
    registry = FakeRegistry(root, auth=BearerAuth())
    async with registry.serve(own_storage=True):
        yield registry
