"""Things that behave, for tests of ours and of whoever builds on the catalog.

Not patches of our own code but parties to talk to: a registry that asks for
tokens and misbehaves on demand (`image_catalog.testing.registry`), the real
distribution server (`image_catalog.testing.distribution`), a cluster with
resource version conflicts (`image_catalog.testing.cluster`). Import the module
that the test needs; this package imports none, so that a test of one door does
not load the libraries of another.
"""

from __future__ import annotations

__all__: list[str] = []
