"""What rows give -> model instances, made or changed, cleaned and saved."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from inspect import signature
from traceback import walk_tb
from typing import Any

import polars as pl
from django.db import IntegrityError, models

from bulkql.workers.columns.column import Column
from bulkql.workers.enums import Verb
from bulkql.workers.frames import ROW, given
from bulkql.workers.resources.lanes import watched_fields
from bulkql.workers.resources.plan import Plan
from bulkql.workers.saving.faults import Refused, gone, protected_field
from bulkql.workers.writers import orm
from bulkql.workers.writers.triggers import dropped
from bulkql.workers.writers.violations import columns_in

#: The checks of full_clean that the database makes itself, with the same answers as in the other lane. Those of models
#: that have their own are asked, and so are those that no database knows.
UNIQUE_CHECKS = ("validate_unique", "_get_unique_checks", "_perform_unique_checks", "_perform_date_checks")
DATE_CHECKS = ("unique_for_date", "unique_for_month", "unique_for_year")


@dataclass(frozen=True, slots=True)
class Given:
    """What each row gives, by `__row`."""

    #: The attributes of a new instance.
    attributes: dict[int, dict[str, Any]]
    #: What an instance that is there takes: columns with values.
    changes: dict[int, list[tuple[Column, Any]]]
    #: The targets of each list, by the list's column; `...` where a row gives none.
    lists: dict[str, dict[int, Any]]


def given_by(plan: Plan, rows: pl.DataFrame) -> Given:
    """The rows' values as Python has them. Columns are read as columns, once."""
    numbers = rows[ROW].to_list()
    changes: dict[int, list[tuple[Column, Any]]] = {row: [] for row in numbers}
    for column in orm.columns_to_change(plan):
        for change, value in zip(changes.values(), orm.new_values(plan, column, rows), strict=True):
            if value is not ...:
                change.append((column, value))
    return Given(
        attributes=dict(zip(numbers, orm.attributes_of(plan.resource, rows), strict=True)) if plan.creates else {},
        changes=changes,
        lists={one.name: dict(zip(numbers, given_values(one, rows), strict=True)) for one, *_ in plan.lists.values()},
    )


def given_values(column: Column, rows: pl.DataFrame) -> list[Any]:
    """A column's values; `...` where a row does not give it."""
    values = zip(column.python(rows[column.name]), rows[given(column.name)], strict=True)
    return [value if is_given else ... for value, is_given in values]


def new_instance(plan: Plan, attributes: dict[str, Any], drops: frozenset[Verb]) -> models.Model:
    """Make, clean and save an instance."""
    model = plan.resource.model
    instance = model(**attributes)
    clean(plan, instance, attributes)
    # With a key that it was given, save() would write over the row that has it.
    has_key = model._meta.pk.attname in attributes or plan.resource.pk.field.attname in attributes
    try:
        if has_key and takes(model.save, "force_insert"):
            instance.save(force_insert=True)
        else:
            instance.save()
    except TypeError as error:
        if Verb.CREATE in drops and is_of_dropped(error):
            raise Refused(dropped(plan.resource, "create")) from error
        raise
    if Verb.CREATE in drops and fresh(plan, str(instance.pk)) is None:
        raise Refused(dropped(plan.resource, "create"))
    return instance


def changed_instance(
    plan: Plan, pk: str, changes: list[tuple[Column, Any]], drops: frozenset[Verb]
) -> tuple[models.Model, bool]:
    """The instance of a row, cleaned and saved with its new values; and whether they are new."""
    instance = fresh(plan, pk)
    if instance is None:
        raise Refused(gone(plan.resource))
    is_changed = False
    for column, value in changes:
        if differs(column, getattr(instance, column.field.attname), value):
            set_value(instance, column, value)
            is_changed = True
    if is_changed:
        clean(plan, instance, {column.field.attname for column, _ in changes})
        try:
            instance.save()
        except (IntegrityError, TypeError) as error:
            # An UPDATE that a trigger drops changes no row, and Django tries an INSERT, which finds the row there.
            is_dropped = is_of_dropped(error) if isinstance(error, TypeError) else is_of_key(error, instance._meta.pk)
            if Verb.UPDATE in drops and is_dropped:
                raise Refused(dropped(plan.resource, "update")) from error
            raise
    return instance, is_changed


