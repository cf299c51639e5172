"""Object metadata: what the server fills in, what it keeps, and what it refuses.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import Any
from uuid import UUID

import orjson

from image_catalog.local.kubernetes.objects.shapes import METADATA, misfit
from image_catalog.local.kubernetes.status import Cause, bad_request, forbidden_field, invalid_value, required
from image_catalog.local.kubernetes.storage.store import Body

__all__ = [
    "finalizer_warnings",
    "generated_name",
    "kept_metadata",
    "label_rule",
    "new_metadata",
    "path_segment_rule",
    "pruned_metadata",
    "subdomain_rule",
    "timestamp",
    "validate_metadata",
    "validate_update",
]

_SERVER_OWNED = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "resourceVersion",
    "uid",
)
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_MAX_GENERATED = 63
_MAX_NAME = 253
_MAX_LABEL = 63
_ANNOTATIONS_LIMIT = 256 * 1024

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LABEL_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

_SUBDOMAIN_TOLD = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_DNS_LABEL_TOLD = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_VALUE_TOLD = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_LABEL_NAME_TOLD = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_TEXTS = ("labels", "annotations")


def timestamp(moment: datetime) -> str:
    """Write a moment as the API server does: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pruned_metadata(metadata: Any, unknown: list[str]) -> Body:
    """Copy the metadata that a client sent, without what is unknown, null or empty.

    Parameters
    ----------
    unknown
        Gets the paths of the fields that were dropped.

    Raises
    ------
    StatusError
        400 when a field has a wrong type.
    """
    if metadata is None:
        return {}
    path = misfit(metadata, METADATA)
    if path is not None:
        raise bad_request(f"json: cannot unmarshal the value of metadata{path and '.'}{path}, which has another type")
    unknown.extend(f"metadata.{name}" for name in metadata if name not in METADATA)
    kept = {
        name: value
        for name, value in metadata.items()
        if name in METADATA and name not in ("managedFields", "selfLink") and value not in (None, "", {}, [])
    }
    # Go reads a null as the empty text where a map has texts.
    texts = {name: {key: text or "" for key, text in kept[name].items()} for name in _TEXTS if name in kept}
    return kept | texts


def new_metadata(metadata: Body, *, namespace: str | None, generation: bool, now: datetime, random: Random) -> Body:
    """Fill in what the server decides about a new object.

    Parameters
    ----------
    metadata
        As `pruned_metadata` gave it.
    namespace
        None for cluster-scoped kinds.
    generation
        Whether the kind counts generations.
    """
    made = {name: value for name, value in metadata.items() if name not in _SERVER_OWNED}
    if "name" not in made and "generateName" in made:
        made["name"] = generated_name(made["generateName"], random)
    if namespace is not None:
        made["namespace"] = namespace
    else:
        made.pop("namespace", None)
    made["uid"] = str(UUID(int=random.getrandbits(128), version=4))
    made["creationTimestamp"] = timestamp(now)
    if generation:
        made["generation"] = 1
    return made


def generated_name(prefix: str, random: Random) -> str:
    """Make a name from ``generateName``."""
    stem = prefix[: _MAX_GENERATED - _SUFFIX_LENGTH]
    return stem + "".join(random.choices(_SUFFIX_ALPHABET, k=_SUFFIX_LENGTH))


def kept_metadata(new: Body, old: Body) -> Body:
    """Take what only the server may change from the stored metadata."""
    kept = {name: value for name, value in new.items() if name not in _SERVER_OWNED}
    kept.update((name, old[name]) for name in (*_SERVER_OWNED, "managedFields") if name in old)
    for name in ("name", "namespace", "generateName"):
        if name in old:
            kept[name] = old[name]
    return kept


def validate_metadata(metadata: Body, *, name_rule: Callable[[str], str | None]) -> list[Cause]:
    """Find what is wrong with the metadata of an object.

    Parameters
    ----------
    name_rule
        The kind's rule for names, see `subdomain_rule` and its siblings.
    """
    causes: list[Cause] = []
    # A generated name that is wrong is told about its prefix, whose trailing dash is masked by the suffix.
    if "generateName" in metadata:
        prefix = metadata["generateName"]
        masked = prefix[:-1] + "a" if prefix.endswith("-") else prefix
        if (told := name_rule(masked)) is not None:
            causes.append(invalid_value("metadata.generateName", _quoted(prefix), told))
    name = metadata.get("name", "")
    if not name:
        causes.append(required("metadata.name", "name or generateName is required"))
    elif not causes and (told := name_rule(name)) is not None:
        causes.append(invalid_value("metadata.name", _quoted(name), told))
    causes += _label_causes(metadata.get("labels", {}))
    for key in metadata.get("annotations", {}):
        causes += _key_causes(key.lower(), key, "metadata.annotations")
    size = sum(len(key) + len(value) for key, value in metadata.get("annotations", {}).items())
    if size > _ANNOTATIONS_LIMIT:
        told = f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes"
        causes.append(Cause("FieldValueTooLong", told, "metadata.annotations"))
    causes += _owner_causes(metadata.get("ownerReferences", []))
    return causes


