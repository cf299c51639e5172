"""The verbs of the Kubernetes API, over any kind of object."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from image_catalog.cluster._failures import Operation, failure, read_object
from image_catalog.cluster._kinds import ResourceKind
from image_catalog.cluster._lists import PAGE_SIZE, TABLE_ACCEPT, Page, TableRow, list_bodies, read_page, read_rows
from image_catalog.cluster._requests import Requests
from image_catalog.cluster._transport import JSON, MERGE_PATCH, Transport
from image_catalog.cluster._watch import Watch
from image_catalog.cluster._watch_items import WatchItem
from image_catalog.errors import InvalidObjectError, WriteConflictError

__all__ = ["KubernetesAPI"]


class KubernetesAPI:
    """Speaks to the API server for everything in this package.

    Parameters
    ----------
    transport
        Carries the requests; closed by `close`.
    timeout
        Upper limit for one request.
    page_size
        How many objects a page of a list holds.
    rng
        Spreads waiting times, so that many processes do not come back at once.

    Attributes
    ----------
    rng
        The same, for those who write through this and come back after a conflict.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        timeout: timedelta = timedelta(seconds=10),
        page_size: int = PAGE_SIZE,
        rng: random.Random | None = None,
    ) -> None:
        self._transport = transport
        self._page_size = page_size
        self.rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._requests = Requests(transport=transport, timeout=timeout, rng=self.rng)

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.close()

    async def get(self, kind: ResourceKind, name: str, namespace: str | None = None) -> JSON | None:
        """Read one object; `None` when it is absent.

        Raises
        ------
        ForbiddenError
            When this process may not read it.
        ClusterUnavailableError
            When the API server does not answer.
        """
        operation = Operation("get", kind, namespace, name)
        return await self._requests.for_object(operation, "GET")

    async def create(
        self,
        kind: ResourceKind,
        body: Mapping[str, Any],
        namespace: str | None = None,
        *,
        subresource: str | None = None,
    ) -> JSON:
        """Create an object and return it as the API server keeps it.

        Parameters
        ----------
        kind
            The kind of object.
        body
            The object; ``apiVersion`` and ``kind`` are filled in.
        namespace
            Where to create it; `None` for a cluster-scoped kind.
        subresource
            ``token`` asks for a token of the ServiceAccount that the body's metadata names.

        Raises
        ------
        AlreadyExistsError
            When an object of that name is there.
        InvalidObjectError
            When the API server refuses the object, or the namespace is absent.
        ForbiddenError
            When this process may not create it, or the namespace is being deleted.
        ClusterUnavailableError
            When no answer came; the object may have been created.
        """
        name = (body.get("metadata") or {}).get("name")
        operation = Operation("create", kind, namespace, name, subresource)
        path = kind.path(namespace=namespace, name=name if subresource else None, subresource=subresource)
        whole = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        response = await self._requests.send(operation, "POST", path, body=whole)
        if not response.is_success:
            raise failure(response, operation)
        return read_object(response, operation)

    async def patch(
        self,
        kind: ResourceKind,
        name: str,
        namespace: str | None,
        patch: Mapping[str, Any],
        *,
        resource_version: str | None = None,
        uid: str | None = None,
        subresource: str | None = None,
    ) -> JSON | None:
        """Send a merge patch (RFC 7386); `None` when the object is absent.

        Parameters
        ----------
        kind
            The kind of object.
        name
            The object's name.
        namespace
            The object's namespace; `None` for a cluster-scoped kind.
        patch
            What changes; a value of `None` removes the field, a list replaces the list.
        resource_version
            The version that the change was decided on. An object that has moved on is a conflict.
        uid
            The object that the change is meant for. Works on the main resource only:
            the API server ignores a wrong uid in a status patch.
        subresource
            ``status`` writes the status alone.

        Raises
        ------
        WriteConflictError
            When a precondition does not hold.
        InvalidObjectError
            When the API server refuses the result.
        ForbiddenError
            When this process may not patch it.
        ClusterUnavailableError
            When no answer came; the patch may have been applied.
        """
        preconditions = {
            key: value for key, value in (("resourceVersion", resource_version), ("uid", uid)) if value is not None
        }
        body = dict(patch)
        if preconditions:
            body["metadata"] = {**(patch.get("metadata") or {}), **preconditions}
        operation = Operation("patch", kind, namespace, name, subresource)
        try:
            return await self._requests.for_object(operation, "PATCH", body=body, content_type=MERGE_PATCH)
        except InvalidObjectError as e:
            # A wrong uid is refused as a change of an immutable field, where the version alone would have matched.
            if uid is not None and any(violation.path == "metadata.uid" for violation in e.violations):
                raise WriteConflictError(f"{operation}: it is another object of that name") from e
            raise

    async def patch_status(
        self,
        kind: ResourceKind,
        name: str,
        namespace: str | None,
        status: Mapping[str, Any],
        *,
        resource_version: str | None,
    ) -> JSON | None:
        """Send a merge patch of the status subresource; `None` when the object is absent.

        The preconditions and errors are those of `patch`.
        """
        return await self.patch(
            kind, name, namespace, {"status": dict(status)}, resource_version=resource_version, subresource="status"
        )

    async def delete(
        self,
        kind: ResourceKind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> bool:
        """Delete an object; its finalizers and dependents are dealt with in the background.

        Parameters
        ----------
        kind
            The kind of object.
        name
            The object's name.
        namespace
            The object's namespace; `None` for a cluster-scoped kind.
        uid
            Delete only this very object, not one of the same name made later.
        resource_version
            Delete it only as it was read.

        Returns
        -------
        bool
            False when it was absent already.

        Raises
        ------
        WriteConflictError
            When a precondition does not hold.
        ForbiddenError
            When this process may not delete it.
        ClusterUnavailableError
            When no answer came; it may have been deleted.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        preconditions = {
            key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value is not None
        }
        if preconditions:
            options["preconditions"] = preconditions
        operation = Operation("delete", kind, namespace, name)
        return await self._requests.for_object(operation, "DELETE", body=options) is not None

    async def pages(
        self,
        kind: ResourceKind,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        at_most: int | None = None,
    ) -> AsyncIterator[Page]:
        """List objects page by page.

        A continuation that expired while its reader was slow (410) starts the list
        again; the reader sees ``first`` once more, and objects that it has seen.

        Parameters
        ----------
        kind
            The kind of objects.
        namespace
            One namespace; `None` for all of them, or for a cluster-scoped kind.
        label_selector
            Such as ``architecture=arm64,bootc-capable``.
        field_selector
            Such as ``status.phase=Available``.
        at_most
            Objects of a page, where that is less than this client's own.

        Raises
        ------
        ForbiddenError
            When this process may not list them.
        ClusterUnavailableError
            When the API server does not answer, or does not know the kind.
        """
        query = _selectors(label_selector, field_selector)
        bodies = list_bodies(
            self._requests,
            Operation("list", kind, namespace),
            query,
            accept="application/json",
            page_size=min(self._page_size, at_most or self._page_size),
        )
        async for body, first in bodies:
            yield read_page(kind, body, first=first)

    async def list_all(
        self,
        kind: ResourceKind,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> list[JSON]:
        """List all objects at once, for collections that are known to be small.

        The parameters and errors are those of `pages`.
        """
        objects: list[JSON] = []
        pages = self.pages(kind, namespace, label_selector=label_selector, field_selector=field_selector)
        async for page in pages:
            objects = [*([] if page.first else objects), *page.objects]
        return objects

    async def table_pages(
        self,
        kind: ResourceKind,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        remembered: bool = False,
    ) -> AsyncIterator[tuple[TableRow, ...]]:
        """List the printer columns of objects page by page, without the objects.

        A row is some hundred bytes where an entry is 3 KB and more; see
        https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables.
        The other parameters, and the errors, are those of `pages`.

        Parameters
        ----------
        remembered
            Whether the API server may answer from its memory, a moment old
            and without reading its store; for selectors that leave little. See
            https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list.
        """
        query = {**_selectors(label_selector, field_selector), "includeObject": "None"}
        bodies = list_bodies(
            self._requests,
            Operation("list", kind, namespace),
            query,
            accept=TABLE_ACCEPT,
            page_size=self._page_size,
            remembered=remembered,
        )
        columns: list[str] = []
        async for body, _ in bodies:
            # Only the first page is bound to name its columns.
            columns = [str(column["name"]) for column in body.get("columnDefinitions") or ()] or columns
            yield read_rows(body, columns)

    def watch(
        self,
        kind: ResourceKind,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str | None = None,
    ) -> AsyncGenerator[WatchItem]:
        """Follow a collection for ever: its list first, then every change.

        The list comes as the beginning of the watch where the API server has that
        (https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists),
        else in pages.

        Wrap it in `contextlib.aclosing` when the loop may be left early. Reconnects
        by itself, and lists again when the API server has forgotten the last version.

        Parameters
        ----------
        kind
            The kind of objects.
        namespace
            One namespace; `None` for all of them, or for a cluster-scoped kind.
        label_selector
            Such as ``architecture=arm64,bootc-capable``.
        field_selector
            Such as ``status.phase=Available``.
        resource_version
            Go on from here instead of listing first.

        Raises
        ------
        ForbiddenError
            When this process may not list or watch them.
        """
        operation = Operation("watch", kind, namespace)
        return Watch(
            transport=self._transport,
            operation=operation,
            query=_selectors(label_selector, field_selector),
            pages=lambda: self.pages(kind, namespace, label_selector=label_selector, field_selector=field_selector),
            rng=self.rng,
            page_size=self._page_size,
        ).items(resource_version)


def _selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    pairs = (("labelSelector", label_selector), ("fieldSelector", field_selector))
    return {key: value for key, value in pairs if value}
