"""Writes: the way of an object from a client's body into the store.

The order of the steps is that of the API server: read the body, compare it
with the request, fill in, prune and default, judge, compare versions, store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

from image_catalog.local.kubernetes.objects.crds import CRD_CLEANUP, CRDS, terminating
from image_catalog.local.kubernetes.objects.kinds import Strategy, strategy_of
from image_catalog.local.kubernetes.objects.managers import managed
from image_catalog.local.kubernetes.objects.meta import (
    finalizer_warnings,
    kept_metadata,
    new_metadata,
    pruned_metadata,
    timestamp,
    validate_metadata,
    validate_update,
)
from image_catalog.local.kubernetes.objects.shapes import SHAPES
from image_catalog.local.kubernetes.objects.writes import (
    ENVELOPE,
    Write,
    bucket_of,
    check_place,
    check_preconditions,
    check_shape,
    opened,
    tell_unknown,
    wrong_name,
)
from image_catalog.local.kubernetes.resources import Resource
from image_catalog.local.kubernetes.schemas.structural import ABSENT, Schema, same, stored_schema
from image_catalog.local.kubernetes.status import (
    Cause,
    StatusError,
    already_exists,
    conflict,
    details_of,
    internal_error,
    invalid,
    invalid_value,
    not_found,
)
from image_catalog.local.kubernetes.storage.store import Body, Key, Store, Stored, with_revision

__all__ = ["Objects"]

_NAMESPACES = ("", "namespaces")
_GENERATED_NAME_TRIES = 8


class Objects:
    """Creates, updates and deletes objects.

    Parameters
    ----------
    store
        Where they are kept.
    clock
        Tells the time of creations and deletions.
    random
        Source of uids and generated names.
    """

    def __init__(self, *, store: Store, clock: Callable[[], datetime], random: Random) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._schemas: dict[tuple[str, str, str], tuple[Any, Schema | None]] = {}

    def get(self, write: Write) -> Stored:
        """Read an object.

        Raises
        ------
        StatusError
            404 when there is none.
        """
        stored = self._store.bucket(bucket_of(write.resource)).get(write.key)
        if stored is None:
            raise not_found(write.resource, write.name or "")
        return stored

    def create(self, write: Write, body: Any) -> Stored:
        """Create an object.

        Parameters
        ----------
        body
            As the client sent it, decoded.

        Raises
        ------
        StatusError
            400, 404, 409 or 422, as the API server answers.
        """
        resource, strategy = write.resource, strategy_of(write.resource)
        body = opened(write, body)
        unknown: list[str] = []
        sent = pruned_metadata(body.get("metadata"), unknown)
        check_place(write, sent)
        self._check_namespace(write, str(sent.get("name", "")))
        if sent.get("resourceVersion"):
            raise internal_error("resourceVersion should not be set on objects to be created")
        for _ in range(_GENERATED_NAME_TRIES):
            metadata = new_metadata(
                sent,
                namespace=write.namespace,
                generation=strategy.generation,
                now=self._clock(),
                random=self._random,
            )
            key = (write.namespace or "", metadata.get("name", ""))
            taken = self._store.bucket(bucket_of(resource)).get(key)
            if taken is None or "name" in sent:
                break
        prepared = self._prepare(write, strategy, {**body, "metadata": metadata}, unknown)
        if resource.custom and resource.has_status:
            prepared.pop("status", None)
        causes = self._judge(write, strategy, prepared, None)
        if causes:
            raise self._invalid(write, metadata.get("name", ""), causes)
        if resource.custom:
            write.warnings += finalizer_warnings(metadata)
        if taken is not None:
            raise already_exists(resource, key[1], terminating="deletionTimestamp" in taken.body["metadata"])
        return self._put(write, key, self._managed(write, None, prepared))

    def update(self, write: Write, body: Any) -> tuple[Stored, bool]:
        """Replace an object (PUT).

        Returns
        -------
        tuple
            The object after the update, and whether the update created it.
        """
        strategy = strategy_of(write.resource)
        body = opened(write, body)
        stored = self._store.bucket(bucket_of(write.resource)).get(write.key)
        sent = pruned_metadata(body.get("metadata"), [])
        if sent.get("name", write.name) != write.name:
            raise wrong_name(write, str(sent.get("name")))
        if stored is None:
            if strategy.create_on_update and write.subresource is None:
                fresh = {name: value for name, value in sent.items() if name not in ("resourceVersion", "uid")}
                return self.create(write, {**body, "metadata": {"name": write.name, **fresh}}), True
            raise not_found(write.resource, write.name or "")
        if not sent.get("resourceVersion") and not strategy.unconditional_update:
            cause = invalid_value("metadata.resourceVersion", "0", "must be specified for an update")
            raise invalid(write.resource, write.name or "", [cause], kind=write.resource.plural)
        uid = stored.body["metadata"]["uid"]
        if sent.get("uid", uid) != uid:
            told = f"Precondition failed: UID in precondition: {sent['uid']}, UID in object meta: {uid}"
            raise conflict(write.resource, write.name or "", told)
        return self._replace(write, strategy, stored, body), False

    def patch(self, write: Write, apply: Callable[[Body], Any]) -> Stored:
        """Change an object by a patch.

        Parameters
        ----------
        apply
            Computes the new object from the stored one, without changing that.
        """
        strategy = strategy_of(write.resource)
        stored = self.get(write)
        patched = apply(self.shown(write.resource, stored).body)
        return self._replace(write, strategy, stored, opened(write, patched))

    def delete(self, write: Write, options: Mapping[str, Any]) -> tuple[Stored, bool]:
        """Delete an object, or mark it when finalizers keep it.

        Parameters
        ----------
        options
            The ``DeleteOptions``: preconditions and propagation policy.

        Returns
        -------
        tuple
            The object in its last state, and whether it is gone.
        """
        stored = self.get(write)
        check_preconditions(write, stored, options.get("preconditions") or {})
        metadata = stored.body["metadata"]
        finalizers = list(metadata.get("finalizers", []))
        policy = options.get("propagationPolicy")
        if "deletionTimestamp" not in metadata:
            extra = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}.get(policy or "")
            if extra is not None and extra not in finalizers:
                finalizers.append(extra)
            if bucket_of(write.resource) == CRDS and CRD_CLEANUP not in finalizers:
                finalizers.append(CRD_CLEANUP)
        kept = bool(finalizers) or bucket_of(write.resource) == _NAMESPACES
        if not kept:
            if not write.dry_run:
                self._store.remove(bucket_of(write.resource), write.key)
            return stored, True
        if "deletionTimestamp" in metadata:
            return stored, False
        return self._put(write, write.key, self._marked(write, stored.body, finalizers)), False

    def shown(self, resource: Resource, stored: Stored) -> Stored:
        """Show a stored object in the version that was asked for."""
        if stored.body["apiVersion"] == resource.api_version:
            return stored
        strategy = strategy_of(resource)
        return Stored({**strategy.serve(stored.body), "apiVersion": resource.api_version}, stored.revision)

    # Steps

    def _check_namespace(self, write: Write, name: str) -> None:
        if write.namespace is None:
            return
        namespace = self._store.bucket(_NAMESPACES).get(("", write.namespace))
        if namespace is None:
            absent = {"name": write.namespace, "kind": "namespaces"}
            raise StatusError(404, "NotFound", f'namespaces "{write.namespace}" not found', absent)
        if "deletionTimestamp" in namespace.body["metadata"]:
            told = f"unable to create new content in namespace {write.namespace} because it is being terminated"
            details = details_of(write.resource, name)
            cause = f"namespace {write.namespace} is being terminated"
            details["causes"] = [{"reason": "NamespaceTerminating", "message": cause, "field": "metadata.namespace"}]
            raise StatusError(
                403, "Forbidden", f'{write.resource.group_resource} "{name}" is forbidden: {told}', details
            )

    def _prepare(self, write: Write, strategy: Strategy, body: Body, unknown: list[str]) -> Body:
        """Prune, default and convert; unknown fields are warned of or refused."""
        schema = self._schema(write.resource)
        if schema is not None:
            body, found = schema.normalise(body)
            unknown += found
        else:
            shape = SHAPES[write.resource.group_resource]
            unknown += [name for name in body if name not in shape and name not in ENVELOPE]
            body = {name: value for name, value in body.items() if name not in unknown and value is not None}
            check_shape(write.resource.kind, write.resource.version, body, shape)
        tell_unknown(write, sorted(unknown))
        return strategy.prepare(body)

    def _schema(self, resource: Resource) -> Schema | None:
        identity = (resource.group, resource.version, resource.plural)
        known = self._schemas.get(identity)
        if known is None or known[0] is not resource.schema:
            known = self._schemas[identity] = (resource.schema, stored_schema(resource.schema))
        return known[1]

    def _judge(self, write: Write, strategy: Strategy, body: Body, old: Body | None) -> list[Cause]:
        causes = validate_metadata(body["metadata"], name_rule=strategy.name_rule)
        causes += strategy.validate(body, old)
        schema = self._schema(write.resource)
        if schema is not None:
            causes = schema.validate(body, ABSENT if old is None else old, causes=causes)
        return causes

    def _replace(self, write: Write, strategy: Strategy, stored: Stored, body: Body) -> Stored:
        """Put `body` in the place of a stored object, by PUT or by patch."""
        resource, old = write.resource, stored.body
        unknown: list[str] = []
        sent = pruned_metadata(body.get("metadata"), unknown)
        check_place(write, sent)
        if sent.get("resourceVersion", old["metadata"]["resourceVersion"]) != old["metadata"]["resourceVersion"]:
            raise conflict(resource, write.name or "")
        causes: list[Cause] = []
        if write.subresource == "status":
            # Only the status is taken; labels, spec and a wrong uid in the body are ignored.
            body = {**self.shown(resource, stored).body, "status": body.get("status")}
            metadata = old["metadata"]
        else:
            metadata = kept_metadata(sent, old["metadata"])
            causes = validate_update(metadata, old["metadata"], sent, custom=resource.custom)
            if resource.has_status:
                body = {**body, "status": old.get("status")}
        if body.get("status", ABSENT) is None:
            body.pop("status", None)
        prepared = self._prepare(write, strategy, {**body, "metadata": metadata}, unknown)
        if strategy.generation and self._spec_changed(resource, prepared, old):
            prepared["metadata"] = {**metadata, "generation": metadata["generation"] + 1}
        causes += self._judge(write, strategy, prepared, old)
        if causes:
            raise self._invalid(write, write.name or "", causes)
        if same(prepared, old):
            return stored
        return self._finish(write, self._managed(write, old, prepared))

    def _invalid(self, write: Write, name: str, causes: list[Cause]) -> StatusError:
        # An event is told about as the core kind that it is stored as.
        return invalid(replace(write.resource, group=bucket_of(write.resource)[0]), name, causes)

    def _spec_changed(self, resource: Resource, new: Body, old: Body) -> bool:
        aside = {"metadata", "apiVersion"} | ({"status"} if resource.has_status else set())
        names = (new.keys() | old.keys()) - aside
        return any(not same(new.get(name), old.get(name)) for name in names)

    def _finish(self, write: Write, body: Body) -> Stored:
        """Store an update, or delete the object when its last finalizer went."""
        metadata = body["metadata"]
        namespace = bucket_of(write.resource) == _NAMESPACES
        if "deletionTimestamp" not in metadata or metadata.get("finalizers") or namespace:
            return self._put(write, write.key, body)
        if write.dry_run:
            return Stored(body, int(metadata["resourceVersion"]))
        last = self._store.remove(bucket_of(write.resource), write.key)
        revision = self._store.revision if last is None else last.revision
        return Stored(with_revision(body, revision), revision)

    def _managed(self, write: Write, before: Body | None, after: Body) -> Body:
        return managed(write, before, after, now=self._clock()) if write.resource.custom else after

    def _put(self, write: Write, key: Key, body: Body) -> Stored:
        if write.dry_run:
            return Stored(body, self._store.revision)
        return self._store.put(bucket_of(write.resource), key, body)

    def _marked(self, write: Write, body: Body, finalizers: list[str]) -> Body:
        """Mark an object as being deleted."""
        now = self._clock()
        metadata = {**body["metadata"], "deletionTimestamp": timestamp(now)}
        if finalizers:
            metadata["finalizers"] = finalizers
        marked = {**body, "metadata": metadata}
        if bucket_of(write.resource) == _NAMESPACES:
            return {**marked, "status": {**body.get("status", {}), "phase": "Terminating"}}
        if bucket_of(write.resource) == CRDS:
            return terminating(marked, now)
        metadata["deletionGracePeriodSeconds"] = 0
        if "generation" in metadata:
            metadata["generation"] += 1
        return marked
