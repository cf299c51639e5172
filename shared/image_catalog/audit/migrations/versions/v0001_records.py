"""Records in chains, states, anchors and dead letters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables, as they were then: this stays as it is when they change."""
    _make_chains()
    _make_records()
    _make_states()
    _make_dead_letters()


def _make_chains() -> None:
    op.create_table(
        "chains",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False, unique=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("state_seq", sa.BigInteger),
    )
    op.create_table(
        "anchors",
        sa.Column("chain_id", _NUMBER, sa.ForeignKey("chains.id"), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("pruned_at", sa.BigInteger, nullable=False),
    )


def _make_records() -> None:
    op.create_table(
        "records",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("chain_id", _NUMBER, sa.ForeignKey("chains.id"), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("part", sa.SmallInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("registry_url", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("confirmed", sa.Boolean, nullable=False),
        sa.Column("folds", sa.Boolean, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("state_digest", sa.Text),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_index("records_by_chain", "records", ["chain_id", "position"], unique=True)
    op.create_index("records_by_event", "records", ["event_id", "part"], unique=True)
    op.create_index("records_by_time", "records", ["recorded_at", "seq"])
    op.create_index("records_by_namespace", "records", ["namespace", "seq"])
    op.create_index("records_by_digest", "records", ["digest", "kind"])


def _make_states() -> None:
    op.create_table(
        "states",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("chain_id", _NUMBER, sa.ForeignKey("chains.id"), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("resource_version", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.Column("proof_seq", sa.BigInteger, nullable=False),
        sa.Column("packing", sa.SmallInteger, nullable=False),
        sa.Column("object", sa.LargeBinary, nullable=False),
    )
    op.create_index("states_by_chain", "states", ["chain_id", "seq"])
    op.create_index("states_by_time", "states", ["recorded_at", "seq"])
    op.create_index("states_by_proof", "states", ["proof_seq"], unique=True)


def _make_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("settled_by", sa.Text),
        sa.Column("settled_at", sa.BigInteger),
    )
    op.create_index("dead_letters_by_event", "dead_letters", ["event_id", "destination"], unique=True)
    op.create_index("dead_letters_by_state", "dead_letters", ["state", "id"])
