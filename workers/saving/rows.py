"""Clean rows -> instances, saved or deleted one by one: the lane SAVE.

A loop of save() over the same rows gives the same: in their order, each with its checks, its signals and its lists. A
row that is refused is undone with all that its receivers did, and its neighbours stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import polars as pl
from django.db import transaction

from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.errors import RowError, let_frames_go
from bulkql.workers.frames import RESERVED_PK, ROW, errors_of
from bulkql.workers.images.taken import own_images_now
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.scope import is_all, pks_within
from bulkql.workers.saving import faults, removal
from bulkql.workers.saving.instances import Given, changed_instance, given_by, new_instance
from bulkql.workers.saving.lists import ListsBefore, list_changed
from bulkql.workers.saving.progress import row_done
from bulkql.workers.writers import orm
from bulkql.workers.writers.bounds import beyond_reach
from bulkql.workers.writers.missing import lacking, moved, not_there, out_of_sight
from bulkql.workers.writers.triggers import may_drop
from bulkql.workers.writers.written import OUTCOME_OF_ROW, Written, together

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: A row's outcome, and its primary key as text.
Became: TypeAlias = tuple[Outcome, str]


def save_rows(plan: Plan, rows: pl.DataFrame, user: User | None) -> Written:
    """Create, update, replace, upsert or delete the rows, each in a savepoint. In a transaction."""
    if plan.verb == Verb.DELETE:
        return delete_rows(plan, rows, user)
    rows = rows.drop(RESERVED_PK, strict=False)
    there: dict[int, str] = {}
    parts: list[Written] = []
    if plan.verb != Verb.CREATE:
        there, parts = looked_up(plan, rows, user)
        told = pl.concat([part.errors[ROW] for part in parts])
        rows = rows.filter(~pl.col(ROW).is_in(told.implode()))
    drops = frozenset(verb for verb in (Verb.CREATE, Verb.UPDATE) if may_drop(plan.resource, verb))
    save = partial(save_row, plan, there, given_by(plan, rows), drops, user)
    lists = ListsBefore(plan, orm.with_pks(there))
    written = one_by_one(plan, rows[ROW], save)
    return together([*parts, replace(written, images=lists.images())])


def looked_up(plan: Plan, rows: pl.DataFrame, user: User | None) -> tuple[dict[int, str], list[Written]]:
    """The rows that are in the table, locked: their primary keys as text. And what is wrong with the others."""
    found = orm.match(plan, rows, user)
    there = {row: str(one.instance.pk) for row, one in found.items() if one.is_visible}
    hidden = rows.filter(pl.col(ROW).is_in([row for row, one in found.items() if not one.is_visible]))
    absent = rows.filter(~pl.col(ROW).is_in(list(found)))
    known = orm.with_pks(there)
    rest = lacking(plan, absent) if plan.verb == Verb.UPSERT else not_there(plan, absent)
    strays = moved(plan, rows.filter(pl.col(ROW).is_in(list(there))), known)
    kept = Written(images=own_images_now(plan, known))
    return there, [out_of_sight(plan, hidden), strays, rest, kept]


def delete_rows(plan: Plan, rows: pl.DataFrame, user: User | None) -> Written:
    """Delete the rows that are there and that the user may touch."""
    found = removal.find_removable(plan, rows, user)
    remover = removal.Remover(plan, user)
    written = one_by_one(plan, list(found.pks), lambda row: (Outcome.DELETED, remover.remove(row, found.pks[row])))
    images = remover.images(found.images)
    return together([found.refused, replace(written, cascades=remover.cascades(), images=images)])


def one_by_one(plan: Plan, rows: Iterable[int], act: Callable[[int], Became]) -> Written:
    """Let each row become what it is to be, or take back all that it did."""
    became: list[tuple[int, str, str]] = []
    errors: list[tuple[int, RowError]] = []
    reported: set[str] = set()
    for row in rows:
        try:
            with transaction.atomic(using=plan.resource.database):
                outcome, pk = act(row)
            became.append((row, outcome.value, pk))
        # Models and receivers may raise anything; what is no row's fault is raised on.
        except Exception as error:
            errors += [(row, one) for one in faults.row_errors_from(plan.resource, error, reported)]
            let_frames_go(error)
        row_done()
    return Written(pl.DataFrame(became, schema=OUTCOME_OF_ROW, orient="row"), errors_of(errors))


def save_row(
    plan: Plan, there: dict[int, str], given: Given, drops: frozenset[Verb], user: User | None, row: int
) -> Became:
    """Save one row as a new instance or over the one that is there; raises whatever refuses it.

    `drops`: of what triggers are asked before it happens.
    """
    outcome, instance = Outcome.CREATED, None
    if row in there:
        instance, is_changed = changed_instance(plan, there[row], given.changes[row], drops)
        outcome = Outcome.UPDATED if is_changed else Outcome.UNCHANGED
    else:
        instance = new_instance(plan, given.attributes[row], drops)
    for column, *_ in plan.lists.values():
        is_changed = list_changed(plan, column, instance, given.lists[column.name][row], outcome, user)
        if is_changed and outcome == Outcome.UNCHANGED:
            outcome = Outcome.UPDATED
    if outcome != Outcome.UNCHANGED and plan.is_bounded:
        scope = plan.reach(user)
        if not is_all(scope) and instance.pk not in pks_within(scope, [instance.pk]):
            raise faults.Refused(beyond_reach(plan))
    return outcome, str(instance.pk)
