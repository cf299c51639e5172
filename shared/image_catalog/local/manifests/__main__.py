"""Render the local overlay again, from the top of a checkout: ``python -m image_catalog.local.manifests [FILE]``."""

from __future__ import annotations

import sys
from pathlib import Path

from image_catalog.local.manifests import LOCAL_MANIFESTS, render_overlay

if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else LOCAL_MANIFESTS
    target.write_text(render_overlay(Path("knative/overlays/local")), encoding="utf-8")
