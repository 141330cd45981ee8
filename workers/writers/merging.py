"""Staged rows -> rows of a PostgreSQL table that change, and for an upsert new ones.

Rows that are there are locked in the order of their keys, so that two operations over the same rows wait for each
other instead of standing in each other's way. What another operation inserts meanwhile is found in the next round.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
from django.db import DatabaseError, OperationalError, connections, transaction

from bulkql.workers.columns.arrays import array, returned
from bulkql.workers.columns.collations import ignores_differences
from bulkql.workers.columns.copied import frame_of
from bulkql.workers.columns.copying import copy_texts
from bulkql.workers.columns.sequences import key_sequence
from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.frames import ROW, ROW_NUMBER
from bulkql.workers.images.literals import pk_of
from bulkql.workers.images.taken import image_sql, own_images
from bulkql.workers.resources.keys import same_key
from bulkql.workers.resources.lanes import fields_to_write, is_djangos
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import field_of
from bulkql.workers.resources.scope import condition, pks_within
from bulkql.workers.writers import orm, staging
from bulkql.workers.writers.missing import lacking, moved, not_there, out_of_sight
from bulkql.workers.writers.staging import STAGING
from bulkql.workers.writers.table import Table, changes_of, is_copyable
from bulkql.workers.writers.triggers import may_drop, without_dropped
from bulkql.workers.writers.violations import is_of_a_row
from bulkql.workers.writers.written import Written, nothing, outcomes, together

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: What rows of the table would be, for those that look for guilty ones.
MERGED = "bulkql_merged"
#: Rounds in which rows appear and vanish under an upsert's hands before it gives up, to try again later.
ROUNDS = 10


def merge(plan: Plan, rows: pl.DataFrame, user: User | None) -> Written:
    """Update, replace or upsert the rows."""
    if not is_copyable(plan.resource.model):
        return orm.merge(plan, rows, user)
    table, refused = staging.stage_all(plan.resource, changes_of(plan, rows))
    staging.analyze(plan.resource)
    rows = rows.filter(~pl.col(ROW).is_in(refused[ROW].implode()))
    return together([Written(errors=refused), rounds(plan, table, rows, user)])


def rounds(plan: Plan, table: Table, rows: pl.DataFrame, user: User | None) -> Written:
    """Change the rows that are there, and insert the others if the verb does so."""
    parts: list[Written] = []
    for _ in range(ROUNDS):
        found = found_rows(plan, table, rows[ROW], user)
        hidden = rows.join(found.filter(~pl.col("visible")), on=ROW, how="semi", maintain_order="left")
        strays = moved(plan, rows, found.filter("visible"))
        there = found.filter(pl.col("visible") & ~pl.col(ROW).is_in(strays.errors[ROW].implode()))
        absent = rows.join(found, on=ROW, how="anti", maintain_order="left")
        same = there.filter(~pl.col("differs"))
        unchanged = Written(outcomes(same[ROW], Outcome.UNCHANGED, same["pk"]))
        changed = replace(change_all(plan, table, there.filter("differs")), images=own_images(plan, there))
        parts += [out_of_sight(plan, hidden), strays, unchanged, changed]
        if plan.verb != Verb.UPSERT:
            return together([*parts, not_there(plan, absent)])
        poor = lacking(plan, absent)
        rich = absent.filter(~pl.col(ROW).is_in(poor.errors[ROW].implode()))
        written = insert_all(plan, table, rich)
        parts += [poor, written]
        done = pl.concat([written.outcomes[ROW], written.errors[ROW]])
        rows = rich.filter(~pl.col(ROW).is_in(done.implode()))
        if rows.is_empty():
            return together(parts)
    if is_secured(plan):
        # Their keys are those of rows that a policy of the database hides.
        return together([*parts, out_of_sight(plan, rows)])
    raise OperationalError("rows of an upsert appear and vanish")


def is_secured(plan: Plan) -> bool:
    """Whether row level security hides rows of the table from the service itself."""
    connection = connections[plan.resource.database]
    with connection.cursor() as cursor:
        name = connection.ops.quote_name(plan.resource.model._meta.db_table)
        cursor.execute("SELECT row_security_active(to_regclass(%s))", [name])
        return bool(cursor.fetchone()[0])


def found_rows(plan: Plan, table: Table, wanted: pl.Series, user: User | None) -> pl.DataFrame:
    """The staged rows that are in the table: `__row`, pk (as text), visible (to the user), differs (may be changed),
    image (of those that are locked).

    Those that differ are locked. Most rows of a sync are in the table as they are sent, and to lock them would be to
    write them; of other verbs' rows most change, and are locked without a look at them.
    """
    if not plan.is_sync:
        return locked(plan, table, wanted, user)
    changed = changed_columns(plan, table)
    compared = matched(plan, table, wanted, user, differing(plan, table, changed) if changed else "false")
    other = compared.filter("differs")[ROW]
    same = compared.filter(~pl.col("differs"))
    return same if other.is_empty() else pl.concat([same, locked(plan, table, other, user)])


def locked(plan: Plan, table: Table, wanted: pl.Series, user: User | None) -> pl.DataFrame:
    """The same, all of them locked, in the order of their keys."""
    pk = pk_of(plan.resource.model, plan.resource.database)
    return matched(plan, table, wanted, user, "true", f"ORDER BY {pk} FOR UPDATE OF t")


def matched(
    plan: Plan, table: Table, wanted: pl.Series, user: User | None, differs: str, locks: str = ""
) -> pl.DataFrame:
    """The same; `differs` and `locks` in SQL."""
    quote, pk = connections[plan.resource.database].ops.quote_name, pk_of(plan.resource.model, plan.resource.database)
    in_sql = condition(plan.reach(user), pk)
    visible, params = ("true", ()) if in_sql is None else in_sql
    image = image_sql(plan) if locks else "NULL::text"
    are_wanted, these = staged(table, wanted)
    query = (
        f"SELECT s.{quote(ROW)}, {pk}, ({visible})::text, ({differs})::text, {image} FROM {STAGING} s"  # noqa: S608
        f" JOIN {quote(table.name)} t ON {key_condition(plan)} WHERE {are_wanted} {locks}"
    )
    schema = {ROW: ROW_NUMBER, "pk": pl.String, "visible": pl.Boolean, "differs": pl.Boolean, "image": pl.String}
    found = frame_of(plan.resource.database, query, [*params, *these], schema)
    return found if in_sql is not None else found.with_columns(visible=are_visible(plan, found["pk"], user))


def staged(table: Table, wanted: pl.Series) -> tuple[str, list[str]]:
    """A condition on the staged rows `s`, in SQL, and its parameters: they are the wanted ones.

    Most often all are, and no number is told: the planner looks at each, which takes as long as to find its row.
    """
    if len(wanted) == table.frame.height:
        return "true", []
    return f's."{ROW}" = ANY(%s::int[])', [array(wanted)]


def differing(plan: Plan, table: Table, changed: list[str]) -> str:
    """A row `t` of the table is not yet as the staged row `s` will have it; in SQL."""
    quote = connections[plan.resource.database].ops.quote_name
    # Compared as texts: types of fields that are not Django's, which may have no equality (json, xml, point) or one of
    # their own (boxes of the same area are equal), and texts that may be equal and differ.
    fields = {str(one.field.column): one.value_field for one in plan.columns.values()}
    loose = {name for name, one in fields.items() if not is_djangos(type(one)) or ignores_differences(one)}
    pairs = [
        (f'({old})::text COLLATE "C"', f'({new})::text COLLATE "C"') if column in loose else (old, new)
        for column in changed
        for old, new in [(f"t.{quote(column)}", new_value(plan, table, column))]
    ]
    before, after = (", ".join(values) for values in zip(*pairs, strict=True))
    return f"({before}) IS DISTINCT FROM ({after})"


def are_visible(plan: Plan, pks: pl.Series, user: User | None) -> pl.Series:
    """Which of these rows, by their primary keys as text, the user may touch: for querysets that no SQL tells of."""
    keys = [plan.resource.pk.value_field.to_python(text) for text in pks]
    visible = pks_within(plan.reach(user), keys)
    return pl.Series([key in visible for key in keys], dtype=pl.Boolean)


def key_condition(plan: Plan) -> str:
    """A row `t` of the table has the key of a staged row `s`."""
    return same_key(plan.resource.model, plan.resource.database, plan.key)


def changed_columns(plan: Plan, table: Table) -> list[str]:
    """The columns that rows that are there take from the staged ones."""
    fields = plan.columns if plan.update_fields is None else plan.update_fields
    # Lists are no columns of the table.
    changing = [plan.columns[name] for name in fields if name in plan.columns and name not in plan.kept]
    own = {str(one.field.column) for one in changing}
    return [column for column in table.columns if column in own]


def change_all(plan: Plan, table: Table, there: pl.DataFrame) -> Written:
    """Update the rows that are there; those that violate a constraint are found, and left as they are."""
    changed = changed_columns(plan, table)
    written = changed_all(plan, table, changed, there)
    is_unchanged = pl.col("outcome") == Outcome.UNCHANGED.value
    unchanged = written.outcomes.filter(is_unchanged)
    if not changed or unchanged.is_empty() or not may_drop(plan.resource, Verb.UPDATE):
        return written
    return without_dropped(plan.resource, written, unlike(plan, table, changed, unchanged[ROW]), "update")


def unlike(plan: Plan, table: Table, changed: list[str], rows: pl.Series) -> pl.Series:
    """Those of these staged rows that the table still has otherwise."""
    quote = connections[plan.resource.database].ops.quote_name
    sql = (
        f"SELECT s.{quote(ROW)} FROM {STAGING} s JOIN {quote(table.name)} t ON {key_condition(plan)}"  # noqa: S608
        f" WHERE s.{quote(ROW)} = ANY('{array(rows)}'::int[]) AND {differing(plan, table, changed)}"
    )
    return pl.Series(staging.rows_of(plan.resource, sql), dtype=ROW_NUMBER)


def changed_all(plan: Plan, table: Table, changed: list[str], there: pl.DataFrame) -> Written:
    """Update the rows, all of them or all that violate no constraint."""
    if there.is_empty() or not changed:
        return Written(outcomes(there[ROW], Outcome.UNCHANGED, there["pk"]))
    change_these = partial(change, plan, table, changed)
    try:
        with transaction.atomic(using=plan.resource.database):
            return Written(change_these(there))
    except DatabaseError as error:
        if not is_of_a_row(error):
            raise
    stage_merged(plan, table, changed, there)
    errors = staging.guilty_errors(plan.resource, table, MERGED)
    innocent = there.filter(~pl.col(ROW).is_in(errors[ROW].implode()))
    written = staging.written_by_halves(plan.resource, innocent, change_these)
    return together([Written(errors=errors), written])


def change(plan: Plan, table: Table, changed: list[str], there: pl.DataFrame) -> pl.DataFrame:
    """Update these rows or raise DatabaseError; gives their outcomes. Rows that are so already are not written."""
    quote = connections[plan.resource.database].ops.quote_name
    sets = [f"{quote(column)} = {new_value(plan, table, column)}" for column in changed]
    clocks = clock_values(plan, changed)
    updated = returned(
        plan.resource.database,
        f"UPDATE {quote(table.name)} t SET {', '.join([*sets, *(f'{quote(name)} = %s' for name in clocks)])}"  # noqa: S608
        f" FROM {STAGING} s WHERE {key_condition(plan)} AND s.{quote(ROW)} = ANY(%s::int[])"
        f" AND {differing(plan, table, changed)} RETURNING s.{quote(ROW)} AS value",
        [*clocks.values(), array(there[ROW])],
        there.height,
    )
    if updated is None:
        return outcomes(there[ROW], Outcome.UPDATED, there["pk"])
    is_updated = pl.col(ROW).is_in(pl.Series(updated, dtype=ROW_NUMBER).implode())
    outcome = pl.when(is_updated).then(pl.lit(Outcome.UPDATED.value)).otherwise(pl.lit(Outcome.UNCHANGED.value))
    return there.select(ROW, outcome=outcome, pk="pk")


def new_value(plan: Plan, table: Table, column: str) -> str:
    """What a column becomes: what the staged row gives, or what it was."""
    quote = connections[plan.resource.database].ops.quote_name
    if column not in table.given:
        return f"s.{quote(column)}"
    return f"CASE WHEN s.{quote(table.given[column])} THEN s.{quote(column)} ELSE t.{quote(column)} END"


def clock_values(plan: Plan, changed: list[str]) -> dict[str, str | None]:
    """The fields that tell when a row was last saved (auto_now), by column."""
    model = plan.resource.model
    clocks = [one for one in fields_to_write(model) if getattr(one, "auto_now", False) and one.column not in changed]
    alias = plan.resource.database
    return {str(one.column): copy_texts(one, [one.pre_save(model(), add=False)], alias)[0] for one in clocks}


def stage_merged(plan: Plan, table: Table, changed: list[str], there: pl.DataFrame) -> None:
    """What these rows would be, in a temporary table of all columns."""
    quote = connections[plan.resource.database].ops.quote_name
    columns = [
        f"{new_value(plan, table, name) if name in changed else f't.{quote(name)}'} AS {quote(name)}"
        for name in (str(one.column) for one in plan.resource.model._meta.concrete_fields)
    ]
    with connections[plan.resource.database].cursor() as cursor:
        # Where parameters are bound by the server, they belong to a statement alone.
        cursor.execute(f"DROP TABLE IF EXISTS {MERGED}")
        cursor.execute(
            f"CREATE TEMPORARY TABLE {MERGED} ON COMMIT DROP AS"  # noqa: S608
            f" SELECT s.{quote(ROW)}, {', '.join(columns)} FROM {STAGING} s"
            f" JOIN {quote(table.name)} t ON {key_condition(plan)} WHERE s.{quote(ROW)} = ANY(%s::int[])",
            [array(there[ROW])],
        )


def insert_all(plan: Plan, table: Table, rows: pl.DataFrame) -> Written:
    """Insert the staged rows that are new; those that another operation inserts meanwhile are left out.

    Where a trigger drops rows, these are missing as those are: then they are told apart by who has their key.
    """
    written = inserted_all(plan, table, rows)
    done = pl.concat([written.outcomes[ROW], written.errors[ROW]])
    missing = rows.filter(~pl.col(ROW).is_in(done.implode()))[ROW]
    if missing.is_empty() or not may_drop(plan.resource, Verb.CREATE):
        return written
    quote = connections[plan.resource.database].ops.quote_name
    sql = (
        f"SELECT s.{quote(ROW)} FROM {STAGING} s WHERE s.{quote(ROW)} = ANY('{array(missing)}'::int[])"  # noqa: S608
        f" AND NOT EXISTS (SELECT 1 FROM {quote(table.name)} t WHERE {key_condition(plan)})"
    )
    dropped = pl.Series(staging.rows_of(plan.resource, sql), dtype=ROW_NUMBER)
    return without_dropped(plan.resource, written, dropped, "create")


def inserted_all(plan: Plan, table: Table, rows: pl.DataFrame) -> Written:
    """Insert the rows, all of them or all that violate no constraint and that nobody else inserts."""
    if rows.is_empty():
        return nothing()
    try:
        with transaction.atomic(using=plan.resource.database):
            return Written(insert_new(plan, table, rows))
    except DatabaseError as error:
        if not is_of_a_row(error):
            raise
    forget_others(plan, rows)
    # Another operation's row of the same key is no violation: the next round changes it.
    keys = [key for key in plan.resource.unique_keys if set(key.fields) != set(plan.match_by)]
    found = staging.guilty_errors(plan.resource, table, STAGING, keys)
    innocent = rows.filter(~pl.col(ROW).is_in(found[ROW].implode()))
    written = staging.written_by_halves(plan.resource, innocent, partial(insert_new, plan, table))
    return together([Written(errors=found), written])


def forget_others(plan: Plan, rows: pl.DataFrame) -> None:
    """Leave only these rows staged; the others have been written."""
    quote = connections[plan.resource.database].ops.quote_name
    with connections[plan.resource.database].cursor() as cursor:
        cursor.execute(f"DELETE FROM {STAGING} WHERE {quote(ROW)} <> ALL(%s::int[])", [array(rows[ROW])])  # noqa: S608


def insert_new(plan: Plan, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Insert these rows or raise DatabaseError; gives the outcomes of those whose key nobody else took.

    Those that bring no primary key of their own get the sequence's next ones, in input order.
    """
    alias = plan.resource.database
    quote, sequence = connections[alias].ops.quote_name, key_sequence(plan.resource.model, alias)
    columns, pk = ", ".join(quote(column) for column in table.columns), quote(table.pk)
    numbers = f", coalesce({pk}, nextval(%s::regclass)) AS {pk}" if sequence is not None else f", {pk}"
    others = "".join(f", {quote(column)}" for column in table.columns if column != table.pk)
    key = ", ".join(quote(str(field_of(plan.resource.model, name).column)) for name in plan.match_by)
    row = quote(ROW)
    inserted = frame_of(
        alias,
        f"WITH new AS MATERIALIZED (SELECT {row}{numbers}{others} FROM {STAGING}"  # noqa: S608
        f" WHERE {row} = ANY(%s::int[]) ORDER BY {row}), done AS ("
        f"INSERT INTO {quote(table.name)} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM new ORDER BY {key}"
        f" ON CONFLICT ({key}) DO NOTHING RETURNING {pk})"
        f" SELECT {row}, {pk} FROM new JOIN done USING ({pk}) ORDER BY {row}",
        [*([sequence] if sequence is not None else []), array(rows[ROW])],
        {ROW: ROW_NUMBER, "pk": pl.String},
    )
    return outcomes(inserted[ROW], Outcome.CREATED, inserted["pk"])
