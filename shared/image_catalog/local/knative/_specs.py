"""The parts that several Knative kinds share: destinations, delivery, overrides."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from image_catalog.local.knative._fields import Fields
from image_catalog.local.knative.resources import Backoff, Delivery, Destination

__all__ = ["read_delivery", "read_destination", "read_extensions"]


def read_destination(spec: Fields, name: str, namespace: str, *, reference: bool = False) -> Destination:
    """Read a ``Destination``, or with `reference` a plain reference to a Service.

    Parameters
    ----------
    spec
        The object that holds the field.
    name
        The field.
    namespace
        Where a reference without a namespace points to.
    """
    destination = spec.child(name, required=True)
    ref = destination if reference else destination.child("ref")
    uri = "" if reference else destination.text("uri", "")
    kind = ref.text("kind", "")
    if kind:
        target = Destination(kind, ref.text("namespace", namespace), ref.text("name"), uri)
        if kind not in ("Service", "Broker"):
            ref.refuse("kind", f"the local stack sends to a Service or a Broker, not to a {kind}")
    else:
        target = Destination(uri=uri)
        if urlsplit(uri).scheme not in ("http", "https"):
            spec.refuse(name, "a ref or an absolute URL is needed")
    ref.skip("apiVersion")
    ref.finish()
    destination.skip("ref")
    destination.finish()
    return target


def read_delivery(spec: Fields, namespace: str) -> Delivery:
    """Read ``delivery``; an absent one means one attempt and no dead letter."""
    fields = spec.child("delivery")
    policy = fields.text("backoffPolicy", Backoff.EXPONENTIAL)
    if policy not in list(Backoff):
        fields.refuse("backoffPolicy", f"{policy!r} is neither linear nor exponential")
    timeout = fields.duration("timeout")
    if timeout == timedelta(0):
        fields.refuse("timeout", "more than no time is needed")
    # The header Retry-After counts only where a feature of Knative is on, and then no longer than this.
    fields.duration("retryAfterMax")
    delivery = Delivery(
        retry=fields.count("retry", 0),
        backoff=Backoff(policy),
        backoff_delay=fields.duration("backoffDelay") or timedelta(0),
        timeout=timeout,
        dead_letter_sink=(
            read_destination(fields, "deadLetterSink", namespace) if "deadLetterSink" in fields else None
        ),
    )
    fields.finish()
    return delivery


def read_extensions(spec: Fields) -> dict[str, str]:
    """Read ``ceOverrides.extensions``: attributes that a source adds to its events."""
    overrides = spec.child("ceOverrides")
    extensions = overrides.texts("extensions")
    overrides.finish()
    return extensions
