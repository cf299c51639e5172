"""Files in registries: opened with the credentials that docker and podman keep for the user."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from image_catalog.local.registry import Blob, SampleArtifact
from image_catalog.testing.background import in_background
from image_catalog.testing.catalog_api import ScriptedCatalog
from image_catalog.testing.file_server import FileServer
from image_catalog.testing.peaks import peak_of
from image_catalog.testing.registry import Account, BasicAuth, BearerAuth, FakeRegistry
from image_catalog.testing.registry_faults import BodyChange, Cut, Redirect

REPOSITORY = "acme/disks"
CONTENT = os.urandom(2_000_000)
DISK = Blob(content=CONTENT, media_type="application/vnd.automotive.disk.raw")


class Served:
    """A registry on a socket, with one disk in it, which the catalog lists."""

    def __init__(self, registry: FakeRegistry, offer: Any) -> None:
        self.registry = registry
        registry.put(SampleArtifact(layers=[DISK]), REPOSITORY, "cs9")
        self.item = {
            "type": "oci",
            "name": "disk.raw",
            "url": f"{registry.url}/v2/{REPOSITORY}/blobs/{DISK.digest}",
            "digest": DISK.digest,
            "sizeBytes": len(CONTENT),
        }
        offer(self.item)

    def seen(self) -> list[tuple[str, bool]]:
        """Return method and whether there was a credential, of every request for the blob."""
        return [(r.method, "authorization" in r.headers) for r in self.registry.requests if r.target.kind == "blob"]


@pytest.fixture
def serve(tmp_path: Path, offer: Any) -> Iterator[Any]:
    with ExitStack() as stack:

        def start(auth: BasicAuth | BearerAuth | None = None, **options: Any) -> Served:
            registry = FakeRegistry(tmp_path / "registry", auth=auth)
            stack.enter_context(in_background(registry.serve(**options)))
            return Served(registry, offer)

        yield start


def log_in(home: Path, host: str, account: Account) -> None:
    """Do what ``docker login`` does."""
    pair = base64.b64encode(f"{account.user}:{account.password}".encode()).decode()
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": pair}}}))


def test_a_public_file_needs_no_credential(serve: Any, download: Any) -> None:
    served = serve()
    ran = download()
    assert (ran.code, ran.err) == (0, "")
    assert (download.folder / "disk.raw").read_bytes() == CONTENT
    assert served.seen() == [("HEAD", False), ("GET", False)]


@pytest.mark.parametrize("auth", [BasicAuth, BearerAuth], ids=["basic", "bearer"])
def test_a_private_file_is_opened_with_the_users_own_credential(
    serve: Any, download: Any, home: Path, auth: type[BasicAuth | BearerAuth]
) -> None:
    served = serve(auth())
    account = served.registry.account("builder")
    served.registry.restrict("acme", account)
    log_in(home, served.registry.host, account)
    ran = download("-v")
    assert ran.code == 0
    assert account.password not in ran.err
    assert (download.folder / "disk.raw").read_bytes() == CONTENT


@pytest.mark.parametrize("user", [None, "somebody"], ids=["nobody", "somebody else"])
def test_who_may_not_pull_is_told_to_log_in(serve: Any, download: Any, home: Path, user: str | None) -> None:
    served = serve(BasicAuth())
    served.registry.restrict("acme", served.registry.account("builder"))
    if user is not None:
        log_in(home, served.registry.host, Account(user))
    ran = download()
    assert ran.code == 1
    assert f"Hint: log in with: podman login {served.registry.host}\n" in ran.err
    assert not download.folder.exists() or download.left() == []


def test_a_credential_for_another_host_stays_at_home(serve: Any, download: Any, home: Path) -> None:
    served = serve(BasicAuth())
    log_in(home, "quay.io", served.registry.account("builder"))
    assert download().code == 0, "the repository is public"
    assert all(not shown for _, shown in served.seen())


def test_where_a_registry_redirects_to_its_credential_is_not_shown(serve: Any, download: Any, home: Path) -> None:
    served = serve(BearerAuth(), own_storage=True)
    served.registry.redirect_blobs = True
    account = served.registry.account("builder")
    served.registry.restrict("acme", account)
    log_in(home, served.registry.host, account)
    assert download().code == 0
    assert (download.folder / "disk.raw").read_bytes() == CONTENT


def test_a_token_that_expires_on_the_way_is_asked_for_again(serve: Any, download: Any) -> None:
    served = serve(BearerAuth())
    served.registry.fail(Cut(after=500_000), kind="blob", method="GET", times=1)
    assert download().code == 0
    assert [method for method, _ in served.seen()] == ["HEAD", "HEAD", "GET", "GET"]


def test_a_certificate_of_an_own_authority_is_trusted_when_it_is_named(
    serve: Any, download: Any, tmp_path: Path
) -> None:
    authority = trustme.CA()
    serve(certificate=authority)
    refused = download()
    assert (refused.code, "certificate" in refused.err) == (1, True)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ran = download("--certificate-authority", tmp_path / "ca.pem")
    assert (ran.code, ran.err) == (0, "")
    assert (download.folder / "disk.raw").read_bytes() == CONTENT


def test_a_redirect_from_https_to_plain_http_is_not_followed(
    serve: Any, download: Any, tmp_path: Path, files: FileServer
) -> None:
    authority = trustme.CA()
    served = serve(certificate=authority)
    files.put("/disk.raw", CONTENT)
    served.registry.fail(Redirect(f"{files.url}/disk.raw"), kind="blob", method="GET")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ran = download("--certificate-authority", tmp_path / "ca.pem")
    assert (ran.code, "redirects from https to plain http" in ran.err) == (1, True)
    assert not files.requests


def test_a_stores_certificate_that_nobody_knows_is_not_trusted(
    serve: Any, download: Any, offer: Any, tmp_path: Path
) -> None:
    served = serve(certificate=trustme.CA())
    offer({**served.item, "type": "s3", "downloadUrl": served.item["url"]})
    ran = download()
    assert ran.code == 1
    assert "the certificate of 127.0.0.1 is not trusted: " in ran.err
    assert "Hint: give its CA's certificates with --certificate-authority FILE\n" in ran.err
    (tmp_path / "none.pem").write_text("no certificate")
    ran = download("--certificate-authority", tmp_path / "none.pem")
    assert (ran.code, "cannot be read" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1/disk.raw", "is no blob's of a registry"),
        ("http://127.0.0.1:1/v2/UPPER/blobs/sha256:" + "0" * 64, "UPPER"),
        ("http://127.0.0.1:1/v2/a/blobs/sha256:" + "0" * 64, "127.0.0.1:1 cannot be reached"),
    ],
    ids=["no blob", "no repository", "nobody there"],
)
def test_an_address_that_is_no_registrys(download: Any, offer: Any, url: str, said: str) -> None:
    offer({"type": "oci", "name": "disk.raw", "url": url, "digest": DISK.digest, "sizeBytes": 3})
    ran = download("--retries", 0)
    assert (ran.code, said in ran.err) == (1, True)


def test_a_credential_is_not_sent_over_plain_http(download: Any, offer: Any, home: Path) -> None:
    log_in(home, "registry.example.com", Account("builder"))
    url = f"http://registry.example.com/v2/a/blobs/{DISK.digest}"
    offer({"type": "oci", "name": "disk.raw", "url": url, "digest": DISK.digest})
    ran = download()
    assert (ran.code, "is not sent over plain http" in ran.err) == (1, True)


def test_ten_cuts_and_memory_that_does_not_grow_with_the_file(
    serve: Any, offer: Any, download: Any, catalog: ScriptedCatalog
) -> None:
    size, cuts = 32 * 2**20, 10
    large = Blob(content=os.urandom(2**20) * 32, media_type=DISK.media_type)
    served = serve()
    served.registry.put(SampleArtifact(layers=[large]), REPOSITORY, "large")
    usual = _peak(catalog, download.folder / "small")
    url = f"{served.registry.url}/v2/{REPOSITORY}/blobs/{large.digest}"
    offer(served.item | {"digest": large.digest, "sizeBytes": size, "url": url})
    served.registry.requests.clear()
    served.registry.fail(Cut(after=size // (cuts + 1)), kind="blob", method="GET", times=cuts)
    peak = _peak(catalog, download.folder)
    assert (download.folder / "disk.raw").stat().st_size == size
    assert [request.method for request in served.registry.requests].count("GET") == cuts + 1
    assert peak - usual < 8 * 2**20


def test_a_flipped_byte_of_a_registrys_is_refused(serve: Any, download: Any) -> None:
    served = serve()
    served.registry.fail(BodyChange(lambda content: content[:-1] + bytes([content[-1] ^ 1])), kind="blob", method="GET")
    ran = download()
    assert (ran.code, download.left()) == (1, [])
    assert f"expected {DISK.digest}, got sha256:" in ran.err


def _peak(catalog: ScriptedCatalog, folder: Path) -> int:
    """Return the most memory that a process of caib took, in bytes."""
    caib = Path(sys.executable).with_name("caib")
    command: list[str | Path] = [caib, "catalog", "download", "autosd", "-o", folder]
    code, peak = peak_of(command, {**os.environ, "CAIB_SERVER": catalog.url})
    assert code == 0
    return peak
