"""What the calls about the past take as parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints

from image_catalog.audit import Outcome, RecordQuery
from image_catalog.catalog.chronicle import KINDS
from image_catalog.models.reference import DIGEST_PATTERN
from image_catalog_functions.api.http.names import NAME_PATTERN
from image_catalog_functions.api.http.parameters import QueryFlag
from image_catalog_functions.api.reading.moments import QueryMoment, read_moment
from image_catalog_functions.api.reading.queries import PageQuery

__all__ = ["ALL", "AuditQuery", "HistoryQuery"]

ALL: Final = "all"

_PRINTED = r"^[^\x00-\x1f\x7f]*$"


def _apart(known: tuple[str, ...]) -> BeforeValidator:
    """Return what reads a parameter that may be given more than once, and as a comma list."""

    def read(values: Any) -> Any:
        words = [word.strip(" ") for value in values for word in str(value).split(",")]
        for word in words:
            if word not in known:
                raise ValueError(f"{word[:64]!r} must be one of {', '.join(known)}")
        return words

    return BeforeValidator(read)


_Kinds = list[Annotated[str, Field(json_schema_extra={"enum": list(KINDS)})]]
_KindsOrAll = list[Annotated[str, Field(json_schema_extra={"enum": [ALL, *KINDS]})]]


class _Filters(PageQuery):
    actor: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=_PRINTED)] | None = Field(
        None, description="Who did it, as records name them."
    )
    outcome: Outcome | None = Field(None, description="How it ended.")
    since: QueryMoment | None = Field(
        None, description="From when on: a time of RFC 3339, or an age such as `7d` or `12h`."
    )
    until: QueryMoment | None = Field(None, description="Before when: the same.")

    def between(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Return from when on, and before when."""
        since, until = (None if text is None else read_moment(text, now=now) for text in (self.since, self.until))
        return since, until

    def to_store(
        self, *, namespace: str | None, name: str | None, kinds: list[str], now: datetime, before: int | None
    ) -> RecordQuery:
        """Return what the audit is asked.

        Parameters
        ----------
        namespace, name
            The entry; `None` for every one.
        kinds
            Which kinds of records; none for all.
        now
            What ages are counted from.
        before
            `Record.seq` of the last record of the page before.
        """
        since, until = self.between(now)
        return RecordQuery(
            namespace=namespace,
            name=name,
            kinds=tuple(kinds),
            actor=self.actor,
            outcome=self.outcome,
            digest=getattr(self, "digest", None),
            since=since,
            until=until,
            limit=self.limit,
            before=before,
        )


class AuditQuery(_Filters):
    """Which records are asked for."""

    all_namespaces: QueryFlag = Field(default=False, description="Every namespace; `namespace` is then not looked at.")
    name: Annotated[str, StringConstraints(max_length=253, pattern=NAME_PATTERN)] | None = Field(
        None, description="Name of the entry."
    )
    kind: Annotated[_Kinds, _apart(KINDS)] = Field(
        [], max_length=64, description="What happened; may be repeated, or be a comma list: any of them."
    )
    digest: Annotated[str, StringConstraints(pattern=DIGEST_PATTERN)] | None = Field(
        None, description="The content that it is about."
    )

    def scope(self, default_namespace: str) -> str | None:
        """Return the namespace that is asked about; `None` for all of them."""
        return None if self.all_namespaces else self.namespace or default_namespace


class HistoryQuery(_Filters):
    """Which versions, or records, of an entry are asked for."""

    kind: Annotated[_KindsOrAll, _apart((ALL, *KINDS))] = Field(
        [],
        max_length=64,
        description="Records of these kinds in place of versions; `all` for every one. May be repeated, or be a "
        "comma list.",
    )

    @property
    def kinds(self) -> list[str]:
        """The kinds of records; none for all."""
        return [] if ALL in self.kind else self.kind
