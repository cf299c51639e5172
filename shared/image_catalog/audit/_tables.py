"""The tables, as the newest migration leaves them.

Times are whole microseconds since 1970 in UTC: exact, and the same in every database. Hashes are hexadecimal digits.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    column,
    table,
)

__all__ = ["anchors", "chains", "dead_letters", "metadata", "records", "states", "versions"]

metadata = MetaData()

versions = table("alembic_version", column("version_num"))
"""Alembic's own, with one row."""

_Number = BigInteger().with_variant(Integer, "sqlite")
"""Only a key that is called INTEGER is the number of the row itself in SQLite, and needs no index of its own."""

chains = Table(
    "chains",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("subject", Text, nullable=False, unique=True),
    Column("position", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("state_seq", BigInteger),
)
"""Where each chain ends; the one table whose rows move on with what is appended."""

records = Table(
    "records",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("chain_id", _Number, ForeignKey("chains.id"), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("part", SmallInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("namespace", Text),
    Column("name", Text),
    Column("time", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("digest", Text),
    Column("registry_url", Text),
    Column("message", Text, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("folds", Boolean, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    Column("state_digest", Text),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("records_by_chain", "chain_id", "position", unique=True),
    Index("records_by_event", "event_id", "part", unique=True),
    Index("records_by_time", "recorded_at", "seq"),
    Index("records_by_namespace", "namespace", "seq"),
    Index("records_by_digest", "digest", "kind"),
)
"""What happened. Rows are added, and the oldest of a chain removed; none is ever changed."""

states = Table(
    "states",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("chain_id", _Number, ForeignKey("chains.id"), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("uid", Text, nullable=False),
    Column("resource_version", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("proof_seq", BigInteger, nullable=False),
    Column("packing", SmallInteger, nullable=False),
    Column("object", LargeBinary, nullable=False),
    Index("states_by_chain", "chain_id", "seq"),
    Index("states_by_time", "recorded_at", "seq"),
    Index("states_by_proof", "proof_seq", unique=True),
)
"""Entries after each change; ``seq`` is the record's, and ``proof_seq`` that of the record which holds the digest.

That is the same one, until it is removed for its age while the entry still is as it was then.
"""

anchors = Table(
    "anchors",
    metadata,
    Column("chain_id", _Number, ForeignKey("chains.id"), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("pruned_at", BigInteger, nullable=False),
)
"""Where a chain begins whose oldest records were removed: the last one of those."""

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("why", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("settled_by", Text),
    Column("settled_at", BigInteger),
    Index("dead_letters_by_event", "event_id", "destination", unique=True),
    Index("dead_letters_by_state", "state", "id"),
)
"""Events that no function could take."""
