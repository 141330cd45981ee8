"""What a request finds, what it asks for, and what is told of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.semantics.resources import RESOURCES, Error, Key, Values

Change: TypeAlias = tuple[str, str | None, str | None]


@dataclass
class Tables:
    """Rows by primary key. One that is `hidden` is outside of get_queryset; a seal PROTECTs its toy."""

    rows: dict[str, dict[int, Values]] = field(default_factory=lambda: {name: {} for name in RESOURCES})
    seals: set[int] = field(default_factory=set)
    #: New rows get negative primary keys: what the database will give them is not the model's to say.
    next_pk: int = -1

    def find(self, resource: str, key: Key, values: Values) -> int | None:
        """The primary key of the row, hidden or not, that has these values in the fields of a key."""
        if any(values[name] is None for name in key):
            return None
        rows = self.rows[resource]
        if key == ("id",):
            return values["id"] if values["id"] in rows else None
        return next((pk for pk, row in rows.items() if all(row[name] == values[name] for name in key)), None)

    def shows(self, resource: str, pk: int | None) -> bool:
        """Whether the row is there for the user."""
        return pk is not None and pk in self.rows[resource] and not self.rows[resource][pk]["hidden"]

    def write(self, resource: str, pk: int | None, row: Values) -> int:
        """Set a row, or add one; gives its primary key."""
        if pk is None:
            pk, self.next_pk = self.next_pk, self.next_pk - 1
        self.rows[resource][pk] = {"hidden": False, **row}
        return pk

    def renamed(self, pks: dict[int | None, int]) -> Tables:
        """With the primary keys that the database gave to new rows."""
        renamed = Tables(seals=self.seals, next_pk=self.next_pk)
        for resource, rows in self.rows.items():
            renamed.rows[resource] = {pks.get(pk, pk): dict(row) for pk, row in rows.items()}
        for toy in renamed.rows["toys"].values():
            toy["shelf"] = pks.get(toy["shelf"], toy["shelf"])
        return renamed


@dataclass(frozen=True)
class Part:
    """What a request has for one resource: rows as decoded JSON."""

    resource: str
    rows: list[Any]
    match_by: Key | None = None
    update_fields: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Request:
    verb: str
    parts: list[Part]
    rejects_all: bool = False
    dry_run: bool = False

    @property
    def verb_of_rows(self) -> str:
        """A sync upserts its rows."""
        return "upsert" if self.verb == "sync" else self.verb


@dataclass
class Told:
    """What the client is told. Rows are named by resource and index."""

    state: str = "COMPLETED"
    outcomes: dict[tuple[str, int], tuple[str, int | None]] = field(default_factory=dict)
    errors: dict[tuple[str, int], set[Error]] = field(default_factory=dict)
    cascades: Counter[str] = field(default_factory=Counter)
    #: Of the rows that a dry run would have updated: field, and what it is and would be as text.
    changes: dict[tuple[str, int], set[Change]] = field(default_factory=dict)
