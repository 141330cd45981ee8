"""Rows that a rule of the user's does not take -> their errors, as a frame."""

from __future__ import annotations

import polars as pl

from bulkql.workers.columns.column import graphql_name


def row_errors(rows: pl.DataFrame, field: str | None, message: str, code: str = "INVALID") -> pl.DataFrame:
    """The same error for each of these rows, as clean_rows gives it: `row`, path, code, message, data."""
    values = pl.lit(None, dtype=pl.String)
    if field in rows.columns:
        is_list = isinstance(rows.schema[field], pl.List)
        values = pl.col(field).list.join(", ") if is_list else pl.col(field).cast(pl.String)
    return rows.select(
        "row",
        path=pl.lit(graphql_name(field) if field else None, dtype=pl.String),
        code=pl.lit(code),
        message=pl.lit(message),
        data=values,
    )
