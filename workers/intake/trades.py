"""Raw rows of a request -> which of them take a unique value, and who else takes it or gives it up.

A key that rows give in full can be compared in the request (duplicates.py). But a row may give half of a key and the
table has the rest, a constraint may be on lower(name), or hold for some rows alone: then only the database knows. One
query a frame asks it what each row has, and what it would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import DataError, ProgrammingError, connections, transaction

from bulkql.workers.backends import backend
from bulkql.workers.columns.cells import NULL
from bulkql.workers.columns.column import Column
from bulkql.workers.columns.copying import copy, copy_values, default_texts, with_defaults
from bulkql.workers.enums import Lane, Verb
from bulkql.workers.frames import ROW, ROW_NUMBER, SUPERSEDED_BY, SUPERSEDED_KEY, given
from bulkql.workers.intake.names import columns_of, named_by_value
from bulkql.workers.resources.constraints import Constraint, constraints_of
from bulkql.workers.resources.keys import same_key
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import field_of
from bulkql.workers.resources.scope import condition, pks_within
from bulkql.workers.spill import Spill, last_rows
from bulkql.workers.validation.values import parsed

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: The rows of a frame while the database is asked.
SEARCHED = "bulkql_searched"
#: Parts in which the hashes of keys are compared.
PARTS = 32


class TradeSearch:
    """What rows take and give up, of all frames of an input."""

    def __init__(self, plan: Plan, user: User | None) -> None:
        self._plan, self._user = plan, user
        self.constraints = constraints_to_search(plan)
        self._moves = Spill()

    def add(self, raw: pl.DataFrame, row_start: int) -> None:
        """Look at a frame."""
        found = [(number, one) for number, one in enumerate(self.constraints) if is_at_stake(self._plan, one, raw)]
        if not found:
            return
        rows = Searched(self._plan, raw, [one for _, one in found], self._user)
        for (number, _), moves in zip(found, rows.moves(), strict=True):
            row = pl.col(ROW).cast(pl.Int64) + row_start
            bucket = (pl.col("low") % PARTS).cast(pl.Int64)
            self._moves.add(moves.select("low", "high", "takes", row=row, bucket=bucket, number=pl.lit(number)))

    def results(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """The rows that a later one supersedes, as Superseded.add takes them; and who gives to whom: `gives`, `takes`.

        Of rows that take the same, the last one counts.
        """
        of_key = ["number", "low", "high"]
        labels = {number: one.label for number, one in enumerate(self.constraints)}
        label = pl.col("number").replace_strict(labels, return_dtype=pl.String).alias(SUPERSEDED_KEY)
        for part in self._moves.parts():
            winners = last_rows((moves.filter("takes") for moves in part.batches()), of_key)
            for moves in part.batches():
                found = moves.join(winners, on=of_key, maintain_order="left")
                lost = found.filter(pl.col("takes") & (pl.col("row") < pl.col("last"))).sort("row", "number")
                giving = found.filter(~pl.col("takes") & (pl.col("row") != pl.col("last")))
                superseded = lost.select("row", pl.col("last").alias(SUPERSEDED_BY), label)
                yield superseded, giving.select(gives="row", takes="last").unique()

    def close(self) -> None:
        self._moves.close()


def constraints_to_search(plan: Plan) -> list[Constraint]:
    """Those that the rows of a request may meet in a way that the request alone does not tell.

    Rows that are saved one by one find what the ones before them left, as they would in a loop of save().
    """
    is_copied = plan.lane == Lane.COPY and backend(plan.resource.database).supports_copy
    if plan.verb == Verb.DELETE or not is_copied:
        return []
    found = constraints_of(plan.resource.model, plan.resource.database)
    return [one for one in found if can_change(plan, one) or (plan.creates and not is_given_in_full(plan, one))]


def can_change(plan: Plan, constraint: Constraint) -> bool:
    """Rows of the table can come to other values of it."""
    return plan.verb != Verb.CREATE and any(is_changed(plan, name) for name in constraint.looks_at)


def is_changed(plan: Plan, name: str) -> bool:
    """Rows of the table take this field from those of the request."""
    return (
        name in plan.columns
        and name not in plan.kept
        and (plan.update_fields is None or name in plan.update_fields)
        and not (plan.verb == Verb.REPLACE and getattr(plan.columns[name].field, "auto_now_add", False))
    )


def is_given_in_full(plan: Plan, constraint: Constraint) -> bool:
    """New rows that collide give it in full: what is left out is null by default, and mostly equal to nothing."""
    if constraint.key is None:
        return False
    fields = [field_of(plan.resource.model, name) for name in constraint.fields]
    are_owed = all(
        field.name in plan.columns and not field.has_default() and not field.has_db_default() for field in fields
    )
    is_null_left_out = any(field.null and not field.has_default() for field in fields)
    return constraint.nulls_distinct if is_null_left_out else are_owed


def is_at_stake(plan: Plan, constraint: Constraint, raw: pl.DataFrame) -> bool:
    """Whether any row of a frame may come to other values of a constraint."""
    if plan.creates and not is_given_in_full(plan, constraint):
        return True
    changed = [name for name in constraint.looks_at if is_changed(plan, name)]
    return plan.verb == Verb.REPLACE or any(
        one in raw.columns and raw[one].null_count() < raw.height for name in changed for one in columns_of(plan, name)
    )


@dataclass(frozen=True, slots=True)
class Searched:
    """The rows of a frame, and the constraints that the database is asked for."""

    plan: Plan
    raw: pl.DataFrame
    constraints: list[Constraint]
    user: User | None

    def moves(self) -> Iterator[pl.DataFrame]:
        """For each constraint what rows take, and what they may give up: `__row`, takes, and the hash: low, high."""
        rows = self.values()
        found = self.asked(rows)
        for number, constraint in enumerate(self.constraints):
            new, old = ([f"{age}{number}_{half}" for half in ("low", "high")] for age in ("new", "old"))
            unread = pl.any_horizontal(f"unread:{name}" for name in constraint.looks_at)
            of_one = found.join(rows.select(ROW, unread=unread), on=ROW, maintain_order="left")
            is_same = pl.all_horizontal(pl.col(a) == pl.col(b) for a, b in zip(new, old, strict=True)).fill_null(False)
            moving = of_one.filter(pl.col("unread") | ~is_same)
            takes = moving.filter(~pl.col("unread")).select(ROW, takes=pl.lit(True), low=new[0], high=new[1])
            gives = moving.select(ROW, takes=pl.lit(False), low=old[0], high=old[1])
            yield pl.concat([takes, gives]).drop_nulls()

    @property
    def names(self) -> list[str]:
        """The fields that matter."""
        looked_at = (name for one in self.constraints for name in one.looks_at)
        return list(dict.fromkeys((*self.plan.match_by, *looked_at)))

    def values(self) -> pl.DataFrame:
        """`__row`; and for each field that matters its column, whether rows give it, and whether it cannot be read."""
        plan, alias = self.plan, self.plan.resource.database
        own = [name for name in self.names if name in plan.columns]
        rows, _ = parsed([plan.all_columns[one] for name in own for one in columns_of(plan, name)], self.raw)
        by_name = {name: [given(one.name) for one in plan.naming_columns.get(name, ())] for name in own}
        named = rows
        for name in own:
            named = named_by_value(plan, name, named, self.user)
        series: list[pl.Series] = [rows[ROW]]
        for name in self.names:
            field = field_of(plan.resource.model, name)
            if name not in own:
                values = default_texts(field, rows.height, alias)
                is_given, unread = (pl.repeat(False, rows.height, eager=True) for _ in range(2))
            else:
                is_named = rows.select(pl.any_horizontal(*by_name[name], pl.lit(False)).alias("named")).to_series()
                is_given = rows[given(name)] | is_named
                values = copy_values(plan.columns[name], named[name], alias)
                is_null = self.nulls(plan.columns[name])
                unread = (is_given & values.is_null() & ~is_null) | (is_named & rows[given(name)])
                # What rows owe has no default: where it is left out, they take nothing.
                if not is_given.all() and not plan.columns[name].is_required:
                    values = with_defaults(plan.columns[name], values, is_given, alias)
            column = str(field.column)
            series += [values.alias(column), is_given.alias(given(column)), unread.alias(f"unread:{name}")]
        return pl.DataFrame(series)

    def nulls(self, column: Column) -> pl.Series:
        """The rows that give an explicit null."""
        names = [one for one in columns_of(self.plan, column.name) if one in self.raw.columns]
        nulls = pl.any_horizontal(*((pl.col(one) == NULL).fill_null(False) for one in names), pl.lit(False))
        return self.raw.select(nulls.alias("null")).to_series()

    def asked(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The hashes of what rows would have (new0_low, new0_high, ...) and of what they have (old0_low, ...)."""
        alias = self.plan.resource.database
        hashes = [f"{age}{number}_{half}" for age, number, half in self.halves()]
        schema = {ROW: ROW_NUMBER, "pk": pl.String, "visible": pl.Boolean, **dict.fromkeys(hashes, pl.Int64)}
        try:
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                self.stage(rows, cursor)
                cursor.execute(*self.question())
                found = pl.DataFrame(cursor.fetchall(), schema=schema, orient="row")
        except (DataError, ProgrammingError):
            # A value that the field takes and PostgreSQL does not, or a type that it cannot hash.
            return pl.DataFrame(schema=schema)
        if found["visible"].null_count():
            pks = {text: self.plan.resource.pk.value_field.to_python(text) for text in found["pk"].drop_nulls()}
            seen = pks_within(self.plan.reach(self.user), list(pks.values()))
            is_seen = [pk is None or pks[pk] in seen for pk in found["pk"]]
            found = found.with_columns(visible=pl.Series(is_seen, dtype=pl.Boolean))
        # What the user may not see, no verdict tells of.
        return found.filter("visible")

    def halves(self) -> list[tuple[str, int, str]]:
        numbers = range(len(self.constraints))
        return [(age, number, half) for age in ("new", "old") for number in numbers for half in ("low", "high")]

    def stage(self, rows: pl.DataFrame, cursor: Any) -> None:
        """The rows in a temporary table."""
        quote, meta = connections[self.plan.resource.database].ops.quote_name, self.plan.resource.model._meta
        columns = [str(field_of(self.plan.resource.model, name).column) for name in self.names]
        masks = [given(column) for column in columns]
        made = [*map(quote, columns), *(f"true AS {quote(mask)}" for mask in masks)]
        cursor.execute(
            f"DROP TABLE IF EXISTS {SEARCHED}; CREATE TEMPORARY TABLE {SEARCHED} ON COMMIT DROP AS"  # noqa: S608
            f" SELECT 0 AS {quote(ROW)}, {', '.join(made)} FROM {quote(meta.db_table)} WITH NO DATA"
        )
        copy(self.plan.resource.database, SEARCHED, (ROW, *columns, *masks), rows)
        if self.plan.verb != Verb.CREATE:
            cursor.execute(f"ANALYZE {SEARCHED}")

    def question(self) -> tuple[str, list[Any]]:
        """One statement, and its parameters."""
        plan = self.plan
        quote, meta = connections[plan.resource.database].ops.quote_name, plan.resource.model._meta
        pk = f"t.{quote(str(meta.pk.column))}"
        columns = {name: quote(str(field_of(plan.resource.model, name).column)) for name in self.names}
        new = ", ".join(f"{self.becomes(name, column, pk)} AS {column}" for name, column in columns.items())
        old = ", ".join(f"t.{column} AS {column}" for column in columns.values())
        same = same_key(plan.resource.model, plan.resource.database, plan.key) if plan.match_by else "false"
        in_sql = condition(plan.reach(self.user), pk)
        visible, params = ("NULL::boolean", ()) if in_sql is None else in_sql
        join = "LEFT JOIN" if plan.creates else "JOIN"
        return (
            f"SELECT s.{quote(ROW)}, {pk}::text, {pk} IS NULL OR {visible},"  # noqa: S608
            f" {self.hashes('new', 'n')}, {self.hashes('old', 'o')} FROM {SEARCHED} s"
            f" {join} {quote(meta.db_table)} t ON {same}"
            f" CROSS JOIN LATERAL (SELECT {self.hashed('new')} FROM (SELECT {new}) v) n"
            # A row that is not there has nothing: nulls may be a key too.
            f" LEFT JOIN LATERAL (SELECT {self.hashed('old')} FROM (SELECT {old}) v) o ON {pk} IS NOT NULL",
            list(params),
        )

    def becomes(self, name: str, column: str, pk: str) -> str:
        """What a row's column would be; a new one has its default where it gives nothing."""
        if self.plan.verb == Verb.CREATE:
            return f"s.{column}"
        changed = f"t.{column}"
        if is_changed(self.plan, name):
            mask = connections[self.plan.resource.database].ops.quote_name(given(column.strip('"')))
            is_whole = self.plan.verb == Verb.REPLACE
            changed = f"s.{column}" if is_whole else f"CASE WHEN s.{mask} THEN s.{column} ELSE t.{column} END"
        return f"CASE WHEN {pk} IS NULL THEN s.{column} ELSE {changed} END" if self.plan.creates else changed

    def hashes(self, age: str, source: str) -> str:
        return ", ".join(f"{source}.{one}{number}_{half}" for one, number, half in self.halves() if one == age)

    def hashed(self, age: str) -> str:
        """The hashes of the constraints over a row's columns: null where the row is equal to no other."""
        found = []
        for number, one in enumerate(self.constraints):
            values = ", ".join(one.values)
            counts = [] if one.condition is None else [f"({one.condition})"]
            counts += [f"({value}) IS NOT NULL" for value in one.values if one.nulls_distinct]
            for seed, half in enumerate(("low", "high"), start=1):
                hash_of = f"hash_record_extended(ROW({values}), {seed})"
                found.append(f"CASE WHEN {' AND '.join(counts) or 'true'} THEN {hash_of} END AS {age}{number}_{half}")
        return ", ".join(found).replace("%", "%%")
