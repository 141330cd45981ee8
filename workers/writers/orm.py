"""Clean rows -> any Django database, at the ORM's speed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import connections, models

from bulkql.workers.columns.collations import comparable_texts, ignores_differences
from bulkql.workers.columns.column import Column
from bulkql.workers.columns.copying import database_defaults, has_only_db_default
from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.frames import RESERVED_PK, ROW, ROW_NUMBER, given
from bulkql.workers.images.taken import own_images_now
from bulkql.workers.resources.lanes import fields_to_write, has_stock_pre_save
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.resources.scope import KEYS_A_QUERY, among, batches, pks_within
from bulkql.workers.writers.missing import lacking, moved, not_there, out_of_sight
from bulkql.workers.writers.table import is_set_once
from bulkql.workers.writers.written import OUTCOME_OF_ROW, Written, bisect, outcomes, together

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Rows that one UPDATE of the ORM changes; it grows with the square of them.
INSTANCES_AN_UPDATE = 200


def write(plan: Plan, rows: pl.DataFrame, user: User | None) -> Written:
    """Create, update, replace or upsert the rows."""
    return create(plan.resource, rows) if plan.verb == Verb.CREATE else merge(plan, rows, user)


def create(resource: BulkResource, rows: pl.DataFrame) -> Written:
    """Insert the rows; those that violate a constraint are found by halving."""
    return bisect(resource, rows, partial(insert, resource))


def insert(resource: BulkResource, rows: pl.DataFrame) -> pl.DataFrame:
    """Insert all of these rows or raise DatabaseError; gives their outcomes."""
    instances = resource.model._base_manager.using(resource.database).bulk_create(instances_of(resource, rows))
    pks = pl.Series([None if one.pk is None else str(one.pk) for one in instances], dtype=pl.String)
    return outcomes(rows[ROW], Outcome.CREATED, pks)


def instances_of(resource: BulkResource, rows: pl.DataFrame) -> list[models.Model]:
    """Model instances; a field that a row does not give takes its default, as Django gives it."""
    return [resource.model(**attributes) for attributes in attributes_of(resource, rows)]


def attributes_of(resource: BulkResource, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """What each row gives, by the attributes of the model."""
    columns = [
        (column.field.attname, column.python(rows[column.name]), rows[given(column.name)].to_list())
        for column in resource.columns.values()
    ]
    attributes: list[dict[str, Any]] = [{} for _ in range(rows.height)]
    for name, values, are_given in columns:
        for row, value, is_given in zip(attributes, values, are_given, strict=True):
            if is_given:
                row[name] = value
    if RESERVED_PK in rows.columns:
        for row, key in zip(attributes, rows[RESERVED_PK], strict=True):
            row.setdefault(resource.model._meta.pk.attname, key)
    return attributes


def with_pks(pks: Mapping[int, str]) -> pl.DataFrame:
    """Rows of the table by the rows that name them: `__row`, pk (as text)."""
    return pl.DataFrame({ROW: list(pks), "pk": list(pks.values())}, schema={ROW: ROW_NUMBER, "pk": pl.String})


def merge(plan: Plan, rows: pl.DataFrame, user: User | None) -> Written:
    """Change the rows that are there; for an upsert, insert the others."""
    found = match(plan, rows, user)
    there = rows.filter(pl.col(ROW).is_in([row for row, one in found.items() if one.is_visible]))
    hidden = rows.filter(pl.col(ROW).is_in([row for row, one in found.items() if not one.is_visible]))
    absent = rows.filter(~pl.col(ROW).is_in(list(found)))
    known = with_pks({row: str(one.instance.pk) for row, one in found.items()})
    strays = moved(plan, there, known)
    there = there.filter(~pl.col(ROW).is_in(strays.errors[ROW].implode()))
    images = own_images_now(plan, known)
    changed = replace(bisect(plan.resource, there, partial(change, plan, found)), images=images)
    parts = [out_of_sight(plan, hidden), strays, changed]
    if plan.verb != Verb.UPSERT:
        return together([*parts, not_there(plan, absent)])
    poor = lacking(plan, absent)
    rich = absent.filter(~pl.col(ROW).is_in(poor.errors[ROW].implode()))
    return together([*parts, poor, create(plan.resource, rich)])


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the table that a row of the request means."""

    instance: models.Model
    is_visible: bool


def match(plan: Plan, rows: pl.DataFrame, user: User | None) -> dict[int, Found]:
    """The rows of the table by the rows that mean them, locked where the database can."""
    columns = [plan.columns[name] for name in plan.match_by]
    keys = dict(zip(compared_keys(columns, [one.python(rows[one.name]) for one in columns]), rows[ROW], strict=True))
    instances = list(candidates(plan, columns, rows))
    values = [[getattr(instance, one.field.attname) for instance in instances] for one in columns]
    met = {
        keys[key]: instance
        for key, instance in zip(compared_keys(columns, values), instances, strict=True)
        if key in keys and (plan.finds_by_nulls or None not in key)
    }
    visible = pks_within(plan.reach(user), [instance.pk for instance in met.values()])
    return {row: Found(instance, instance.pk in visible) for row, instance in met.items()}


