"""Rows that a rule of the user's does not take -> their errors, as a frame."""

from __future__ import annotations

import polars as pl

from bulkql.workers.columns.column import graphql_name
from bulkql.workers.errors import Code


def row_errors(rows: pl.DataFrame, field: str | None, message: str, code: str = Code.INVALID) -> pl.DataFrame:
    """The same error for each of these rows, as clean_rows gives it: `row`, path, code, message, data.

    `rows` are some of those that clean_rows got; `field` is the one at fault, or None for the whole row. `code` is one
    of RowErrorCode in the GraphQL schema, or of Django's for a ValidationError (`max_length`); clients see any other
    as INVALID, with its message.
    """
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
