"""Rows of the table that will give up unique values -> stand-ins in their place, so that others can take these.

A database looks at each row as it is written: two rows that swap their values would be in each other's way. So what is
given up is taken away first, in the same transaction, and nobody else ever sees the stand-ins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count, islice
from secrets import randbelow
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl
from django.conf import settings
from django.db import DatabaseError, connections, models, transaction
from django.db.models import Case, Max, Min, Value, When

from bulkql.workers.backends import backend
from bulkql.workers.columns.copying import copy_texts
from bulkql.workers.enums import Verb
from bulkql.workers.frames import ROW, given, no_errors
from bulkql.workers.images.literals import pk_of
from bulkql.workers.images.taken import Images, own_images
from bulkql.workers.resources.constraints import Constraint, constraints_of
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.scope import batches
from bulkql.workers.validation.references import resolve
from bulkql.workers.validation.values import Validated
from bulkql.workers.writers import deletion
from bulkql.workers.writers.violations import is_of_a_row

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Characters that no language uses: U+E000 to U+F8FF, for private use.
PRIVATE_FROM, PRIVATE_COUNT = 0xE000, 6_400
LONGEST_TEXT = 4
#: Chunks of one transaction have different stand-ins, and so have processes, for they would wait for each other.
NUMBERS = count(randbelow(PRIVATE_COUNT**LONGEST_TEXT))
MOST_STAND_INS = 2**48
#: Instances that one UPDATE of the ORM changes.
ROWS_AN_UPDATE = 200


@dataclass(frozen=True, slots=True)
class Vacated:
    """The rows (`__row`) that have stand-ins now."""

    rows: frozenset[int]
    #: What all rows were that might get some.
    images: tuple[Images, ...] = ()
    #: Some stand for rows of other tables, and are none: foreign keys can be checked only when they are gone.
    are_dangling: bool = False


def vacate(plan: Plan, rows: pl.DataFrame, user: User | None) -> Vacated:
    """Put stand-ins where these rows will write other values anyway; `rows` as they were validated."""
    rows = resolve(plan, Validated(rows, no_errors()), user).rows
    if rows.is_empty():
        return Vacated(frozenset())
    match = deletion.match_staged if backend(plan.resource.database).supports_copy else deletion.match_by_orm
    rows = rows.join(match(plan, rows, user), on=ROW, how="inner", maintain_order="left")
    done: set[int] = set()
    are_dangling = False
    for constraint in constraints_of(plan.resource.model, plan.resource.database):
        left = rows
        for field in fields_to_vacate(plan, constraint):
            for becomes_null in (False, True):
                these = left.filter(changes(plan, field), pl.col(field.name).is_null() == becomes_null)
                pks = these["pk"].to_list()
                if pks and put_stand_ins(plan, constraint, field, pks, becomes_null=becomes_null):
                    done.update(these[ROW])
                    are_dangling |= is_dangling(constraint, field, becomes_null=becomes_null)
                    left = left.join(these, on=ROW, how="anti", maintain_order="left")
    return Vacated(frozenset(done), own_images(plan, rows), are_dangling)


def fields_to_vacate(plan: Plan, constraint: Constraint) -> list[models.Field[Any, Any]]:
    """The fields of a constraint that rows change, the easiest first: null is equal to nothing."""
    names = plan.columns if plan.update_fields is None else plan.update_fields
    columns = [plan.columns[name] for name in constraint.fields if name in names and name in plan.columns]
    fields = [one.field for one in columns if one.name not in plan.kept]
    if plan.verb == Verb.REPLACE:
        fields = [field for field in fields if not getattr(field, "auto_now_add", False)]
    return sorted(fields, key=lambda field: (is_dangling(constraint, field), not takes_null(constraint, field)))


def takes_null(constraint: Constraint, field: models.Field[Any, Any]) -> bool:
    return field.null and constraint.nulls_distinct


def changes(plan: Plan, field: models.Field[Any, Any]) -> pl.Expr:
    """The rows that write a field."""
    return pl.col(given(field.name)) | pl.lit(plan.verb == Verb.REPLACE)


def is_dangling(constraint: Constraint, field: models.Field[Any, Any], *, becomes_null: bool = False) -> bool:
    """Its stand-ins would be keys of rows that are not there."""
    return isinstance(field, models.ForeignKey) and (becomes_null or not takes_null(constraint, field))


def put_stand_ins(
    plan: Plan, constraint: Constraint, field: models.Field[Any, Any], pks: list[str], *, becomes_null: bool = False
) -> bool:
    """Give each of these rows a value of its own that no row has; whether the table takes them.

    `becomes_null`: null is what the rows are to have, so that one with that in its place would be taken for unchanged.
    """
    alias = plan.resource.database
    are_dangling = is_dangling(constraint, field, becomes_null=becomes_null)
    if are_dangling and not backend(alias).supports_transaction_settings:
        return False
    own = [plan.resource.pk.value_field.to_python(pk) for pk in pks]
    for values in stand_ins(plan, constraint, field, len(own), becomes_null=becomes_null):
        try:
            with transaction.atomic(using=alias):
                if are_dangling:
                    with connections[alias].cursor() as cursor:
                        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
                write = write_at_once if backend(alias).supports_copy else write_by_orm
                write(plan, field, own, values)
                return True
        # A check constraint may not like them, or numbers of the type are used up: others may do.
        except (DatabaseError, OverflowError) as error:
            if isinstance(error, DatabaseError) and not is_of_a_row(error):
                raise
    return False


def write_at_once(plan: Plan, field: models.Field[Any, Any], pks: list[Any], values: list[Any]) -> None:
    """In one statement."""
    connection, meta = connections[plan.resource.database], plan.resource.model._meta
    quote = connection.ops.quote_name
    texts = (copy_texts(one, some, connection.alias) for one, some in ((meta.pk, pks), (field, values)))
    # The type of a serial key is not that of its values.
    of_pk, of_value = meta.pk.rel_db_type(connection), field.db_type(connection)
    pk = pk_of(plan.resource.model, connection.alias)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {quote(meta.db_table)} t SET {quote(str(field.column))} = s.value::{of_value}"  # noqa: S608
            f" FROM unnest(%s::text[], %s::text[]) AS s(pk, value) WHERE {pk} = s.pk::{of_pk}",
            list(texts),
        )


def write_by_orm(plan: Plan, field: models.Field[Any, Any], pks: list[Any], values: list[Any]) -> None:
    """The same for any database."""
    manager = plan.resource.model._base_manager.using(plan.resource.database)
    if all(value is None for value in values):
        for some in batches(pks):
            manager.filter(pk__in=some).update(**{field.attname: None})
        return
    pairs = list(zip(pks, values, strict=True))
    for start in range(0, len(pairs), ROWS_AN_UPDATE):
        some_pairs = pairs[start : start + ROWS_AN_UPDATE]
        whens = [When(pk=pk, then=Value(value, output_field=field)) for pk, value in some_pairs]
        manager.filter(pk__in=[pk for pk, _ in some_pairs]).update(**{field.attname: Case(*whens)})


def stand_ins(
    plan: Plan, constraint: Constraint, field: models.Field[Any, Any], number: int, *, becomes_null: bool
) -> Iterator[list[Any]]:
    """Ways to stand in for so many values, all different and in no row; none for types that have none to spare."""
    if takes_null(constraint, field) and not becomes_null:
        yield [None] * number
    yield from values_to_spare(plan, field, number)
    if takes_null(constraint, field) and becomes_null:
        yield [None] * number


def values_to_spare(plan: Plan, field: models.Field[Any, Any], number: int) -> Iterator[list[Any]]:
    """The same without null."""
    kind = field.target_field if isinstance(field, models.ForeignKey) else field
    if isinstance(kind, models.UUIDField):
        yield [uuid4() for _ in range(number)]
        return
    found = ending(kind, plan.resource.database)
    if found is None:
        return
    last, step, room = found
    if number <= room:
        yield [back_from(last, step, one % room) for one in islice(NUMBERS, number)]
    if not isinstance(last, str):
        # A check constraint may want them nearer to the others.
        rows = plan.resource.model._base_manager.using(plan.resource.database)
        ends = rows.aggregate(most=Max(field.attname), least=Min(field.attname))
        if ends["most"] is not None:
            yield [ends["most"] + step * place for place in range(1, number + 1)]
            yield [ends["least"] - step * place for place in range(1, number + 1)]


def ending(field: models.Field[Any, Any], alias: str) -> tuple[Any, Any, int] | None:
    """The end of a type's values, the least by which they differ, and how many of them are hardly ever used."""
    if isinstance(field, models.CharField | models.TextField):
        length = min(field.max_length or LONGEST_TEXT, LONGEST_TEXT)
        return chr(PRIVATE_FROM) * length, None, PRIVATE_COUNT**length
    if isinstance(field, models.IntegerField):
        _, most = connections[alias].ops.integer_field_range(field.get_internal_type())
        return most, 1, min(most // 2, MOST_STAND_INS)
    if isinstance(field, models.FloatField):
        return float(2**53), 1, 2**52
    if isinstance(field, models.DecimalField):
        step = Decimal(1).scaleb(-(field.decimal_places or 0))
        most = 10 ** (field.max_digits or 0)
        return (most - 1) * step, step, min(most // 2, MOST_STAND_INS)
    if isinstance(field, models.DateTimeField):
        return datetime(9999, 12, 1, tzinfo=UTC if settings.USE_TZ else None), timedelta(microseconds=1), 2**50
    if isinstance(field, models.DateField):
        return date(9999, 12, 1), timedelta(days=1), 1_000_000
    return None


def back_from(last: Any, step: Any, number: int) -> Any:
    """A value so many steps before the last one; of texts one of characters that nobody writes."""
    if not isinstance(last, str):
        return last - step * number
    digits = (number // PRIVATE_COUNT**place % PRIVATE_COUNT for place in range(len(last)))
    return "".join(chr(PRIVATE_FROM + digit) for digit in digits)