def candidates(plan: Plan, columns: list[Column], rows: pl.DataFrame) -> Iterator[models.Model]:
    """Rows of the table among which are those that rows mean, locked where the database can."""
    # The field with the most values narrows the search best.
    widest, *others = sorted(columns, key=lambda one: rows[one.name].n_unique(), reverse=True)
    manager, is_null = locking(plan.resource), pl.col(widest.name).is_null()
    told = rows.filter(~is_null)
    narrowed = narrow(plan, manager, others, told)
    for some in batches(widest.python(told[widest.name].unique())):
        yield from among(narrowed, widest.field.attname, some).order_by("pk")
    untold = rows.filter(is_null)
    if plan.finds_by_nulls and not untold.is_empty():
        found = manager.filter(**{f"{widest.field.attname}__isnull": True})
        yield from narrow(plan, found, others, untold).order_by("pk")


def narrow(plan: Plan, found: models.QuerySet[Any], columns: list[Column], rows: pl.DataFrame) -> models.QuerySet[Any]:
    """Those of the rows found that have in each of these fields a value that comes: others are nobody's to lock."""
    for one in columns:
        values = rows[one.name].unique()
        are_all_told = not (plan.finds_by_nulls and values.has_nulls())
        if are_all_told and len(values) <= KEYS_A_QUERY // len(columns):
            found = among(found, one.field.attname, one.python(values.drop_nulls()))
    return found


def locking(resource: BulkResource) -> models.QuerySet[Any]:
    """The rows of a resource's table, locked as they are read where the database can."""
    rows = resource.model._base_manager.using(resource.database)
    features = connections[resource.database].features
    if not features.has_select_for_update:
        return rows.all()
    # PostgreSQL takes no name with a schema there, which is what a quoted table has: '"sales"."order"'.
    names_table = features.has_select_for_update_of and '"' not in resource.model._meta.db_table
    return rows.select_for_update(of=("self",) if names_table else ())


def compared_keys(columns: list[Column], values: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Keys, each with a value of each column, in the form in which equal ones are the same to the database."""
    prepared = [as_stored(column, its_own) for column, its_own in zip(columns, values, strict=True)]
    for place, column in enumerate(columns):
        if ignores_differences(column.value_field):
            texts = pl.Series([None if one is None else str(one) for one in prepared[place]], dtype=pl.String)
            prepared[place] = comparable_texts(column.value_field, texts).to_list()
    return list(zip(*prepared, strict=True))


def as_stored(column: Column, values: list[Any]) -> list[Any]:
    """Values in the form in which the database stores them."""
    return [None if value is None else column.value_field.get_prep_value(value) for value in values]


def change(plan: Plan, found: dict[int, Found], rows: pl.DataFrame) -> pl.DataFrame:
    """Change the rows of the table or raise DatabaseError; gives the outcomes. What is so already is not written."""
    columns = columns_to_change(plan)
    values = zip(*(new_values(plan, one, rows) for one in columns), strict=True) if columns else repeat(())
    changed: list[models.Model] = []
    outcome: list[str] = []
    for row, new in zip(rows[ROW], values, strict=False):
        # A copy: the same row comes again when its neighbours have to be halved.
        instance = copy(found[row].instance)
        is_changed = False
        for one, value in zip(columns, new, strict=True):
            old = getattr(instance, one.field.attname)
            if value is not ... and as_stored(one, [value]) != as_stored(one, [old]):
                setattr(instance, one.field.attname, value)
                is_changed = True
        outcome.append(Outcome.UPDATED if is_changed else Outcome.UNCHANGED)
        if is_changed:
            changed.append(instance)
    save(plan, columns, changed)
    pks = [str(found[row].instance.pk) for row in rows[ROW]]
    return pl.DataFrame({ROW: rows[ROW], "outcome": outcome, "pk": pks}, schema=OUTCOME_OF_ROW)


def columns_to_change(plan: Plan) -> list[Column]:
    """The columns that rows of the table take from those of the request."""
    names = plan.columns if plan.update_fields is None else plan.update_fields
    return [plan.columns[name] for name in names if name in plan.columns and name not in plan.kept]


def new_values(plan: Plan, column: Column, rows: pl.DataFrame) -> list[Any]:
    """What each row makes of a column: `...` where it leaves it as it is."""
    is_given = rows[given(column.name)].to_list()
    values = column.python(rows[column.name])
    if all(is_given) or plan.verb != Verb.REPLACE or is_set_once(column):
        return [value if one else ... for value, one in zip(values, is_given, strict=True)]
    if has_only_db_default(column.field):
        default = database_defaults(plan.resource.database, column.field, rows.height)
    else:
        default = [column.field.get_default() for _ in is_given]
    return [value if one else other for value, one, other in zip(values, is_given, default, strict=True)]


def save(plan: Plan, columns: list[Column], instances: list[models.Model]) -> None:
    """Write the changed rows, with the fields that look after themselves at every save."""
    model = plan.resource.model
    fields = {str(one.field.name): one.field for one in columns}
    selves = [one for one in fields_to_write(model) if getattr(one, "auto_now", False) or not has_stock_pre_save(one)]
    for instance in instances:
        for one in selves:
            one.pre_save(instance, add=False)
    names = [*fields, *(one.name for one in selves if one.name not in fields)]
    if instances:
        manager = model._base_manager.using(plan.resource.database)
        manager.bulk_update(instances, names, batch_size=INSTANCES_AN_UPDATE)
