"""The ways in which rows give a foreign key: by its value, and by names of its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bulkql.workers.frames import given
from bulkql.workers.resources.plan import Plan
from bulkql.workers.validation.references import with_named

if TYPE_CHECKING:
    from django.contrib.auth.models import User


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
