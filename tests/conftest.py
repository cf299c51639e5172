"""What holds for every test."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: a busy machine is slow, not wrong. In CI the same examples every time: a find is made on a laptop, and
# gets a test of its own.
settings.register_profile("laptop", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
# For an hour to spare: pytest --hypothesis-profile=deep
settings.register_profile("deep", deadline=None, max_examples=5_000)
# What `make fuzz` loads: with a dozen properties more than 100,000 examples.
settings.register_profile("fuzz", deadline=None, max_examples=10_000)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")
