"""The manifests that the local stack runs: the overlay ``knative/overlays/local``, rendered and committed.

The rendered file is part of the package, so that the stack needs neither
kubectl nor a checkout. After a change below ``knative/`` or ``crds/`` it is
written again by ``python -m image_catalog.local.manifests``.
"""

from image_catalog.local.manifests._manifests import LOCAL_MANIFESTS, load_manifests, render_overlay

__all__ = ["LOCAL_MANIFESTS", "load_manifests", "render_overlay"]
