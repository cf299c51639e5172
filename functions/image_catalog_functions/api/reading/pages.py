"""A page of entries as it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

from image_catalog.catalog.index import Listing
from image_catalog_functions.api.http.answers import Answer, etag_of

__all__ = ["listing_answer"]


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
