"""Writes the pages, or with ``--check`` says which are behind the code."""

from __future__ import annotations

import sys

from image_catalog.cli.reference.writing import main

sys.exit(main())
