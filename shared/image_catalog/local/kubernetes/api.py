"""The API: from a request's target to an answer, verb by verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson
from starlette.responses import Response, StreamingResponse

from image_catalog.local.kubernetes.access.auth import User
from image_catalog.local.kubernetes.access.rbac import Attributes
from image_catalog.local.kubernetes.access.reviews import Reviews
from image_catalog.local.kubernetes.access.targets import Target
from image_catalog.local.kubernetes.left_out import left_out
from image_catalog.local.kubernetes.objects import patch
from image_catalog.local.kubernetes.objects.kinds import strategy_of
from image_catalog.local.kubernetes.objects.objects import Objects
from image_catalog.local.kubernetes.objects.shapes import DELETE_OPTIONS
from image_catalog.local.kubernetes.objects.writes import Write, bucket_of, check_shape
from image_catalog.local.kubernetes.resources import Resource
from image_catalog.local.kubernetes.status import StatusError, bad_request, status_body, unsupported_media_type
from image_catalog.local.kubernetes.storage.selectors import Selector, everything, field_selector, label_selector
from image_catalog.local.kubernetes.storage.store import Store, Stored
from image_catalog.local.kubernetes.storage.watch import ListQuery, Page, Watch, WatchQuery, list_objects
from image_catalog.local.kubernetes.wire.answers import Answers, include_object
from image_catalog.local.kubernetes.wire.negotiation import decode, media_type, negotiate
from image_catalog.local.kubernetes.wire.options import check_list_options, is_true, wants_watch

__all__ = ["Call", "KubernetesApi", "RequestHook"]

_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
_STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"


class RequestHook(Protocol):
    """Is told of every request about a resource, after it was answered."""

    def __call__(self, *, user: User, attributes: Attributes, status: int) -> None:
        """Take note of a request.

        Parameters
        ----------
        attributes
            Verb, group, resource, subresource, namespace and name, as RBAC sees them.
        status
            HTTP status code of the answer; for a watch, when it began.
        """


@dataclass(slots=True, kw_only=True)
class Call:
    """One request about a resource.

    Attributes
    ----------
    query
        The parameters of its query, the last one of each name.
    headers
        By names in lower case.
    body
        As it was sent, not decoded.
    write
        What it would write; the warnings of the answer are collected here.
    """

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    user: User
    resource: Resource
    target: Target
    body: bytes
    write: Write

    def decoded(self) -> Any:
        """Read the body."""
        return decode(self.body, self.headers.get("content-type", ""), self.resource.kind)


class KubernetesApi:
    """Answers requests about resources.

    Parameters
    ----------
    store, objects
        What is read, and what writes.
    reviews
        What answers questions about users and rights.
    clock
        Tells the time.
    streaming_lists
        Whether a watch may send what exists first, and say when that was all.
    """

    def __init__(
        self,
        *,
        store: Store,
        objects: Objects,
        reviews: Reviews,
        clock: Callable[[], datetime],
        streaming_lists: bool,
    ) -> None:
        self.store = store
        self.objects = objects
        self._reviews = reviews
        self._clock = clock
        self._streaming_lists = streaming_lists

    def answer(self, call: Call) -> Response:
        """Answer a request whose user has been allowed to make it.

        Raises
        ------
        StatusError
            For every answer that is not a success.
        """
        answers = Answers(
            resource=call.resource,
            rendering=negotiate(call.headers.get("accept", "")),
            include=include_object(call.query.get("includeObject", "")),
            shown=self.objects.shown,
            clock=self._clock,
        )
        if not call.resource.stored:
            return self._review(call, answers)
        if call.target.subresource is not None and not (
            call.target.subresource == "status" and call.resource.has_status
        ):
            return self._subresource(call, answers)
        if call.method in ("GET", "HEAD"):
            return self._read(call, answers)
        return self._write(call, answers)

    # Reads

    def _read(self, call: Call, answers: Answers) -> Response:
        if call.target.name is not None and not wants_watch(call.query):
            return answers.one(self.objects.get(call.write), 200)
        return self._collection(call, answers)

    def _collection(self, call: Call, answers: Answers) -> Response:
        bucket = self.store.bucket(bucket_of(call.resource))
        selector = _selector(call)
        query = call.query
        check_list_options(query, streaming_lists=self._streaming_lists)
        if not wants_watch(query):
            listed = ListQuery(
                namespace=call.target.namespace,
                selector=selector,
                limit=_integer(query, "limit"),
                continue_token=query.get("continue", ""),
                resource_version=query.get("resourceVersion", ""),
                match=query.get("resourceVersionMatch", ""),
            )
            return answers.page(list_objects(self.store, bucket, listed))
        seconds = _integer(query, "timeoutSeconds")
        initial = query.get("sendInitialEvents")
        watch = Watch(
            store=self.store,
            bucket=bucket,
            query=WatchQuery(
                namespace=call.target.namespace,
                selector=selector,
                resource_version=query.get("resourceVersion", ""),
                timeout=timedelta(seconds=seconds) if seconds else None,
                bookmarks=is_true(query.get("allowWatchBookmarks")),
                initial_events=None if initial is None else is_true(initial),
            ),
        )

        async def lines() -> Any:
            # Closed explicitly: a client that leaves must not leave its waiter in the bucket until the next collection.
            async with aclosing(watch.events()) as events, aclosing(answers.stream(events)) as stream:
                async for line in stream:
                    yield line

        return StreamingResponse(lines(), media_type="application/json")

    # Writes

    def _write(self, call: Call, answers: Answers) -> Response:
        named = call.target.name is not None
        match call.method:
            # The API server lets a POST name a custom resource in its path.
            case "POST" if not named or call.resource.custom:
                return answers.one(self.objects.create(call.write, call.decoded()), 201, call.write.warnings)
            case "PUT" if named:
                stored, created = self.objects.update(call.write, call.decoded())
                return answers.one(stored, 201 if created else 200, call.write.warnings)
            case "PATCH" if named:
                return self._patch(call, answers)
            case "DELETE":
                return self._delete(call, answers) if named else self._delete_collection(call, answers)
            case _:
                raise _not_allowed()

    def _patch(self, call: Call, answers: Answers) -> Response:
        kind = media_type(call.headers.get("content-type", ""))
        accepted = [_JSON_PATCH, _MERGE_PATCH, _APPLY_PATCH]
        if not call.resource.custom:
            accepted.insert(2, _STRATEGIC_PATCH)
        if kind not in accepted:
            raise unsupported_media_type(accepted)
        if kind == _APPLY_PATCH:
            raise left_out("server-side apply")
        document = _decode_patch(call.body)
        apply = {
            _JSON_PATCH: patch.apply_json_patch,
            _MERGE_PATCH: patch.apply_merge_patch,
            _STRATEGIC_PATCH: patch.apply_strategic_patch,
        }[kind]
        stored = self.objects.patch(call.write, lambda body: apply(body, document))
        return answers.one(stored, 200, call.write.warnings)

    def _delete(self, call: Call, answers: Answers) -> Response:
        stored, gone = self.objects.delete(call.write, _delete_options(call))
        if gone and not strategy_of(call.resource).answers_deleted:
            metadata = stored.body["metadata"]
            return answers.body(status_body(call.resource, metadata["name"], metadata["uid"]), 200)
        return answers.one(stored, 200)

    def _delete_collection(self, call: Call, answers: Answers) -> Response:
        if "deletecollection" not in call.resource.verbs:
            raise _not_allowed()
        selector, options = _selector(call), _delete_options(call)
        bucket = self.store.bucket(bucket_of(call.resource))
        chosen = [stored for stored in bucket.select(call.target.namespace) if selector(stored.body)]
        deleted: list[Stored] = []
        for stored in chosen:
            metadata = stored.body["metadata"]
            write = Write(
                resource=call.resource,
                namespace=metadata.get("namespace"),
                name=metadata["name"],
                dry_run=call.write.dry_run,
            )
            deleted.append(self.objects.delete(write, options)[0])
        return answers.page(Page(deleted, self.store.revision))

    # What is not stored

    def _review(self, call: Call, answers: Answers) -> Response:
        if call.method != "POST" or call.target.name is not None:
            raise _not_allowed()
        namespace = call.target.namespace or ""
        return answers.body(self._reviews.answer(call.resource, call.user, namespace, call.decoded()), 201)

    def _subresource(self, call: Call, answers: Answers) -> Response:
        if call.target.subresource == "finalize" and call.resource.plural == "namespaces":
            raise left_out("namespace finalize")
        if call.target.subresource != "token" or call.method != "POST":
            raise StatusError(404, "NotFound", "the server could not find the requested resource", {})
        account = self.objects.get(call.write)
        return answers.body(self._reviews.issue_token(account, call.decoded()), 201)


def _selector(call: Call) -> Selector:
    """Combine the label and field selectors of a request."""
    wanted, name = call.query, call.target.name
    labels = label_selector(text) if (text := wanted.get("labelSelector")) else everything
    fields: Selector = everything
    if text := wanted.get("fieldSelector"):
        fields = field_selector(text, frozenset(call.resource.selectable_fields))
    if name is not None:
        named = field_selector(f"metadata.name={name}", frozenset())
        return lambda body: named(body) and labels(body) and fields(body)
    if labels is everything:
        return fields
    if fields is everything:
        return labels
    return lambda body: labels(body) and fields(body)


def _integer(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    try:
        return int(text or 0)
    except ValueError as e:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax ({name})') from e


def _decode_patch(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as e:
        raise bad_request(f"error decoding patch: {e}") from e


def _delete_options(call: Call) -> Mapping[str, Any]:
    """Read the DeleteOptions, which come in the body, in the query, or not at all."""
    options: dict[str, Any] = {}
    if call.body.strip():
        sent = decode(call.body, call.headers.get("content-type", ""), "DeleteOptions")
        options = {name: value for name, value in sent.items() if value is not None}
        check_shape("DeleteOptions", "v1", options, DELETE_OPTIONS)
    if "propagationPolicy" in call.query:
        options["propagationPolicy"] = call.query["propagationPolicy"]
    if options.get("dryRun") == ["All"]:
        call.write.dry_run = True
    return options


def _not_allowed() -> StatusError:
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
