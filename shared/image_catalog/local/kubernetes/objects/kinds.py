"""What the built-in kinds do beyond storing: defaults, conversions, rules of their own."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from image_catalog.local.kubernetes.objects import crds, events
from image_catalog.local.kubernetes.objects.meta import label_rule, path_segment_rule, subdomain_rule
from image_catalog.local.kubernetes.resources import Resource
from image_catalog.local.kubernetes.status import Cause, bad_request, invalid_value, required
from image_catalog.local.kubernetes.storage.store import Body

__all__ = ["Strategy", "strategy_of"]


def _as_is(body: Body) -> Body:
    return body


def _no_causes(_body: Body, _old: Body | None) -> list[Cause]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How objects of one kind are prepared and judged.

    Attributes
    ----------
    prepare
        Turns what a client sent into what is stored.
    validate
        Finds what is wrong with it, given the stored object for an update.
    serve
        Turns what is stored into what this API version shows.
    name_rule
        Says what is wrong with a name.
    generation
        Whether changes of the specification are counted.
    create_on_update
        Whether a PUT to an absent name creates.
    unconditional_update
        Whether a PUT may leave out the resource version.
    answers_deleted
        Whether a deletion answers with the object instead of a Status.
    """

    prepare: Callable[[Body], Body] = _as_is
    validate: Callable[[Body, Body | None], list[Cause]] = _no_causes
    serve: Callable[[Body], Body] = _as_is
    name_rule: Callable[[str], str | None] = subdomain_rule
    generation: bool = False
    create_on_update: bool = False
    unconditional_update: bool = True
    answers_deleted: bool = False


def strategy_of(resource: Resource) -> Strategy:
    """Return the strategy of a kind."""
    return _CUSTOM if resource.custom else _BUILTIN[resource.group, resource.plural]


# Secrets and ConfigMaps

_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_SECRET_KEYS: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_JSON_KEYS = frozenset({".dockerconfigjson", ".dockercfg"})


def _prepare_secret(body: Body) -> Body:
    prepared = {"type": "Opaque", **body}
    for value in (prepared.get("data") or {}).values():
        try:
            base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError, TypeError) as e:
            told = 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
            raise bad_request(told) from e
    plain = prepared.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        prepared["data"] = {**(prepared.get("data") or {}), **encoded}
    return prepared


def _validate_secret(body: Body, old: Body | None) -> list[Cause]:
    kind, data = body["type"], body.get("data") or {}
    causes = _data_causes(data)
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data:
            causes.append(required(f"data[{key}]"))
        elif key in _JSON_KEYS and not _is_json(data[key]):
            causes.append(invalid_value(f"data[{key}]", '"<secret contents redacted>"', "must be a JSON document"))
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        causes += [required("data[username]"), required("data[password]")]
    if old is not None and old["type"] != kind:
        return [invalid_value("type", f'"{kind}"', "field is immutable")]
    return causes + _immutable_causes(body, old, ("data",))


def _is_json(encoded: str) -> bool:
    try:
        orjson.loads(base64.b64decode(encoded))
    except orjson.JSONDecodeError:
        return False
    return True


def _data_causes(data: Mapping[str, Any]) -> list[Cause]:
    told = (
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
        "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
    )
    return [invalid_value(f"data[{key}]", f'"{key}"', told) for key in data if not _DATA_KEY.fullmatch(key)]


def _immutable_causes(body: Body, old: Body | None, fields: tuple[str, ...]) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    told = "Forbidden: field is immutable when `immutable` is set"
    changed = [field for field in (*fields, "immutable") if body.get(field) != old.get(field)]
    return [Cause("FieldValueForbidden", told, field) for field in changed]


def _validate_config_map(body: Body, old: Body | None) -> list[Cause]:
    data, binary = body.get("data") or {}, body.get("binaryData") or {}
    doubled = [
        invalid_value(f"data[{key}]", f'"{key}"', "duplicate of key present in binaryData")
        for key in data
        if key in binary
    ]
    return _data_causes({**data, **binary}) + doubled + _immutable_causes(body, old, ("data", "binaryData"))


