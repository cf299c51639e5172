import pytest

from image_catalog.events import PREFIX, EventType, SourceType, any_event, as_filters, exact, prefix
from image_catalog.models import CatalogImage
from image_catalog.models.events import Ping

ADDED = exact(type=SourceType.RESOURCE_ADDED, kind="CatalogImage", payload=CatalogImage)


def test_triggers_are_the_filters_of_a_knative_trigger() -> None:
    triggers = [ADDED, exact(type=SourceType.PING, source="/sweep", payload=None)]
    assert as_filters(triggers) == [
        {
            "any": [
                {"exact": {"type": "dev.knative.apiserver.resource.add", "kind": "CatalogImage"}},
                {"exact": {"type": "dev.knative.sources.ping", "source": "/sweep"}},
            ]
        }
    ]
    # A YAML file holds plain text, so a member of an enumeration must not slip in.
    assert type(as_filters(triggers)[0]["any"][0]["exact"]["type"]) is str


def test_a_dead_letter_sink_has_no_filter() -> None:
    assert as_filters([any_event()]) == []
    assert any_event().matches({"type": "anything"})


def test_what_a_dead_letter_sink_listens_to_beside_has_a_filter() -> None:
    triggers = [prefix(type=PREFIX, payload=None), ADDED, any_event()]
    assert as_filters(triggers) == [{"any": [{"prefix": {"type": PREFIX}}, *as_filters([ADDED])[0]["any"]]}]


@pytest.mark.parametrize(
    ("attributes", "matches"),
    [
        pytest.param({"type": EventType.IMAGE_REMOVED}, True, id="begins-with-it"),
        pytest.param({"type": f"x{PREFIX}"}, False, id="holds-it"),
        pytest.param({"source": PREFIX}, False, id="missing"),
    ],
)
def test_prefix_compares_how_an_attribute_begins(attributes: dict[str, str], *, matches: bool) -> None:
    assert prefix(type=PREFIX, payload=None).matches(attributes) is matches


@pytest.mark.parametrize(
    ("attributes", "matches"),
    [
        pytest.param({"type": SourceType.RESOURCE_ADDED, "kind": "CatalogImage", "x": "y"}, True, id="all-equal"),
        pytest.param({"type": SourceType.RESOURCE_ADDED, "kind": "ImageBuild"}, False, id="one-differs"),
        pytest.param({"type": SourceType.RESOURCE_ADDED}, False, id="one-missing"),
    ],
)
def test_exact_compares_every_attribute(attributes: dict[str, str], *, matches: bool) -> None:
    assert ADDED.matches(attributes) is matches


def test_a_filter_without_attributes_must_be_meant() -> None:
    with pytest.raises(ValueError, match=r"any_event\(\)"):
        exact(payload=Ping)
