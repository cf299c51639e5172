"""Reverify: what is due is asked for, and what fell through is found.

Trigger: a tick of the PingSource ``reverify`` (what is due) or ``sweep`` (what fell through).
Does: reads the entries' table rows page by page, and passes over registries that nobody asks; a sweep reads all.
Emits: ``verification.requested`` for each due entry; ``publish.requested`` for each forgotten build.
Fails: retried by the broker; a lost tick is made up for by the next.
"""
