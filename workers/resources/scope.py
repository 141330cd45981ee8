"""A resource and a user -> the rows of the table that this user may see and touch.

get_queryset bounds a row before a write and after it, as USING and WITH CHECK do in PostgreSQL's policies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models import F, QuerySet
from django.db.models.sql import Query

from bulkql.workers.columns.among import AnyOf, has_array
from bulkql.workers.resources.registry import BulkResource, resource_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Keys asked for in one query; SQLite takes no more than 32,766 parameters.
KEYS_A_QUERY = 10_000


def batches(values: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), KEYS_A_QUERY):
        yield values[start : start + KEYS_A_QUERY]


def among(rows: QuerySet[Any], name: str, values: list[Any]) -> QuerySet[Any]:
    """Those of the rows whose field, by its name or attname, has one of these values; none of them is null."""
    # A class with its own way to rows may read conditions by their names.
    if evaluates_itself(rows) or not has_array(rows.model._meta.get_field(name)):
        return rows.filter(**{f"{name}__in": values})
    return rows.filter(AnyOf(F(name), values))


def scope_of(resource: BulkResource, user: User | None) -> QuerySet[Any]:
    """The rows that the user may see and touch."""
    return resource.get_queryset(user).using(resource.database)


def reach_of(resource: BulkResource, user: User | None, within: QuerySet[Any] | None) -> QuerySet[Any]:
    """The same, and of these only what a request limits itself to."""
    mine = scope_of(resource, user)
    if within is None:
        return mine
    found: QuerySet[Any] = resource.model._base_manager.using(resource.database).filter(pk__in=pks_of(within))
    return found if is_all(mine) else found.filter(pk__in=pks_of(mine))


def has_own_scope(resource: BulkResource) -> bool:
    """The resource says itself whose rows are whose. What a model's default manager hides is a habit, and no rule."""
    return type(resource).get_queryset is not BulkResource.get_queryset


def targets_of(resource: BulkResource, field: models.Field[Any, Any], user: User | None) -> QuerySet[Any]:
    """The rows that a foreign key or a list may point to: the target's own resource says it, else this one."""
    model: type[models.Model] = field.related_model  # type: ignore[assignment]  # of a relation to a model, not a name
    target = resource_of(model)
    found = target.get_queryset(user) if target is not None else resource.get_targets(field.name, user)
    return found.using(resource.database)


def is_all(queryset: QuerySet[Any]) -> bool:
    """Whether a queryset is certainly all of its table."""
    query = queryset.query
    is_narrowed = bool(query.where) or query.is_sliced or query.combinator or query.extra or query.distinct
    return not is_narrowed and len(query.alias_map) <= 1 and is_plain(queryset)


def is_plain(queryset: QuerySet[Any]) -> bool:
    """Whether a queryset's query tells all that it does.

    Some classes add a condition only when they are evaluated (django-safedelete does): their query looks like all rows
    until then. So a class that changes anything of Django's own is never judged, and always asked.
    """
    return type(queryset.query) is Query and not evaluates_itself(queryset)


def evaluates_itself(queryset: QuerySet[Any]) -> bool:
    """Whether a queryset's class has its own way to rows, which no query can take part in."""
    classes = type(queryset).__mro__
    return any(set(vars(one)) & DJANGOS for one in classes[: classes.index(QuerySet)])


#: What Django's querysets do. Each class has a name and a text of its own, and as_manager marks its methods.
DJANGOS = frozenset(vars(QuerySet)) - {"__module__", "__doc__", "__qualname__", "__static_attributes__"}


def condition(queryset: QuerySet[Any], pk: str) -> tuple[str, tuple[Any, ...]] | None:
    """Whether a row is in a scope, in SQL over its primary key; None where only evaluating it can tell."""
    if is_all(queryset):
        return "true", ()
    if not is_plain(queryset):
        return None
    try:
        sql, params = queryset.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:  # none()
        return "false", ()
    return f"{pk} IN ({sql})", params


def pks_of(queryset: QuerySet[Any]) -> QuerySet[Any] | list[Any]:
    """The primary keys of a scope's rows, for a condition of another query."""
    if evaluates_itself(queryset):
        unordered = queryset if queryset.query.is_sliced else queryset.order_by()
        return list(unordered.values_list("pk", flat=True))
    if queryset.query.is_sliced and not connections[queryset.db].features.allow_sliced_subqueries_with_in:
        return list(queryset.values_list("pk", flat=True))
    return queryset.values("pk")


def pks_within(queryset: QuerySet[Any], pks: list[Any]) -> set[Any]:
    """Those of these primary keys whose rows a queryset has."""
    if is_all(queryset):
        return set(pks)
    if queryset.query.is_sliced or queryset.query.combinator:  # neither can be filtered any further
        queryset = queryset.model._base_manager.using(queryset.db).filter(pk__in=pks_of(queryset))
    found, name = queryset.order_by(), queryset.model._meta.pk.name
    return {pk for some in batches(pks) for pk in among(found, name, some).values_list("pk", flat=True)}
