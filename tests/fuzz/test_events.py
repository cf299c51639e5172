"""Whatever is posted as an event, it is read or refused with every reason, and never for long."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from image_catalog.errors import InvalidEventError
from image_catalog.events.requests import read_payload
from image_catalog.events.types import EventType
from image_catalog.events.wire import RawEvent, parse_batch, parse_event
from image_catalog.testing.fuzzing import JSON, document, examples, mutated, refused, within
from image_catalog_functions.audit import main as audit
from image_catalog_functions.cleanup import main as cleanup
from image_catalog_functions.publish import main as publish
from image_catalog_functions.reverify import main as reverify
from image_catalog_functions.verify import main as verify

LIMIT = timedelta(milliseconds=500)

TRIGGERS = [trigger for module in (publish, verify, reverify, cleanup, audit) for trigger in module.TRIGGERS]
NAMES = st.sampled_from(["autosd", "team-a", "Team_A", "../x", "a" * 300, ""])
METADATA = mutated(
    {
        "name": NAMES,
        "namespace": NAMES,
        "uid": st.uuids().map(str),
        "generation": st.integers(),
        "labels": st.dictionaries(NAMES, NAMES),
        "annotations": st.dictionaries(NAMES, NAMES),
        "finalizers": st.lists(NAMES, max_size=3),
        "deletionTimestamp": st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
        "creationTimestamp": st.just("2025-02-30T00:00:00Z"),
    }
)
SPEC = mutated(
    {
        "registryUrl": st.sampled_from(["quay.io/acme/autosd:cs9", "https://quay.io/x", "quay.io/../x"]),
        "digest": st.sampled_from([f"sha256:{'a' * 64}", "sha256:A"]),
        "tags": st.lists(NAMES, max_size=3),
        "authSecretRef": mutated({"name": NAMES, "namespace": NAMES}),
        "verificationInterval": st.sampled_from(["1h", "9999999999999999999h", "-1s", "0.0000001ns"]),
        "metadata": mutated({"architecture": st.just("arm64"), "targets": st.lists(mutated({"name": NAMES}))}),
        "export": mutated({"container": st.just("quay.io/acme/autosd:cs9")}),
        "aib": mutated({"distro": NAMES, "target": NAMES, "mode": st.just("image")}),
    }
)
OBJECT = mutated(
    {
        "apiVersion": st.just("automotive.sdv.cloud.redhat.com/v1alpha1"),
        "kind": st.sampled_from(["CatalogImage", "ImageBuild"]),
        "metadata": METADATA,
        "spec": SPEC,
        "status": mutated({"phase": st.sampled_from(["Available", "Completed", "x"]), "conditions": JSON}),
    }
)
REQUEST = mutated(
    {
        "name": NAMES,
        "namespace": NAMES,
        "registryUrl": st.just("quay.io/acme/autosd:cs9"),
        "reference": st.just("quay.io/acme/autosd:cs9"),
        "reason": st.sampled_from(["due", "manual", "registryPush"]),
        "imageBuild": mutated({"name": NAMES, "namespace": NAMES}),
        "actor": NAMES,
        "deep": st.booleans(),
    }
)
DATA = OBJECT.map(document) | REQUEST.map(document) | JSON.map(document) | st.binary(max_size=80)

TYPES = st.sampled_from([*EventType, "dev.knative.apiserver.resource.update", "dev.knative.sources.ping", "x", ""])
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "ce-specversion": st.sampled_from(["1.0", "0.3", "2"]) | LATIN,
        "ce-id": LATIN,
        "ce-source": LATIN,
        "ce-type": TYPES | LATIN,
        "ce-time": st.sampled_from(["2025-02-30T00:00:00Z", "2025-01-01T00:00:00Z"]) | LATIN,
        "ce-kind": st.sampled_from(["CatalogImage", "ImageBuild"]),
        "ce-data": LATIN,
        "ce-datacontenttype": LATIN,
        "content-type": st.sampled_from(["application/json", "application/cloudevents+json", "text/plain"]) | LATIN,
        "traceparent": LATIN,
    },
)
STRUCTURED = mutated(
    {
        "specversion": st.just("1.0"),
        "id": NAMES,
        "source": NAMES,
        "type": TYPES,
        "time": NAMES,
        "datacontenttype": st.just("application/json"),
        "data": OBJECT | REQUEST,
        "data_base64": NAMES,
    }
)


def read(raw: RawEvent) -> None:
    """Read an event as every function would that could be given it."""
    for trigger in TRIGGERS:
        try:
            read_payload(trigger, raw)
        except InvalidEventError as e:
            refused(e)


@examples()
@given(HEADERS, DATA | STRUCTURED.map(document))
def test_an_event_is_read_or_refused(headers: dict[str, str], body: bytes) -> None:
    with within(LIMIT):
        try:
            raw = parse_event(headers, body)
        except InvalidEventError as e:
            refused(e)
            return
        read(raw)


@examples()
@given(DATA)
def test_the_data_of_an_event_is_read_or_refused(data: bytes) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/tests", "ce-type": "x"}
    with within(LIMIT):
        read(parse_event(headers | {"content-type": "application/json"}, data))


@examples()
@given(st.lists(STRUCTURED, max_size=3).map(document) | STRUCTURED.map(document) | st.binary(max_size=60))
def test_a_batch_is_read_event_by_event(body: bytes) -> None:
    with within(LIMIT):
        try:
            found = parse_batch(body, limit=3)
        except InvalidEventError:
            return
    for event in found:
        if isinstance(event, RawEvent):
            read(event)
