"""What a check depends on, as one hash: equal inputs need no new check."""

from __future__ import annotations

import hashlib
import json

from image_catalog.models import CatalogImageSpec

__all__ = ["verified_inputs"]


def verified_inputs(spec: CatalogImageSpec) -> str:
    """Return the hash of everything in a spec that the outcome of a check depends on.

    Tags, metadata and the interval are not among it: a change of those moves
    ``observedGeneration`` and asks no registry.
    """
    secret = spec.auth_secret_ref
    inputs = [
        spec.registry_url,
        spec.digest,
        [secret.name, secret.namespace] if secret else None,
        spec.verify_blobs,
    ]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:32]