# Namespaces


def _prepare_namespace(body: Body) -> Body:
    metadata = body["metadata"]
    name = metadata.get("name", "")
    labels = {**metadata.get("labels", {}), "kubernetes.io/metadata.name": name}
    return {
        **body,
        "metadata": {**metadata, "labels": labels},
        "spec": body.get("spec") or {"finalizers": ["kubernetes"]},
        "status": body.get("status") or {"phase": "Active"},
    }


# Leases


def _validate_lease(body: Body, _old: Body | None) -> list[Cause]:
    duration = (body.get("spec") or {}).get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        return [invalid_value("spec.leaseDurationSeconds", str(duration), "must be greater than 0")]
    return []


# RBAC


def _prepare_role(body: Body) -> Body:
    return {**body, "rules": body.get("rules") or None}


def _validate_role(body: Body, _old: Body | None) -> list[Cause]:
    rules = enumerate(body.get("rules") or ())
    return [required(f"rules[{i}].verbs") for i, rule in rules if not rule.get("verbs")]


def _prepare_binding(body: Body) -> Body:
    prepared = dict(body)
    group = "rbac.authorization.k8s.io"
    prepared["roleRef"] = {"apiGroup": group, **(body.get("roleRef") or {})}
    if body.get("subjects"):
        prepared["subjects"] = [
            subject if subject.get("kind") == "ServiceAccount" else {"apiGroup": group, **subject}
            for subject in body["subjects"]
        ]
    return prepared


def _validate_binding(body: Body, old: Body | None) -> list[Cause]:
    reference = body["roleRef"]
    causes = [required(f"roleRef.{field}") for field in ("kind", "name") if not reference.get(field)]
    subjects = enumerate(body.get("subjects") or ())
    causes += [required(f"subjects[{i}].name") for i, subject in subjects if not subject.get("name")]
    if old is not None and old["roleRef"] != reference:
        causes.append(invalid_value("roleRef", orjson.dumps(reference).decode(), "cannot change roleRef"))
    return causes


# The table

_RBAC = "rbac.authorization.k8s.io"
_ROLE = Strategy(
    prepare=_prepare_role,
    validate=_validate_role,
    name_rule=path_segment_rule,
    create_on_update=True,
)
_BINDING = Strategy(
    prepare=_prepare_binding,
    validate=_validate_binding,
    name_rule=path_segment_rule,
    create_on_update=True,
)

_CUSTOM = Strategy(generation=True, unconditional_update=False)

_BUILTIN: Mapping[tuple[str, str], Strategy] = {
    ("", "namespaces"): Strategy(prepare=_prepare_namespace, name_rule=label_rule, answers_deleted=True),
    ("", "secrets"): Strategy(
        prepare=_prepare_secret,
        validate=_validate_secret,
    ),
    ("", "configmaps"): Strategy(validate=_validate_config_map),
    ("", "serviceaccounts"): Strategy(answers_deleted=True),
    ("", "events"): Strategy(
        prepare=events.prepare_core,
        validate=events.validate_core,
        name_rule=path_segment_rule,
        create_on_update=True,
    ),
    ("events.k8s.io", "events"): Strategy(
        prepare=events.to_core,
        validate=events.validate_new,
        serve=events.from_core,
        create_on_update=True,
    ),
    ("coordination.k8s.io", "leases"): Strategy(
        validate=_validate_lease, create_on_update=True, unconditional_update=False
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"): Strategy(
        prepare=crds.prepare_crd,
        validate=crds.validate_crd,
        generation=True,
        unconditional_update=False,
        answers_deleted=True,
    ),
    (_RBAC, "roles"): _ROLE,
    (_RBAC, "clusterroles"): _ROLE,
    (_RBAC, "rolebindings"): _BINDING,
    (_RBAC, "clusterrolebindings"): _BINDING,
}
