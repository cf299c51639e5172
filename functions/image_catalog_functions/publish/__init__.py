"""Publish: an image becomes an entry, or a new version of one.

Trigger: an ImageBuild was added or updated; ``publish.requested``.
Does: asks the registry, claims the image, writes the entry's spec and status.
Emits: ``image.published``, then the phase it led to; or ``publish.rejected``.
Fails: trouble that passes is retried by the broker; a refusal is an event, not a failure.
"""
