"""Rows whose unique key the table has already -> UNCHANGED, with the primary key of the row that has it: skipExisting.

The writers find them as violations of unique constraints, so that rows which others insert meanwhile count too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
from django.db import connections

from bulkql.workers.backends import backend
from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.errors import Code
from bulkql.workers.frames import ROW, ROW_NUMBER
from bulkql.workers.resources.keys import UniqueKey, same_key
from bulkql.workers.resources.lanes import has_several_tables
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.rights import unreadable_fields
from bulkql.workers.resources.scope import pks_within
from bulkql.workers.writers import orm, staging
from bulkql.workers.writers.table import changes_of
from bulkql.workers.writers.written import Written, outcomes

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: `__row`, and the primary key, as text, of the row of the table that has its key.
HOLDERS = {ROW: ROW_NUMBER, "pk": pl.String}


def left_as_they_are(plan: Plan, rows: pl.DataFrame, written: Written, user: User | None) -> Written:
    """What a writer did with these rows; those of which nothing is wrong but that they exist are UNCHANGED."""
    is_taken = pl.col("code") == Code.ALREADY_EXISTS.value
    wrong = written.errors.filter(~is_taken)[ROW].implode()
    is_there = is_taken & ~pl.col(ROW).is_in(wrong)
    there = written.errors.filter(is_there).select(ROW).unique(maintain_order=True)
    if there.is_empty():
        return written
    found = holders(plan, rows.join(there, on=ROW, how="semi", maintain_order="left"), user)
    known = there.join(found, on=ROW, how="left", maintain_order="left")
    unchanged = outcomes(known[ROW], Outcome.UNCHANGED, known["pk"])
    return replace(written, outcomes=pl.concat([written.outcomes, unchanged]), errors=written.errors.filter(~is_there))


def holders(plan: Plan, rows: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """The rows of the table that have the keys of these, as far as the user may know them: HOLDERS."""
    unreadable = unreadable_fields(plan.resource, user)
    found = pl.DataFrame(schema=HOLDERS)
    for key in plan.keys:
        # To tell which row has a secret would tell whose secret it is.
        if unreadable.isdisjoint((*key.fields, plan.resource.pk.name)):
            rest = rows.join(found, on=ROW, how="anti", maintain_order="left")
            found = pl.concat([found, holders_of(plan, key, rest, user)])
    return found


def holders_of(plan: Plan, key: UniqueKey, rows: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """The same, by one key."""
    if rows.is_empty():
        return pl.DataFrame(schema=HOLDERS)
    # A delete's rows are their keys, and nothing else.
    by_key = replace(plan, verb=Verb.DELETE, match_by=key.fields)
    if has_several_tables(plan.resource.model) or not backend(plan.resource.database).supports_copy:
        matched = orm.match(by_key, rows, user)
        told = [(row, str(one.instance.pk)) for row, one in matched.items() if one.is_visible]
        return pl.DataFrame(told, schema=HOLDERS, orient="row")
    found = staged_holders(by_key, key, rows)
    if not plan.is_bounded:
        return found
    pks = [plan.resource.pk.value_field.to_python(text) for text in found["pk"]]
    visible = pks_within(plan.reach(user), pks)
    return found.filter(pl.Series([pk in visible for pk in pks], dtype=pl.Boolean))


def staged_holders(plan: Plan, key: UniqueKey, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of the table by a join. They are not locked: nobody waits for whoever changes one of them."""
    table = changes_of(plan, rows)
    staging.stage(plan.resource, table)
    quote = connections[plan.resource.database].ops.quote_name
    with connections[plan.resource.database].cursor() as cursor:
        cursor.execute(
            f"SELECT s.{quote(ROW)}, t.{quote(table.pk)}::text FROM {staging.STAGING} s"  # noqa: S608
            f" JOIN {quote(table.name)} t ON {same_key(plan.resource.model, plan.resource.database, key)}"
        )
        return pl.DataFrame(cursor.fetchall(), schema=HOLDERS, orient="row")
