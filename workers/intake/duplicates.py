"""Raw frames of a request -> which rows are superseded by a later row of the same key.

All rows of a request count, whichever chunk they fall in, and whether or not they turn out to be valid: so the
verdict depends on the request alone, and never on the size of chunks or on who writes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import polars as pl

from bulkql.workers.columns.cells import NULL
from bulkql.workers.columns.column import graphql_name
from bulkql.workers.frames import SUPERSEDED_BY, SUPERSEDED_KEY, given
from bulkql.workers.intake.spill import Spill
from bulkql.workers.resources.keys import UniqueKey
from bulkql.workers.resources.plan import Plan
from bulkql.workers.validation.making import prepared
from bulkql.workers.validation.references import with_named
from bulkql.workers.validation.values import parsed

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Parts in which the keys' hashes are compared.
PARTS = 32
#: Rows of the input whose verdicts are kept together.
SPAN = 1_000_000


class Superseded:
    """The verdicts, read back in the order of the rows."""

    def __init__(self) -> None:
        self._verdicts = Spill()
        self._span: tuple[int, pl.DataFrame] | None = None

    def add(self, verdicts: pl.DataFrame) -> None:
        """Verdicts: `row`, and the two columns that mark gives a raw frame."""
        self._verdicts.add(verdicts.with_columns(bucket=pl.col("row") // SPAN))

    def mark(self, raw: pl.DataFrame, row_start: int) -> pl.DataFrame:
        """A raw frame whose superseded rows say by which row and by which key."""
        if raw.is_empty():
            return raw
        spans = range(row_start // SPAN, (row_start + raw.height - 1) // SPAN + 1)
        verdicts = pl.concat([self._read(span) for span in spans])
        verdicts = verdicts.filter(pl.col("row").is_between(row_start, row_start + raw.height - 1))
        if verdicts.is_empty():
            return raw
        # A row may lose by several keys: the first of them stands for it.
        verdicts = verdicts.unique("row", keep="first", maintain_order=True)
        rows = pl.DataFrame({"row": pl.int_range(row_start, row_start + raw.height, eager=True)})
        marks = rows.join(verdicts, on="row", how="left", maintain_order="left")
        return raw.with_columns(marks[SUPERSEDED_BY], marks[SUPERSEDED_KEY])

    def close(self) -> None:
        self._verdicts.close()

    def _read(self, span: int) -> pl.DataFrame:
        if self._span is None or self._span[0] != span:
            found = self._verdicts.read(span)
            empty = pl.DataFrame(schema={"row": pl.Int64, SUPERSEDED_BY: pl.Int64, SUPERSEDED_KEY: pl.String})
            self._span = span, empty if found.is_empty() else found.select(empty.columns)
        return self._span[1]


def marked(plan: Plan, raw: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """All rows of a request in one frame, those superseded by a later one marked as Superseded.mark marks them."""
    values = key_values(plan, raw, user) if plan.keys else raw
    repeated = [key for key in plan.keys if values.select(columns_of_key(plan, key)).is_duplicated().any()]
    with closing(Superseded()) as verdicts:
        for key in repeated:
            verdicts.add(losers(hashed(plan, values, key, 0), key))
        return verdicts.mark(raw, 0) if repeated else raw


def find_superseded(plan: Plan, frames: Iterable[pl.DataFrame], user: User | None) -> Superseded:
    """Read all frames once, and find the rows whose key comes again later; `user` is whose rows they may name."""
    keys = plan.keys
    verdicts = Superseded()
    if not keys:
        return verdicts
    with ExitStack() as stack:
        hashes = [stack.enter_context(closing(Spill())) for _ in keys]
        row = 0
        for raw in frames:
            values = key_values(plan, raw, user)
            for key, spill in zip(keys, hashes, strict=True):
                spill.add(hashed(plan, values, key, row))
            row += raw.height
        for key, spill in zip(keys, hashes, strict=True):
            for part in spill.parts():
                verdicts.add(losers(part, key))
    return verdicts


def key_values(plan: Plan, raw: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """The values of all fields in keys, and in `null:` columns whether a row gives an explicit null.

    7 and 7.0 are one number, and a moment is one in any time zone. A foreign key may stand there by the columns that
    name its target instead, where that is not in the table yet.
    """
    names = dict.fromkeys(name for key in plan.keys for field in key.fields for name in columns_of(plan, field))
    columns = [plan.all_columns[name] for name in names]
    raw = prepared(plan, raw)
    rows, _ = parsed(columns, raw)
    for field in {field for key in plan.keys for field in key.fields}:
        rows = named_by_value(plan, field, rows, user)
    series = [one.comparable(rows[one.name]).alias(one.name) for one in columns]
    nulls = [
        (raw[one.name] == NULL).fill_null(False) if one.name in raw.columns else rows[given(one.name)]
        for one in columns
    ]
    return pl.DataFrame(
        [*series, *(null.alias(explicit_null(one.name)) for one, null in zip(columns, nulls, strict=True))]
    )


def named_by_value(plan: Plan, field: str, rows: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """A foreign key's values in place of names: a row that gives 7 and one that gives the 7th's name mean the same."""
    # A target that the user may not name so is not looked for: which row it is would be told by the verdict.
    named = [one for one in plan.naming_columns.get(field, []) if one.name not in plan.unnamable]
    if not any(rows[given(one.name)].any() for one in named):
        return rows
    filled, _ = with_named(plan, plan.columns[field], named, rows, user)
    keeps_name = rows[given(field)] | ~filled[given(field)]
    return rows.with_columns(
        filled[field], *(pl.when(keeps_name).then(pl.col(one.name)).alias(one.name) for one in named)
    )


def columns_of(plan: Plan, field: str) -> list[str]:
    """The columns in which rows may give a field."""
    return [field, *(column.name for column in plan.naming_columns.get(field, ()))]


def columns_of_key(plan: Plan, key: UniqueKey) -> list[str]:
    """All columns in which rows may give a key."""
    return [name for field in key.fields for name in columns_of(plan, field)]


def explicit_null(name: str) -> str:
    return f"null:{name}"


def hashed(plan: Plan, values: pl.DataFrame, key: UniqueKey, row_start: int) -> pl.DataFrame:
    """The keys of rows as 128 bits, which no two of them share by chance.

    Nulls are equal to nothing, or to other nulls as the key says; what a row does not give, or gives wrongly, is no
    null, and nobody knows yet what it will be.
    """
    fields = values.select(columns_of_key(plan, key))
    frame = pl.DataFrame(
        {
            "low": fields.hash_rows(seed=1),
            "high": fields.hash_rows(seed=2),
            "row": pl.int_range(row_start, row_start + values.height, eager=True),
        }
    )
    known = [
        pl.any_horizontal(pl.col(name).is_not_null() for name in columns_of(plan, field))
        | (pl.col(explicit_null(field)) if not key.nulls_distinct else pl.lit(False))
        for field in key.fields
    ]
    frame = frame.filter(values.select(pl.all_horizontal(known)).to_series())
    return frame.with_columns(bucket=(pl.col("low") % PARTS).cast(pl.Int64))


def losers(hashes: pl.DataFrame, key: UniqueKey) -> pl.DataFrame:
    """All rows of a key but its last."""
    name = ", ".join(graphql_name(field) for field in key.fields)
    # Half of a hash leaves next to nothing to compare as a whole, which takes ten times the memory.
    return (
        hashes.filter(pl.col("low").is_duplicated())
        .filter(pl.struct("low", "high").is_duplicated())
        .with_columns(pl.col("row").max().over("low", "high").alias(SUPERSEDED_BY))
        .filter(pl.col("row") < pl.col(SUPERSEDED_BY))
        .select("row", SUPERSEDED_BY, pl.lit(name).alias(SUPERSEDED_KEY))
    )
