"""Cleanup: an entry that was deleted goes, and what it stood for stays away.

Trigger: a CatalogImage was updated or deleted; a tick of the PingSource ``sweep``.
Does: turns the claim into a tombstone, tells the world, removes the finalizer; purges old tombstones.
Emits: ``image.removed``, before the finalizer goes.
Fails: retried by the broker; no registry is asked, and nothing that a dying namespace refuses blocks it.
"""
