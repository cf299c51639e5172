"""The dialects of a Trigger's filters."""

from __future__ import annotations

from typing import Any

import pytest

from image_catalog.local.knative.filters import read_filters, read_legacy_filter

EVENT = {"type": "com.example.created", "source": "/source", "id": "1", "kind": "ImageBuild"}


@pytest.mark.parametrize(
    ("entries", "passes"),
    [
        pytest.param([], True, id="no-entry"),
        pytest.param([{"exact": {"type": "com.example.created"}}], True, id="exact"),
        pytest.param([{"exact": {"type": "com.example"}}], False, id="exact-other"),
        pytest.param([{"exact": {"kind": "ImageBuild", "id": "2"}}], False, id="every-attribute-of-an-entry"),
        pytest.param([{"exact": {"missing": "a"}}], False, id="exact-missing"),
        pytest.param([{"prefix": {"type": "com."}}], True, id="prefix"),
        pytest.param([{"prefix": {"type": "org."}}], False, id="prefix-other"),
        pytest.param([{"suffix": {"type": ".created"}}], True, id="suffix"),
        pytest.param([{"suffix": {"missing": "a"}}], False, id="suffix-missing"),
        pytest.param([{"all": [{"exact": {"id": "1"}}, {"exact": {"id": "2"}}]}], False, id="all"),
        pytest.param([{"any": [{"exact": {"id": "1"}}, {"exact": {"id": "2"}}]}], True, id="any"),
        pytest.param([{"any": [{"exact": {"id": "3"}}, {"exact": {"id": "2"}}]}], False, id="any-none"),
        pytest.param([{"not": {"exact": {"missing": "a"}}}], True, id="not-missing"),
        pytest.param([{"not": {"any": [{"exact": {"id": "1"}}]}}], False, id="not-any"),
        pytest.param([{"cesql": "kind = 'ImageBuild' AND id = 1"}], True, id="cesql"),
        pytest.param([{"cesql": "missing = 'a'"}], False, id="cesql-error"),
        pytest.param([{"not": {"cesql": "missing = 'a'"}}], True, id="not-cesql-error"),
        pytest.param([{"exact": {"id": "1"}}, {"prefix": {"type": "org."}}], False, id="every-entry"),
    ],
)
def test_an_event_passes(entries: list[Any], *, passes: bool) -> None:
    assert read_filters(entries)(EVENT) is passes


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        pytest.param([{}], r"\[0\]: an entry holds exactly one dialect", id="no-dialect"),
        pytest.param([{"exact": {"a": "b"}, "prefix": {"a": "b"}}], r"\[0\]: an entry", id="two-dialects"),
        pytest.param(["type"], r"\[0\]: an entry", id="no-object"),
        pytest.param([{"exact": {"a": "b"}}, {"regex": {}}], r"\[1\]: regex is none of", id="unknown-dialect"),
        pytest.param([{"exact": {}}], r"\[0\].exact: a map", id="empty-map"),
        pytest.param([{"prefix": "a"}], r"\[0\].prefix: a map", id="no-map"),
        pytest.param([{"suffix": {"a": ""}}], r"\[0\].suffix.a: a text", id="empty-value"),
        pytest.param([{"exact": {"a": 1}}], r"\[0\].exact.a: a text", id="number"),
        pytest.param([{"all": []}], r"\[0\].all: a list", id="empty-list"),
        pytest.param([{"any": [{"all": [{"exact": {}}]}]}], r"\[0\].any\[0\].all\[0\].exact: a map", id="nested"),
        pytest.param([{"not": []}], r"\[0\].not: an entry", id="not-a-list"),
        pytest.param([{"cesql": "a ="}], r"\[0\].cesql: no CloudEvents SQL", id="cesql-syntax"),
        pytest.param([{"cesql": ""}], r"\[0\].cesql: an expression", id="cesql-empty"),
    ],
)
def test_a_malformed_filter_is_refused_by_its_path(entries: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_filters(entries)


def test_the_legacy_filter_accepts_any_value_for_an_empty_one() -> None:
    accepts = read_legacy_filter({"type": "com.example.created", "id": ""})

    assert accepts(EVENT)
    assert not accepts({"type": "com.example.created"})
    assert not accepts({**EVENT, "type": "other"})
