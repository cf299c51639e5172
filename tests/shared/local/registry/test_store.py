from pathlib import Path

import pytest

from image_catalog.local.registry import RegistryStore, SampleImage


def test_content_is_there_after_a_restart_and_half_uploads_are_not(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    image = SampleImage()
    image.put(store, "team/os", "1.0")
    store.start_upload("team/os")
    again = RegistryStore(tmp_path)
    found = again.manifest("team/os", "1.0")
    assert found is not None
    assert found.digest == image.digest
    assert list((tmp_path / "uploads").iterdir()) == []


@pytest.mark.parametrize("repository", ["../up", "a/../b", "/etc", "A", "", "a//b", "_blobs"])
def test_no_repository_name_leads_out_of_the_folder(store: RegistryStore, repository: str) -> None:
    with pytest.raises(ValueError, match="not a repository name"):
        store.put_blob(repository, b"")


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "md5:00", "sha256:" + "A" * 64])
def test_no_digest_leads_out_of_the_folder(store: RegistryStore, digest: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        store.blob("team/os", digest)


@pytest.mark.parametrize("tag", ["../1.0", ".hidden", "a" * 129, "a/b"])
def test_no_tag_leads_out_of_the_folder(store: RegistryStore, tag: str) -> None:
    with pytest.raises(ValueError, match="not a tag"):
        store.manifest("team/os", tag)


def test_a_manifest_cannot_be_kept_under_a_digest_that_it_has_not(store: RegistryStore) -> None:
    image = SampleImage()
    with pytest.raises(ValueError, match="the content's digest is"):
        store.put_manifest("team/os", image.digest, b"else", media_type=image.media_type)


def test_a_store_takes_broken_content_that_tests_need(store: RegistryStore) -> None:
    digest = store.put_manifest("team/os", "broken", b"not JSON", media_type="text/plain")
    found = store.manifest("team/os", "broken")
    assert found is not None
    assert (found.digest, found.read(), found.media_type, found.subject()) == (digest, b"not JSON", "text/plain", None)


def test_an_empty_store_has_nothing(store: RegistryStore) -> None:
    assert store.repositories() == []
    assert store.tags("team/os") == []
    assert not store.exists("team/os")
