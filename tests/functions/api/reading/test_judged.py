"""A list query that is put together from what is known of its parameters is the one that the model reads."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog_functions.api.http.parameters import MAX_QUERY_BYTES, read_query
from image_catalog_functions.api.http.problems import Problem
from image_catalog_functions.api.reading.judged import JudgedParameters
from image_catalog_functions.api.reading.queries import ListQuery

HOME = "home"

PARAMETERS = (
    *("namespace=other", "namespace=Not_One", "allNamespaces=true", "allNamespaces=false", "allNamespaces=yes"),
    *("architecture=aarch64", "architecture=arm64", "architecture=vax", "distro=cs9", "distroVersion=9.4", "distro="),
    *("target=qemu", "phase=Available", "phase=available", "tags=a,b", "tags=a%2C%20c", "tags=a+,b", "tags=,"),
    *("bootcCapable=true", "bootcCapable=false", "recalled=true", "buildMode=image", "kernelVersion=6.1%2B2"),
    *("registryUrl=quay.io%2Facme%2Fos:1", "registryUrl=UPPER", "sourceImageBuild=ns/build", "schedule=nightly"),
    *("q=os", "q=%C3%A4", "q=%FF", "q=a=b", "latest=true", "latest=false", "sort=name", "sort=age", "order=asc"),
    *("minAvailability=0.5", "minAvailability=2", "availabilityWindow=30d", "availabilityWindow=1h", "sort=size"),
    *("order=desc", "limit=1", "limit=20", "limit=500", "limit=501", "limit=1.5", "continue=abc-_", "continue=a%2Bb"),
    *("continue=", "asOf=7d", "digest=sha256:" + "a" * 64, "digest=sha256:a", "unknown=1", "unknown", "=", "", "%zz=1"),
)

KNOWING = JudgedParameters(namespace=HOME)
"""Knows more from example to example, as one that serves does."""


@given(st.lists(st.sampled_from(PARAMETERS), max_size=5).map("&".join))
def test_what_is_read_is_what_the_model_reads(text: str) -> None:
    raw = text.encode()
    try:
        query = read_query(ListQuery, raw)
    except Problem as problem:
        query, refused = None, problem.status
    if query is None:
        with contextlib.suppress(Problem):
            assert KNOWING.read(raw) is None
        assert refused == HTTPStatus.BAD_REQUEST
        return
    read = KNOWING.read(raw)
    if read is not None:
        assert query.as_of is None
        assert read == (query.to_index(query.scope(HOME), None), query.continue_)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "allNamespaces=true&architecture=arm64&limit=20",
        "namespace=other&tags=a,b&sort=size&order=asc&continue=abc",
        "q=" + quote("ä b"),
    ],
)
def test_what_people_ask_is_read_without_the_model_at_hand(text: str) -> None:
    parameters = JudgedParameters(namespace=HOME)
    assert parameters.read(text.encode()) == parameters.read(text.encode()) is not None


@pytest.mark.parametrize(
    "text",
    ["sort=name&sort=name", "order=asc&order=desc", "asOf=7d", "limit=5&&sort=name", "q=" + "a" * MAX_QUERY_BYTES],
)
def test_what_is_not_plain_is_left_to_the_model(text: str) -> None:
    assert JudgedParameters(namespace=HOME).read(text.encode()) is None


def test_strangers_do_not_fill_the_memory() -> None:
    parameters = JudgedParameters(namespace=HOME)
    for number in range(5000):
        read = parameters.read(f"q=number-{number}".encode())
        assert read is not None
        assert read[0].q == f"number-{number}"
    assert parameters.read(b"q=" + b"a" * 253) is not None
    assert len(parameters) <= 2048