def fresh(plan: Plan, pk: str) -> models.Model | None:
    """A row of the table as it is now, locked before: saving another one may have changed it, as trees do."""
    rows = plan.resource.model._base_manager.using(plan.resource.database)
    found: models.Model | None = rows.filter(pk=plan.resource.pk.value_field.to_python(pk)).first()
    return found


def differs(column: Column, old: Any, new: Any) -> bool:
    """Whether a value would change what is stored."""
    return bool(orm.as_stored(column, [new]) != orm.as_stored(column, [old]))


def set_value(instance: models.Model, column: Column, value: Any) -> None:
    """Set an attribute; raises Refused where the model protects it, as the states of django-fsm are."""
    try:
        setattr(instance, column.field.attname, value)
    except AttributeError as error:
        raise Refused(protected_field(column)) from error


def is_of_dropped(error: TypeError) -> bool:
    """Whether Django raised it for a row that a trigger dropped: that INSERT returns nothing to read a key from."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    return bool(frame.f_globals["__name__"] == models.Model.__module__)


def is_of_key(error: IntegrityError, pk: models.Field[Any, Any]) -> bool:
    """Whether a row of this primary key was there."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return diagnosis is not None and columns_in(diagnosis.message_detail) == [str(pk.column)]


def clean(plan: Plan, instance: models.Model, given_names: Collection[str]) -> None:
    """full_clean(), but for fields that are empty and may be, that save() may yet fill in, or that nobody may set.

    `given_names`: the attributes to which the row gives values.
    """
    model = type(instance)
    exclude = {*empty_fields(instance, given_names), *protected_fields(instance)}
    if model.full_clean is not models.Model.full_clean:
        instance.full_clean(exclude=exclude)
        return
    instance.full_clean(
        exclude=exclude,
        validate_unique=has_own_unique_checks(model),
        validate_constraints=model.validate_constraints is not models.Model.validate_constraints,
    )


def empty_fields(instance: models.Model, given_names: Collection[str]) -> set[str]:
    """Those that the row does not give, and nulls where the table takes them: `blank` is a word for forms, and no row
    has to heed it.
    """
    found: set[str] = set()
    for field in instance._meta.concrete_fields:
        value = getattr(instance, field.attname, None)
        # The attribute of a file that is null is an object, which is equal to null.
        is_null = value is None or (isinstance(field, models.FileField) and value == None)  # noqa: E711
        if (is_null and field.null) or (field.attname not in given_names and value in field.empty_values):
            found.add(field.name)
    return found


def protected_fields(instance: models.Model) -> set[str]:
    """The fields that do not take their own value again, as full_clean() gives it to them: protected states."""
    found: set[str] = set()
    for field in watched_fields(type(instance)):
        try:
            setattr(instance, field.attname, getattr(instance, field.attname))
        except AttributeError:
            found.add(field.name)
    return found


def has_own_unique_checks(model: type[models.Model]) -> bool:
    """Whether unique means more to the model than to the database."""
    is_own = any(getattr(model, name) is not getattr(models.Model, name) for name in UNIQUE_CHECKS)
    return is_own or any(getattr(one, name, None) for one in model._meta.concrete_fields for name in DATE_CHECKS)


def takes(method: Any, name: str) -> bool:
    """Whether a method takes an argument of this name: many a save() of users' models has none."""
    parameters = signature(method).parameters.values()
    return any(one.name == name or one.kind is one.VAR_KEYWORD for one in parameters)
