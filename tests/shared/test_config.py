import pytest

from image_catalog.config import Settings
from image_catalog.errors import PermanentError


def test_nothing_given_means_the_defaults() -> None:
    assert Settings.from_environment({"PATH": "/bin", "IMAGE_CATALOG_OF_SOMEBODY_ELSE": "1"}) == Settings()


def test_a_process_that_names_no_environment_has_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_CATALOG_REVERIFY_BATCH", "7")
    assert Settings().reverify_batch == 500


def test_names_are_a_json_list() -> None:
    given = Settings.from_environment({"IMAGE_CATALOG_TRUSTED_CALLERS": '["one", "two"]'})
    assert given.trusted_callers == {"one", "two"}


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("TRUSTED_CALLERS", "one,two", 'write a JSON list, ["one", "two"] for example'),
        ("TRUSTED_CALLERS", '"one"', "Input should be a valid frozenset"),
        ("LOG_FORMAT", "xml", "Input should be 'json' or 'console'"),
        ("RETRY_INITIAL", "PT0S", "Input should be greater than"),
        ("API_PORT", "http", "Input should be a valid integer"),
        ("ALLOW_PRIVATE_NETWORKS", "", "Input should be a valid boolean"),
    ],
    ids=["no list", "one name", "no such format", "no wait", "no number", "empty"],
)
def test_a_wrong_value_is_named_with_what_it_may_be(name: str, value: str, remedy: str) -> None:
    with pytest.raises(PermanentError) as raised:
        Settings.from_environment({f"IMAGE_CATALOG_{name}": value})
    assert raised.value.message.startswith(f"IMAGE_CATALOG_{name}: ")
    assert remedy in raised.value.message


def test_every_wrong_value_is_named() -> None:
    with pytest.raises(PermanentError, match=r"IMAGE_CATALOG_REVERIFY_BATCH: .*; IMAGE_CATALOG_LOG_LEVEL: "):
        Settings.from_environment({"IMAGE_CATALOG_REVERIFY_BATCH": "0", "IMAGE_CATALOG_LOG_LEVEL": "loud"})
