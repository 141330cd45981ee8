"""An export's input -> the query of its rows, in the user's scope and in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import Case, F, Q, QuerySet, When
from django.db.models.expressions import Combinable

from bulkql.workers.errors import BadInput
from bulkql.workers.exports.fields import ExportField
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.resources.scope import is_all, pks_of, scope_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def rows_to_export(resource: BulkResource, where: QuerySet[Any] | None, user: User | None) -> QuerySet[Any]:
    """The rows that the user may see, of those that `where` finds, in its order; rows of one place by their key."""
    everything: QuerySet[Any] = resource.model._base_manager.using(resource.database).order_by("pk")
    mine = scope_of(resource, user)
    rows = everything if where is None else rows_found(everything, where.using(resource.database))
    return rows if is_all(mine) else rows.filter(pk__in=pks_of(mine))


def rows_found(everything: QuerySet[Any], where: QuerySet[Any]) -> QuerySet[Any]:
    """What a filter finds, each row once, whatever it joins."""
    order = where.query.order_by
    if where.query.is_sliced:
        found = everything.filter(pk__in=pks_of(where))  # its order says which rows these are
    elif where.query.distinct or where.query.combinator or len(where.query.alias_map) > 1:
        found = everything.filter(pk__in=pks_of(where.order_by()))
    else:
        found = where
    return found.order_by(*order, "pk") if order else found.order_by("pk")


def check_order(resource: BulkResource, rows: QuerySet[Any]) -> None:
    """Whether each row has one place in an order; raises BadInput, and FieldError for what is no field of the model."""
    alone = resource.model._base_manager.using(resource.database).order_by(*rows.query.order_by)
    # What is joined is known once the query is compiled.
    alone.query.get_compiler(using=resource.database).pre_sql_setup()
    for join in alone.query.alias_map.values():
        if getattr(getattr(join, "join_field", None), "one_to_many", False):
            raise BadInput(
                f"{resource.name} cannot be ordered by {join.table_name}, of which a row may have several; order by "
                f"fields of which it has one."
            )


def columns_to_export(fields: Sequence[ExportField], user: User | None) -> list[Combinable]:
    """What the query selects, lists aside: null where the way leads over a row that the user may not see."""
    return [value_of_field(field, user) for field in fields]


def value_of_field(field: ExportField, user: User | None) -> Combinable:
    """One value, as an expression."""
    condition = Q()
    for path, target in field.targets:
        scope = scope_of(target, user)
        if not is_all(scope):
            condition &= Q(**{f"{path}__pk__in": pks_of(scope)})
    value = F(field.path)
    return Case(When(condition, then=value), default=None) if condition else value


def may_stand_for_more(field: ExportField, user: User | None) -> bool:
    """Whether a null may say something else: of a target that has a null there, or that is out of the user's sight."""
    return "__" in field.path or any(not is_all(scope_of(target, user)) for _, target in field.targets)


def selected(rows: QuerySet[Any], values: Sequence[Combinable]) -> QuerySet[Any]:
    """The rows' values. Django would name them by their classes, such as f1, which may be a field of the model too."""
    names = {f"bulkql_value_{place}": value for place, value in enumerate(values)}
    found: QuerySet[Any] = rows.annotate(**names).values_list(*names)
    return found
