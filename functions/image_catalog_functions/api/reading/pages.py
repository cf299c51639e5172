"""Pages as they are answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson
from fastapi import Request
from starlette.responses import Response

from image_catalog.catalog.index import Listing
from image_catalog_functions.api.http.answers import Answer, etag_of
from image_catalog_functions.api.http.routes import answer_response

__all__ = ["answer_list", "listing_answer"]

_VERSION = "resourceVersion"
"""Moves with every change of the cluster: a list that shows the same is the same."""


def listing_answer(found: Listing, token: str, more: Mapping[str, Any], *, gzip: bool) -> Answer:
    """Prepare the answer that shows a page of entries.

    Parameters
    ----------
    found
        The page.
    token
        Continues it; empty on the last page.
    more
        What else is said of the whole list.
    gzip
        Whether the client takes a compressed body.
    """
    metadata = {"continue": token, "remainingItemCount": found.remaining, **more}
    parts = [entry.json for entry in found.entries] or [b""]
    # A page is some 60 KB: head and tail go to the first and last entry, so that the whole is copied once.
    parts[0] = b'{"items":[' + parts[0]
    parts[-1] += b'],"metadata":' + orjson.dumps(metadata) + b"}"
    state = blake2b(b"%b;%d;%b" % (found.state, found.remaining, token.encode()), digest_size=12)
    return Answer.of(b",".join(parts), etag_of(state.hexdigest()), gzip=gzip)


def answer_list(request: Request, items: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any]) -> Response:
    """Answer with a list of what is no entry; what it holds is its state.

    Parameters
    ----------
    request
        The request.
    items
        What is listed.
    metadata
        How the list goes on; what is `None` is left out.
    """
    said = {key: value for key, value in metadata.items() if value is not None}
    body = orjson.dumps({"items": items, "metadata": said}, option=orjson.OPT_UTC_Z)
    shown = {key: value for key, value in said.items() if key != _VERSION}
    state = blake2b(orjson.dumps([items, shown], option=orjson.OPT_UTC_Z), digest_size=12)
    return answer_response(request, lambda gzip: Answer.of(body, etag_of(state.hexdigest()), gzip=gzip))
