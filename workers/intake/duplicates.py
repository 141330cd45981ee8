"""Raw frames of a request -> which rows are superseded by a later row of the same key, and whose values change hands.

All rows of a request count, whichever chunk they fall in, and whether or not they turn out to be valid: so the
verdict never depends on the size of chunks or on who writes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from typing import TYPE_CHECKING

import polars as pl

from bulkql.workers.columns.cells import NULL
from bulkql.workers.columns.column import graphql_name
from bulkql.workers.frames import GIVES_TO, SUPERSEDED_BY, SUPERSEDED_KEY, TAKES_FROM, given
from bulkql.workers.intake.names import columns_of, named_by_value
from bulkql.workers.intake.trades import TradeSearch
from bulkql.workers.resources.keys import UniqueKey
from bulkql.workers.resources.plan import Plan
from bulkql.workers.spill import Spill, SpilledRows, last_rows
from bulkql.workers.validation.making import prepared
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
        self._trades = Spill()
        self._span: tuple[int, pl.DataFrame] | None = None

    def add(self, verdicts: pl.DataFrame) -> None:
        """Verdicts: `row`, and the two columns that mark gives a raw frame."""
        self._verdicts.add(verdicts.with_columns(bucket=pl.col("row") // SPAN))

    def add_trades(self, pairs: pl.DataFrame) -> None:
        """Rows of which one gives up what the other takes: `gives`, `takes`."""
        for row, other in (("gives", "takes"), ("takes", "gives")):
            is_giving = pl.lit(row == "gives")
            columns = {"row": row, "other": other, "is_giving": is_giving, "bucket": pl.col(row) // SPAN}
            self._trades.add(pairs.select(**columns))

    def mark(self, raw: pl.DataFrame, row_start: int) -> pl.DataFrame:
        """A raw frame whose superseded rows say by which row and by which key, and others with whom they trade."""
        if raw.is_empty():
            return raw
        return self._mark_trades(self._mark_superseded(raw, row_start), row_start)

    def _mark_trades(self, raw: pl.DataFrame, row_start: int) -> pl.DataFrame:
        spans = range(row_start // SPAN, (row_start + raw.height - 1) // SPAN + 1)
        found = [part for span in spans if not (part := self._trades.read(span)).is_empty()]
        if not found:
            return raw
        rows = pl.DataFrame({"row": pl.int_range(row_start, row_start + raw.height, eager=True)})
        of_frame = [part.join(rows, on="row", how="semi") for part in found]
        if all(part.is_empty() for part in of_frame):
            return raw
        others = (
            pl.concat(of_frame)
            .group_by("row")
            .agg(
                pl.col("other").filter("is_giving").alias(GIVES_TO),
                pl.col("other").filter(~pl.col("is_giving")).alias(TAKES_FROM),
            )
        )
        marks = rows.join(others, on="row", how="left", maintain_order="left")
        return raw.with_columns(marks[GIVES_TO], marks[TAKES_FROM])

    def _mark_superseded(self, raw: pl.DataFrame, row_start: int) -> pl.DataFrame:
        spans = range(row_start // SPAN, (row_start + raw.height - 1) // SPAN + 1)
        verdicts = pl.concat([self._read(span) for span in spans])
        if verdicts.is_empty():
            return raw
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
        self._trades.close()

    def _read(self, span: int) -> pl.DataFrame:
        if self._span is None or self._span[0] != span:
            found = self._verdicts.read(span)
            empty = pl.DataFrame(schema={"row": pl.Int64, SUPERSEDED_BY: pl.Int64, SUPERSEDED_KEY: pl.String})
            self._span = span, empty if found.is_empty() else found.select(empty.columns)
        return self._span[1]


def marked(plan: Plan, raw: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """All rows of a request in one frame, marked as Superseded.mark marks them."""
    ready = prepared(plan, raw)
    values = key_values(plan, ready, user) if plan.keys else ready
    repeated = [key for key in plan.keys if values.select(columns_of_key(plan, key)).is_duplicated().any()]
    with closing(Superseded()) as verdicts, closing(TradeSearch(plan, user)) as trades:
        for key in repeated:
            for found in losers(SpilledRows([], [hashed(plan, values, key, 0)]), key):
                verdicts.add(found)
        # One row alone is in nobody's way.
        if raw.height > 1:
            trades.add(ready, 0)
        settle(verdicts, trades)
        return verdicts.mark(raw, 0)


def find_superseded(plan: Plan, frames: Iterable[pl.DataFrame], user: User | None) -> Superseded:
    """Read all frames once, and find the rows whose key comes again later; `user` is whose rows they may name."""
    keys = plan.keys
    verdicts = Superseded()
    with ExitStack() as stack:
        trades = stack.enter_context(closing(TradeSearch(plan, user)))
        if not keys and not trades.constraints:
            return verdicts
        hashes = [stack.enter_context(closing(Spill())) for _ in keys]
        row = 0
        for raw in frames:
            ready = prepared(plan, raw)
            values = key_values(plan, ready, user)
            for key, spill in zip(keys, hashes, strict=True):
                spill.add(hashed(plan, values, key, row))
            trades.add(ready, row)
            row += raw.height
        for key, spill in zip(keys, hashes, strict=True):
            for part in spill.parts():
                for found in losers(part, key):
                    verdicts.add(found)
        settle(verdicts, trades)
    return verdicts


def settle(verdicts: Superseded, trades: TradeSearch) -> None:
    """Add what the database told."""
    for superseded, pairs in trades.results():
        verdicts.add(superseded)
        verdicts.add_trades(pairs)


def key_values(plan: Plan, raw: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """The values of all fields in keys, and in `null:` columns whether a row gives an explicit null.

    7 and 7.0 are one number, and a moment is one in any time zone. A foreign key may stand there by the columns that
    name its target instead, where that is not in the table yet.
    """
    names = dict.fromkeys(name for key in plan.keys for field in key.fields for name in columns_of(plan, field))
    columns = [plan.all_columns[name] for name in names]
    rows, _ = parsed(columns, raw)
    for field in {field for key in plan.keys for field in key.fields}:
        rows = named_by_value(plan, field, rows, user)
    series = [one.comparable(rows[one.name]).alias(one.name) for one in columns]
    nulls = [
        # The second is what a field makes null of.
        (raw[one.name] == NULL).fill_null(False) | (values.is_null() & rows[one.name].is_not_null())
        if one.name in raw.columns
        else rows[given(one.name)]
        for one, values in zip(columns, series, strict=True)
    ]
    return pl.DataFrame(
        [*series, *(null.alias(explicit_null(one.name)) for one, null in zip(columns, nulls, strict=True))]
    )


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


def losers(rows: SpilledRows, key: UniqueKey) -> Iterator[pl.DataFrame]:
    """All rows of a key but its last."""
    name = ", ".join(graphql_name(field) for field in key.fields)
    winners = last_rows(candidates(rows), ["low", "high"])
    for hashes in rows.batches() if winners.height else ():
        found = hashes.join(winners, on=["low", "high"], maintain_order="left")
        lost = found.filter(pl.col("row") < pl.col("last"))
        yield lost.select("row", pl.col("last").alias(SUPERSEDED_BY), pl.lit(name).alias(SUPERSEDED_KEY))


def candidates(rows: SpilledRows) -> Iterator[pl.DataFrame]:
    """The rows whose key may come again: all of them, where they are too many to be compared at once."""
    first, *more = islice(rows.batches(), 2)
    # Half of a hash leaves next to nothing to compare as a whole, which takes ten times the memory.
    yield from rows.batches() if more else [first.filter(pl.col("low").is_duplicated())]
