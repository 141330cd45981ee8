"""Rows as they were written -> those that are out of the user's scope now are taken back, and named.

This is the WITH CHECK of get_queryset. Only the database knows what a row has become (defaults, triggers, links), so it
is asked once the rows are there, for a whole chunk at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl
from django.db import transaction

from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import ROW, ROW_NUMBER, errors_at
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.scope import is_all, pks_within
from bulkql.workers.writers.written import Written, together

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Times that the rest of a chunk is written again. One will do, but for a scope that looks at other rows of the table.
ROUNDS = 10


def write_within(
    plan: Plan, rows: pl.DataFrame, user: User | None, write: Callable[[pl.DataFrame], Written]
) -> Written:
    """Write the rows but those that the user could not see afterwards: they are FORBIDDEN."""
    if plan.verb == Verb.DELETE or not plan.is_bounded or is_all(plan.reach(user)):
        return write(rows)
    refused: list[Written] = []
    for _ in range(ROUNDS):
        with transaction.atomic(using=plan.resource.database):
            written = write(rows)
            strays = out_of_scope(plan, written, user)
            # To undo the strays alone would leave what their neighbours became because of them.
            transaction.set_rollback(not strays.is_empty(), using=plan.resource.database)
        if strays.is_empty():
            return together([*refused, written])
        refused.append(forbidden(plan, strays))
        rows = rows.filter(~pl.col(ROW).is_in(strays.implode()))
    return together([*refused, forbidden(plan, rows[ROW])])


def out_of_scope(plan: Plan, written: Written, user: User | None) -> pl.Series:
    """The rows that were created or changed, and that the user may not see as they are now."""
    is_touched = pl.col("outcome").is_in([Outcome.CREATED.value, Outcome.UPDATED.value])
    touched = written.outcomes.filter(is_touched)
    pks = [plan.resource.pk.value_field.to_python(text) for text in touched["pk"]]
    seen = pks_within(plan.reach(user), pks) if pks else set()
    strays = [row for row, pk in zip(touched[ROW], pks, strict=True) if pk not in seen]
    return pl.Series(ROW, strays, dtype=ROW_NUMBER)


def forbidden(plan: Plan, rows: pl.Series) -> Written:
    """Their row errors."""
    return Written(errors=errors_at(rows, beyond_reach(plan)))


def beyond_reach(plan: Plan) -> RowError:
    """The row error of a stray. Which of its values is at fault, only get_queryset knows."""
    name = plan.resource.model._meta.verbose_name
    limit = ", and that `where` finds" if plan.within is not None else ""
    message = f"You could not see this {name} afterwards: it must be one of those that you may see{limit}."
    return RowError(None, Code.FORBIDDEN, message)
