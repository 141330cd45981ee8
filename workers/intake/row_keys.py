"""Raw rows of a sync -> the keys that they name, and the rows of which nobody knows which row of the table they mean.

A bad row names its key like any other. But where the key itself cannot be read, or names a foreign key's target that is
not found or may get another name by this very request, any row of the table may be meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from bulkql.workers.columns.cells import NULL
from bulkql.workers.columns.column import Column, by_name
from bulkql.workers.errors import Code
from bulkql.workers.frames import ROW, given
from bulkql.workers.intake.names import columns_of, named_by_value
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import resource_of
from bulkql.workers.validation.making import prepared
from bulkql.workers.validation.values import intake_errors, parsed

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a chunk's rows.

    `rows`: `__row` and the fields of the key, where they may name a row of the table; `unreadable`: their `__row`.
    """

    rows: pl.DataFrame
    unreadable: pl.Series


def keys_in(plan: Plan, raw: pl.DataFrame, user: User | None, together: Mapping[str, frozenset[str]]) -> Keys:
    """The keys that a raw frame names; `together`: the keys by which the request finds rows, by resource."""
    ready = prepared(plan, raw)
    columns = [plan.all_columns[name] for field in plan.match_by for name in columns_of(plan, field)]
    rows, _ = parsed(columns, ready)
    doubts = [pl.col(ROW).is_in(unread(plan, raw).implode())]
    absent = []
    for field in plan.match_by:
        # Where the field takes none, a null is a value that got lost.
        may_be_null = field in ready.columns and plan.columns[field].field.null
        is_null = (ready[field] == NULL).fill_null(False) if may_be_null else pl.lit(False)
        rows = rows.with_columns(is_null.alias(f"null:{field}"))
        naming = [one for one in plan.naming_columns.get(field, ()) if given(one.name) in rows.columns]
        is_named = pl.any_horizontal(*(pl.col(given(one.name)) for one in naming), pl.lit(False))
        rows = rows.with_columns(is_named.alias(f"named:{field}"))
        if naming and given(field) in rows.columns:
            # A row that gives both may mean either.
            doubts.append(pl.col(given(field)) & is_named)
        rows = named_by_value(plan, field, rows, user)
        is_lost = pl.col(field).is_null() & ~pl.col(f"null:{field}")
        if naming and is_new(naming, plan, together):
            # It may be a row of the same request, to which no row of the table points yet.
            absent.append(is_lost & pl.col(f"named:{field}"))
            is_lost &= ~pl.col(f"named:{field}")
        elif naming and target_in(plan, field, together):
            is_lost |= pl.col(f"named:{field}")
        doubts.append(is_lost)
    unreadable = rows.filter(pl.any_horizontal(doubts))[ROW]
    names_nothing = pl.any_horizontal(*absent, pl.lit(False))
    readable = rows.filter(~pl.any_horizontal(doubts) & ~names_nothing)
    return Keys(readable.select(ROW, *plan.match_by), unreadable)


def unread(plan: Plan, raw: pl.DataFrame) -> pl.Series:
    """Rows that could not be read, as a whole or where their key stands. Where a broken record ends is a guess."""
    columns = [plan.columns[name].graphql_name for name in plan.match_by]
    ways = [*columns, *(by_name(name) for name in plan.match_by)]
    field = pl.col("path").str.split(".").list.first()
    is_of_key = pl.col("path").is_null() | field.is_in(ways) | (pl.col("code") == Code.MALFORMED.value)
    return intake_errors(raw).filter(is_of_key)[ROW]


def target_in(plan: Plan, field: str, together: Mapping[str, frozenset[str]]) -> str | None:
    """The resource of a foreign key's target, if the same request writes it."""
    column = plan.columns[field]
    target = resource_of(column.target) if column.target is not None else None
    return target.name if target is not None and target.name in together else None


def is_new(naming: list[Column], plan: Plan, together: Mapping[str, frozenset[str]]) -> bool:
    """Whether a name that nobody has is that of a new row: the request finds its targets by the same key."""
    target = target_in(plan, str(naming[0].names), together)
    return target is not None and together[target] == {one.field.name for one in naming}
