"""Reading the rendered manifests that ``kubectl apply -k`` would deploy.

What the local stack does not understand it refuses, by document and field;
what belongs to the cluster alone (pods, RBAC, limits) it leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from image_catalog.errors import InvalidObjectError
from image_catalog.local.knative._fields import Fields
from image_catalog.local.knative._sources import read_api_server_source, read_ping_source
from image_catalog.local.knative._specs import read_delivery, read_destination, read_extensions
from image_catalog.local.knative.filters import Filter, read_filters, read_legacy_filter
from image_catalog.local.knative.resources import Broker, Delivery, Manifests, Service, SinkBinding, Trigger

__all__ = ["read_manifests"]

_Reader = Callable[[Fields, str, str], Any]


def read_manifests(rendered: str | Sequence[Mapping[str, Any]]) -> Manifests:
    """Read a rendered overlay.

    Parameters
    ----------
    rendered
        YAML of any number of documents, or the documents.

    Raises
    ------
    InvalidObjectError
        Raised if the text is no YAML, or a Knative resource holds something
        that the local stack does not understand; the message names the
        document and the field.
    """
    documents = _load(rendered) if isinstance(rendered, str) else rendered
    found: dict[str, list[Any]] = {}
    for number, document in enumerate(documents, start=1):
        _read_document(number, document, found)
    brokers = tuple(found.get("Broker", ()))
    return Manifests(
        brokers=brokers,
        triggers=tuple(_inherit(trigger, brokers) for trigger in found.get("Trigger", ())),
        api_server_sources=tuple(found.get("ApiServerSource", ())),
        ping_sources=tuple(found.get("PingSource", ())),
        services=tuple(found.get("Service", ())),
        sink_bindings=tuple(found.get("SinkBinding", ())),
    )


def _load(text: str) -> list[Any]:
    # libyaml is ten times as fast where it is there, and a rendered overlay holds whole CRDs.
    loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return [document for document in yaml.load_all(text, loader) if document is not None]
    except yaml.YAMLError as e:
        raise InvalidObjectError(f"the manifest is no YAML: {e}") from e


def _read_document(number: int, document: Any, found: dict[str, list[Any]]) -> None:
    if not isinstance(document, dict):
        raise InvalidObjectError(f"document {number} of the manifest is no object")
    fields = Fields(f"document {number}", document)
    api_version, kind = fields.text("apiVersion"), fields.text("kind")
    group = api_version.rpartition("/")[0]
    if group != "knative.dev" and not group.endswith(".knative.dev"):
        return
    metadata = fields.child("metadata", required=True)
    namespace, name = metadata.text("namespace", "default"), metadata.text("name")
    fields = Fields(f"{kind} {namespace}/{name}", document)
    fields.skip("apiVersion", "kind", "metadata", "status")
    reader = _READERS.get((api_version, kind))
    if reader is None:
        fields.refuse("kind", f"the local stack does not know {api_version} {kind}")
    found.setdefault(kind, []).append(reader(fields, namespace, name))
    fields.finish()


def _inherit(trigger: Trigger, brokers: tuple[Broker, ...]) -> Trigger:
    """Give a Trigger its Broker's delivery as Knative does.

    A delivery of its own replaces the Broker's as a whole, but for the dead-letter sink.
    """
    own = trigger.delivery
    broker = next((b for b in brokers if (b.namespace, b.name) == (trigger.namespace, trigger.broker)), None)
    inherited = broker.delivery if broker else None
    if inherited is None:
        return trigger
    if own == Delivery():
        return replace(trigger, delivery=inherited)
    if own.dead_letter_sink is None:
        return replace(trigger, delivery=replace(own, dead_letter_sink=inherited.dead_letter_sink))
    return trigger


def _read_broker(fields: Fields, namespace: str, name: str) -> Broker:
    spec = fields.child("spec")
    # Which channel or Kafka topic carries the events is the cluster's business.
    spec.skip("config")
    delivery = read_delivery(spec, namespace) if "delivery" in spec else None
    spec.finish()
    return Broker(namespace, name, delivery)


def _read_trigger(fields: Fields, namespace: str, name: str) -> Trigger:
    spec = fields.child("spec", required=True)
    trigger = Trigger(
        namespace=namespace,
        name=name,
        broker=spec.text("broker"),
        subscriber=read_destination(spec, "subscriber", namespace),
        accepts=_read_filter(spec),
        delivery=read_delivery(spec, namespace),
    )
    spec.finish()
    return trigger


def _read_filter(spec: Fields) -> Filter:
    legacy = spec.child("filter")
    attributes = legacy.texts("attributes")
    legacy.finish()
    entries = spec.value("filters")
    # `filters` wins over `filter`, and an empty list counts as none.
    if not entries:
        return read_legacy_filter(attributes)
    if not isinstance(entries, list):
        spec.refuse("filters", "a list is needed")
    try:
        return read_filters(entries)
    except ValueError as e:
        spec.refuse("filters", str(e))


def _read_service(fields: Fields, namespace: str, name: str) -> Service:
    template = fields.child("spec", required=True).child("template", required=True)
    annotations = template.child("metadata").texts("annotations")
    containers = list(template.child("spec", required=True).children("containers"))
    env: dict[str, str] = {}
    command: tuple[str, ...] = ()
    for container in containers[:1]:
        command = container.words("command") + container.words("args")
        for variable in container.children("env"):
            if "valueFrom" not in variable:
                env[variable.text("name")] = variable.text("value", "")
    return Service(namespace, name, env, annotations, command)


def _read_sink_binding(fields: Fields, namespace: str, name: str) -> SinkBinding:
    spec = fields.child("spec", required=True)
    binding = SinkBinding(
        namespace=namespace,
        name=name,
        subject=read_destination(spec, "subject", namespace, reference=True),
        sink=read_destination(spec, "sink", namespace),
        extensions=read_extensions(spec),
    )
    spec.finish()
    return binding


_READERS: Mapping[tuple[str, str], _Reader] = {
    ("eventing.knative.dev/v1", "Broker"): _read_broker,
    ("eventing.knative.dev/v1", "Trigger"): _read_trigger,
    ("serving.knative.dev/v1", "Service"): _read_service,
    ("sources.knative.dev/v1", "ApiServerSource"): read_api_server_source,
    ("sources.knative.dev/v1", "PingSource"): read_ping_source,
    ("sources.knative.dev/v1", "SinkBinding"): _read_sink_binding,
}