def _label_causes(labels: Mapping[str, str]) -> list[Cause]:
    causes: list[Cause] = []
    for key, value in labels.items():
        causes += _key_causes(key, key, "metadata.labels")
        if len(value) > _MAX_LABEL:
            told = f"must be no more than {_MAX_LABEL} characters"
            causes.append(invalid_value("metadata.labels", _quoted(value), told))
        if not _LABEL_VALUE.fullmatch(value):
            causes.append(invalid_value("metadata.labels", _quoted(value), _LABEL_VALUE_TOLD))
    return causes


@lru_cache(maxsize=1024)
def _key_causes(key: str, shown: str, field: str) -> Sequence[Cause]:
    prefix, slash, name = key.rpartition("/")
    causes = []
    if slash and (len(prefix) > _MAX_NAME or not _SUBDOMAIN.fullmatch(prefix)):
        causes.append(invalid_value(field, _quoted(shown), f"prefix part {_SUBDOMAIN_TOLD}"))
    if not name:
        causes.append(invalid_value(field, _quoted(shown), "name part must be non-empty"))
    if len(name) > _MAX_LABEL:
        causes.append(invalid_value(field, _quoted(shown), f"name part must be no more than {_MAX_LABEL} characters"))
    elif not _LABEL_NAME.fullmatch(name):
        causes.append(invalid_value(field, _quoted(shown), _LABEL_NAME_TOLD))
    return tuple(causes)


def _owner_causes(owners: list[Any]) -> list[Cause]:
    return [
        required(f"metadata.ownerReferences[{i}].{field}", f"{field} must not be empty")
        for i, owner in enumerate(owners)
        for field in ("apiVersion", "kind", "name", "uid")
        if not owner.get(field)
    ]


def validate_update(new: Body, old: Body, sent: Body, *, custom: bool) -> list[Cause]:
    """Find what an update may not do to the metadata.

    Parameters
    ----------
    new, old
        The metadata after and before.
    sent
        The metadata as the client sent it, with the uid that it expects.
    custom
        Whether it is a custom resource's, for which the API server tells of a
        new finalizer twice.
    """
    causes = []
    if "deletionTimestamp" in old:
        added = [name for name in new.get("finalizers", []) if name not in old.get("finalizers", [])]
        if added:
            listed = ", ".join(_quoted(name) for name in added)
            told = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}"
            )
            causes += [forbidden_field("metadata.finalizers", told)] * (2 if custom else 1)
    if sent.get("uid", old["uid"]) != old["uid"]:
        causes.append(invalid_value("metadata.uid", _quoted(sent["uid"]), "field is immutable"))
    return causes


def finalizer_warnings(metadata: Body) -> list[str]:
    """Warn of finalizers without a domain, as the API server does for custom resources."""
    told = "prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
    return [
        f"metadata.finalizers: {_quoted(name)}: {told}" for name in metadata.get("finalizers", []) if "/" not in name
    ]


def subdomain_rule(name: str) -> str | None:
    """Say what is wrong with a name that must be an RFC 1123 subdomain."""
    if len(name) > _MAX_NAME:
        return f"must be no more than {_MAX_NAME} characters"
    return None if _SUBDOMAIN.fullmatch(name) else _SUBDOMAIN_TOLD


def label_rule(name: str) -> str | None:
    """Say what is wrong with a name that must be an RFC 1123 label."""
    if len(name) > _MAX_LABEL:
        return f"must be no more than {_MAX_LABEL} characters"
    return None if _DNS_LABEL.fullmatch(name) else _DNS_LABEL_TOLD


def path_segment_rule(name: str) -> str | None:
    """Say what is wrong with a name that must fit into a path, as those of RBAC objects and events."""
    if name in (".", ".."):
        return f"may not be '{name}'"
    return next((f"may not contain '{mark}'" for mark in "/%" if mark in name), None)


def _quoted(value: Any) -> str:
    return orjson.dumps(value).decode()
