"""One request at a time: timed, counted, and sent again where the API server asked for a short pause."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from prometheus_client import Histogram

from image_catalog.cluster._failures import NOT_FOUND, Operation, failure, read_object
from image_catalog.cluster._spans import begin_span, note_answer
from image_catalog.cluster._transport import JSON, Response, Transport
from image_catalog.errors import CatalogError, ClusterUnavailableError
from image_catalog.metrics import exemplar

__all__ = ["Requests"]

# Answers that say "later" were not carried out, so that any verb may be sent again.
MAX_THROTTLED: Final = 2
LONGEST_THROTTLE: Final = timedelta(seconds=5)
TOO_MANY_REQUESTS: Final = 429

REQUEST_SECONDS = Histogram(
    "image_catalog_cluster_request_duration_seconds",
    "How long the API server took to answer, by verb, resource and status code (0: no answer).",
    ["verb", "resource", "code"],
)


class Requests:
    """Sends requests to the API server.

    Parameters
    ----------
    transport
        Carries the requests.
    timeout
        Upper limit for one request.
    rng
        Spreads waiting times.
    """

    def __init__(self, *, transport: Transport, timeout: timedelta, rng: random.Random) -> None:
        self._transport = transport
        self._timeout = timeout
        self._rng = rng

    async def send(self, operation: Operation, method: str, path: str, **request: Any) -> Response:
        """Send a request, and again where the API server asked for a short pause.

        Raises
        ------
        ClusterUnavailableError
            When no answer came; its message names the operation.
        """
        for attempt in range(MAX_THROTTLED + 1):
            response = await self._timed(operation, method, path, **request)
            if response.status != TOO_MANY_REQUESTS or attempt == MAX_THROTTLED:
                break
            error = failure(response, operation)
            pause = error.retry_after if isinstance(error, ClusterUnavailableError) else None
            if pause is None or pause > LONGEST_THROTTLE:
                break
            await asyncio.sleep(pause.total_seconds() * self._rng.uniform(1.0, 1.5))
        return response

    async def for_object(
        self,
        operation: Operation,
        method: str,
        *,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> JSON | None:
        """Send a request about one object and read the answer; `None` when the object is absent.

        Raises
        ------
        CatalogError
            What the answer stands for, as `failure` says.
        """
        kind = operation.kind
        path = kind.path(namespace=operation.namespace, name=operation.name, subresource=operation.subresource)
        response = await self.send(operation, method, path, body=body, content_type=content_type)
        if response.status == NOT_FOUND:
            return None
        if not response.is_success:
            raise failure(response, operation)
        return read_object(response, operation)

    async def _timed(self, operation: Operation, method: str, path: str, **request: Any) -> Response:
        started = time.perf_counter()
        code = 0
        try:
            with begin_span(operation, method, path) as span:
                response = await self._transport.request(method, path, timeout=self._timeout, **request)
                note_answer(span, operation, response)
            code = response.status
        except CatalogError as e:
            # The transport knows paths; people know verbs and objects.
            raise ClusterUnavailableError(f"{operation}: {e}") from e
        finally:
            elapsed = time.perf_counter() - started
            REQUEST_SECONDS.labels(operation.verb, operation.kind.resource, str(code)).observe(elapsed, exemplar())
        return response
