"""Audit: who did what, when, and how it ended; and what no function could take does not vanish unseen.

Trigger: every catalog event; a CatalogImage was added, updated or deleted. It is the dead-letter sink of every Trigger.
Does: appends to the history, in the database; of a dead letter: log, count, a Warning Event, and a copy to send again.
Emits: nothing.
Fails: retried by the broker while database or cluster do not answer; without a database it keeps nothing, and says so.
"""
