"""Goes through every chain, and finds what was changed, inserted, moved, removed or cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import Connection, and_, func, or_, select

from image_catalog.audit._database import Database
from image_catalog.audit._states import state_digest, unpack
from image_catalog.audit._tables import anchors, chains, records, states
from image_catalog.audit.chain import GENESIS, Break, BreakKind, Link, Verification, link_hash
from image_catalog.audit.records import CARRIED, PRUNED

__all__ = ["EVERY_CHAIN", "verify"]

_PAGE: Final = 1000
_STATE: Final = ("seq", "time", "uid", "resource_version", "created", "removed", "packing", "object")
EVERY_CHAIN: Final = "*"
"""What stands in place of a chain where a break is of none in particular."""


def verify(database: Database, links: Iterable[Link] = ()) -> Verification:
    """Verify all chains as they are at one moment.

    Parameters
    ----------
    database
        Where they are.
    links
        Links that were logged.
    """
    logged: dict[str, dict[int, str]] = {}
    for link in links:
        logged.setdefault(link.chain, {})[link.position] = link.hash
    with database.reading(patient=True) as connection:
        following = _Following(connection, logged)
        breaks = list(following.breaks())
        return Verification(len(following.chains), following.records, following.links, breaks)


class _Following:
    """Goes through all chains, and counts."""

    def __init__(self, connection: Connection, logged: dict[str, dict[int, str]]) -> None:
        self._connection = connection
        self.chains = {
            row["id"]: _Chain(
                subject=row["subject"],
                end=(row["position"], row["hash"]),
                anchor=(row["anchored"] or 0, row["anchor_hash"] or GENESIS),
                logged=logged.pop(row["subject"], {}),
            )
            for row in _chain_rows(connection)
        }
        self._elsewhere = logged
        self.records = 0

    @property
    def links(self) -> int:
        """How many logged links were compared."""
        return sum(chain.compared for chain in self.chains.values())

    def breaks(self) -> Iterator[Break]:
        """Find every break."""
        for row in _record_rows(self._connection):
            self.records += 1
            chain = self.chains.get(row["chain_id"])
            if chain is None:
                yield Break(EVERY_CHAIN, row["position"], BreakKind.MISPLACED, f"record {row['seq']} is of no chain")
            else:
                yield from chain.follow(row)
        for chain in self.chains.values():
            yield from chain.finish()
        for subject, positions in self._elsewhere.items():
            yield Break(subject, max(positions), BreakKind.CUT, "the log has links of a chain that is not there")
        yield from _uncounted(self._connection)
        yield from _unproven(self._connection)


@dataclass(slots=True)
class _Chain:
    """A chain, followed from its beginning or from its anchor."""

    subject: str
    end: tuple[int, str]
    anchor: tuple[int, str]
    logged: dict[int, str]
    reached: tuple[int, str] = field(init=False)
    compared: int = 0

    def __post_init__(self) -> None:
        self.reached = self.anchor

    def follow(self, row: Mapping[Any, Any]) -> Iterator[Break]:
        """Go on to the next record that there is."""
        position, before = self.reached
        if row["position"] != position + 1:
            yield self._break(position + 1, BreakKind.MISSING, f"records up to {row['position'] - 1} are missing")
        elif row["previous_hash"] != before:
            yield self._break(
                row["position"], BreakKind.MISPLACED, "it does not follow the record before it: one of them is another"
            )
        if link_hash({**row, "chain": self.subject}) != row["hash"]:
            yield self._break(row["position"], BreakKind.CHANGED, f"record {row['seq']} was changed")
        if (wrong := _wrong_state(row)) is not None:
            yield self._break(row["position"], BreakKind.STATE, wrong)
        self.reached = (row["position"], row["hash"])
        yield from self._compare(self.reached, "the log has another hash of this record")

    def finish(self) -> Iterator[Break]:
        """Compare the end that was reached with the one that there should be, and the rest of the log."""
        if self.reached != self.end:
            yield self._break(
                self.end[0], BreakKind.CUT, f"it should end at position {self.end[0]}, and ends at {self.reached[0]}"
            )
        if later := [position for position in self.logged if position > self.reached[0]]:
            message = f"the log has position {max(later)}, and the chain ends at {self.reached[0]}"
            yield self._break(max(later), BreakKind.CUT, message)
        yield from self._compare(self.anchor, "the log has another hash where the chain now begins")

    def _compare(self, link: tuple[int, str], message: str) -> Iterator[Break]:
        position, value = link
        if (logged := self.logged.get(position)) is not None:
            self.compared += 1
            if logged != value:
                yield self._break(position, BreakKind.CHANGED, message)

    def _break(self, position: int, kind: BreakKind, message: str) -> Break:
        return Break(self.subject, position, kind, message)


def _wrong_state(row: Mapping[Any, Any]) -> str | None:
    promised, of = row["state_digest"], row["seq"]
    if row["kind"] == CARRIED:
        data = orjson.loads(row["data"])
        promised, of = data.get("stateDigest"), data.get("seq")
    if row["state_seq"] is None:
        return "its state is missing" if promised is not None else None
    state = {name: row[f"state_{name}"] for name in _STATE}
    try:
        content = unpack(state["packing"], state["object"])
    except ValueError:
        return "its state cannot be read"
    if state["seq"] != of or state_digest(state, content) != promised:
        return "its state was changed"
    return None


def _chain_rows(connection: Connection) -> Iterable[Mapping[Any, Any]]:
    columns = (chains, anchors.c.position.label("anchored"), anchors.c.hash.label("anchor_hash"))
    joined = chains.join(anchors, anchors.c.chain_id == chains.c.id, isouter=True)
    return connection.execute(select(*columns).select_from(joined)).mappings()


def _record_rows(connection: Connection) -> Iterator[Mapping[Any, Any]]:
    """Read all records, chain by chain, a page at a time."""
    statement = (
        select(records, *(states.c[name].label(f"state_{name}") for name in _STATE))
        .select_from(records.join(states, states.c.proof_seq == records.c.seq, isouter=True))
        .order_by(records.c.chain_id, records.c.position)
        .limit(_PAGE)
    )
    page = connection.execute(statement).mappings().all()
    while page:
        yield from page
        chain, position = page[-1]["chain_id"], page[-1]["position"]
        further = or_(records.c.chain_id > chain, and_(records.c.chain_id == chain, records.c.position > position))
        page = connection.execute(statement.where(further)).mappings().all()


def _uncounted(connection: Connection) -> Iterator[Break]:
    """Compare the numbers of records, which have no gaps, with what is there and what is known to have been removed."""
    newest, count = connection.execute(select(func.max(records.c.seq), func.count())).one()
    removed = connection.execute(select(func.sum(anchors.c.count))).scalar_one() or 0
    if missing := (newest or 0) - count - removed:
        message = f"{missing} of {newest} records are neither there nor removed for their age"
        yield Break(EVERY_CHAIN, newest, BreakKind.MISSING, message)
    last = select(records.c.data).where(records.c.kind == PRUNED).order_by(records.c.seq.desc()).limit(1)
    told = connection.execute(last).scalar_one_or_none()
    if removed != (orjson.loads(told).get("total") if told is not None else 0):
        yield Break(EVERY_CHAIN, newest or 0, BreakKind.MISSING, "records were removed, and no prune tells of it")


def _unproven(connection: Connection) -> Iterator[Break]:
    """Find states that no record vouches for."""
    bare = (
        select(states.c.seq, chains.c.subject)
        .select_from(
            states.join(chains, chains.c.id == states.c.chain_id).join(
                records, records.c.seq == states.c.proof_seq, isouter=True
            )
        )
        .where(records.c.seq.is_(None))
    )
    for row in connection.execute(bare):
        yield Break(row.subject, 0, BreakKind.STATE, f"no record vouches for state {row.seq}")
