"""What is done to a frame before its rows are written, declared: a frame in, a frame out, in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
from polars.exceptions import ColumnNotFoundError, DuplicateError, InvalidOperationError

from bulkql.workers.errors import BadInput

if TYPE_CHECKING:
    from polars._typing import PolarsDataType


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """The steps by which a source's frame becomes a model's; they are taken in this order."""

    #: The source's name of a column -> the model's. Other columns keep their names.
    rename: Mapping[str, str] = field(default_factory=dict)
    #: Whether blanks around texts are removed: in all text columns, or in these.
    strip: bool | Sequence[str] = False
    #: Texts without a meaning, such as "" and "n/a": they become null.
    nulls: Sequence[str] = ()
    #: Columns that are added or replaced by polars expressions, which see the results of the steps before.
    columns: Mapping[str, pl.Expr] = field(default_factory=dict)
    #: The type of a column. A text that cannot be converted fails the whole command; without the cast it is an error in
    #: its row only.
    cast: Mapping[str, PolarsDataType] = field(default_factory=dict)
    #: The values that replace nulls.
    fill: Mapping[str, Any] = field(default_factory=dict)
    #: Rows that have null in one of these columns are left out.
    drop_nulls: Sequence[str] = ()
    #: Of rows that have the same values in these columns, only the last is kept.
    deduplicate: Sequence[str] = ()
    #: Columns that are left out.
    drop: Sequence[str] = ()
    #: The columns that are kept; by default all.
    keep: Sequence[str] = ()

    def clean(self, rows: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
        """The cleaned rows, in their order; raises BadInput that names the column."""
        try:
            return self._steps(rows.lazy()).collect()
        except ColumnNotFoundError as error:
            names = ", ".join(rows.lazy().collect_schema().names())
            raise BadInput(
                f"The cleaning names a column that is not there: {first_line(error)}. It has {names}."
            ) from None
        except DuplicateError as error:
            raise BadInput(f"The cleaning makes two columns of one name: {first_line(error)}.") from None
        except InvalidOperationError as error:
            raise BadInput(f"{first_line(error)}; without the `cast` it is an error in its row only.") from None

    def _steps(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        if self.rename:
            rows = rows.rename(dict(self.rename))
        texts = pl.col(pl.String) if self.strip is True or not self.strip else pl.col(*self.strip)
        if self.strip:
            rows = rows.with_columns(texts.str.strip_chars())
        if self.nulls:
            every = pl.col(pl.String)
            rows = rows.with_columns(pl.when(every.is_in(list(self.nulls))).then(None).otherwise(every).name.keep())
        if self.columns:
            rows = rows.with_columns(**self.columns)
        if self.cast:
            rows = rows.with_columns(pl.col(name).cast(kind) for name, kind in self.cast.items())
        if self.fill:
            rows = rows.with_columns(pl.col(name).fill_null(value) for name, value in self.fill.items())
        if self.drop_nulls:
            rows = rows.drop_nulls(list(self.drop_nulls))
        if self.deduplicate:
            rows = rows.unique(list(self.deduplicate), keep="last", maintain_order=True)
        if self.drop:
            rows = rows.drop(list(self.drop))
        return rows.select(self.keep) if self.keep else rows


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
