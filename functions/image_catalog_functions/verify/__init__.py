"""Verify: what an entry says is made to equal what its registry says.

Trigger: a CatalogImage was added or updated; ``verification.requested``; ``test.reported``; a tick of ``reverify``.
Does: claims the image, asks the registry, writes phase, conditions and metadata; keeps reports; probes registries.
Emits: a change of phase, ``image.drifted``, a new version; ``image.verified``; files' URLs to the API alone.
Fails: a registry in trouble is a finding, not a failure; a cluster in trouble is retried by the broker.
"""
