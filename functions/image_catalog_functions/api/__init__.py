"""Api: the catalog over HTTP, for people, scripts and ``caib``.

Trigger: HTTP requests; the API server's watch of entries and builds.
Does: answers reads from its own index, has publish and verify do what needs a registry, and keeps recalls.
Emits: what clients post to it as CloudEvents, with the caller's name on them; ``image.recalled``, ``image.restored``.
Fails: with a problem document (RFC 9457); while the watch is broken it answers what it knows, and says how old that is.
"""
