"""Validated rows -> rows of the database, level by level, by the writer of their plan's lane."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from bulkql.workers.backends import backend
from bulkql.workers.enums import Lane, Verb
from bulkql.workers.evidence.names import Witness
from bulkql.workers.frames import RESERVED_PK, no_errors
from bulkql.workers.intake.reservation import with_keys
from bulkql.workers.operations.existing import left_as_they_are
from bulkql.workers.resources.plan import Plan
from bulkql.workers.reverting.rows import revert_rows
from bulkql.workers.saving.rows import save_rows
from bulkql.workers.validation.hooks import as_stored, cleaned
from bulkql.workers.validation.levels import levels
from bulkql.workers.validation.making import made
from bulkql.workers.validation.members import resolve_lists
from bulkql.workers.validation.references import resolve
from bulkql.workers.validation.sealing import withheld
from bulkql.workers.validation.values import Validated
from bulkql.workers.writers import deletion, orm, postgres
from bulkql.workers.writers.bounds import write_within
from bulkql.workers.writers.links import write_lists
from bulkql.workers.writers.written import Written, together

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def write_rows(plan: Plan, validated: Validated, user: User | None, witness: Witness | None = None) -> Written:
    """Resolve the rows' references and write them; gives what became of all rows, the invalid ones too."""
    if plan.verb == Verb.REVERT:
        return revert_rows(plan, validated.rows, user)
    parts = [Written(errors=validated.errors)]
    for level in levels(plan, validated.rows):
        resolved = resolve(plan, Validated(level, no_errors()), user)
        resolved = resolve_lists(plan, level, resolved, user)
        if witness is not None:
            resolved = witness.look(plan, level, resolved)
        found = cleaned(plan, resolved)
        rows = as_stored(plan, made(plan, found.rows))
        written = in_lane(plan)(plan, rows, user)
        if plan.skips_existing:
            written = left_as_they_are(plan, rows, written, user)
        parts += [Written(errors=withheld(plan, found.errors, level)), written]
    return together(parts)


def in_lane(plan: Plan) -> Callable[[Plan, pl.DataFrame, User | None], Written]:
    """What writes clean rows in the plan's lane."""
    return save_rows if plan.lane == Lane.SAVE else copy_rows


def copy_rows(plan: Plan, rows: pl.DataFrame, user: User | None) -> Written:
    """Write clean rows as columns, within the user's bounds."""
    # Rows that were stored while their model was to be saved have no keys yet.
    if plan.verb == Verb.CREATE and RESERVED_PK not in rows.columns and not rows.is_empty():
        rows = with_keys(plan.resource, rows)
    return write_within(plan, rows, user, partial(write_level, plan, user))


def write_level(plan: Plan, user: User | None, rows: pl.DataFrame) -> Written:
    """Write clean rows and their lists."""
    return write_lists(plan, rows, writer(plan)(plan, rows, user), user)


def writer(plan: Plan) -> Callable[[Plan, pl.DataFrame, User | None], Written]:
    """The writer for the verb and the resource's database."""
    if plan.verb == Verb.DELETE:
        return deletion.delete
    return postgres.write if backend(plan.resource.database).supports_copy else orm.write
