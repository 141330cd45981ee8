"""Registered resources -> the types of their rows, which point to each other however their models do."""

from __future__ import annotations

from types import GenericAlias
from typing import Any

import strawberry
import strawberry_django
from django.db import models
from django.db.models import Prefetch
from strawberry.annotation import StrawberryAnnotation
from strawberry.types import Info, get_object_definition
from strawberry_django.fields.field import StrawberryDjangoField

from bulkql.schema.context import Context, user_of
from bulkql.schema.lists.fields import Readable, keys_field, keys_read, members_field, reference_field, value_field
from bulkql.schema.lists.filters import filter_of, order_of
from bulkql.schema.lists.values import is_always_shown
from bulkql.schema.lists.visible import visible_rows
from bulkql.schema.scalars import describe, purpose, type_of
from bulkql.workers.columns.column import Column
from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.conf import limits
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.resources.rights import has_field_rights
from bulkql.workers.resources.scope import pks_of, targets_of


def row_types(resources: list[BulkResource]) -> dict[type[models.Model], Any]:
    """The type of one row of each resource, with its filters and its order."""
    by_model = {resource.model: resource for resource in resources}
    made = {model: RowType(resource, by_model) for model, resource in by_model.items()}
    types = {model: one.kind for model, one in made.items()}
    # Now that all types are there, they may point to each other, and to themselves.
    for one in made.values():
        one.point_to(types)
    return types


class RowType:
    """The making of one type."""

    def __init__(self, resource: BulkResource, by_model: dict[type[models.Model], BulkResource]) -> None:
        self._resource, self._by_model = resource, by_model
        self.kind = self._made()

    def point_to(self, types: dict[type[models.Model], Any]) -> None:
        """Give the fields that lead to other rows their types. What they lead to may be out of sight: all are null."""
        columns = {column.name: column for column in self._resource.columns.values()}
        lists = {name: by_pk for name, (by_pk, *_) in self._resource.lists.items()}
        for field in get_object_definition(self.kind, strict=True).fields:
            column = {**columns, **lists}.get(field.python_name)
            if column is not None and (target := self._target(column)) is not None:
                kind = types[target.model]
                is_list = field.python_name in lists
                field.type_annotation = StrawberryAnnotation((GenericAlias(list, kind) if is_list else kind) | None)

    def _made(self) -> Any:
        resource = self._resource
        fields = {**self._keys(), **self._values(), **self._lists()}

        def get_queryset(cls: Any, /, queryset: models.QuerySet[Any], info: Info[Context, None], **_: Any) -> Any:
            return queryset.filter(pk__in=pks_of(visible_rows(resource, info)))

        namespace = {
            # What each field is, it says itself.
            "__annotations__": dict.fromkeys(fields, Any),
            "__module__": __name__,
            "get_queryset": classmethod(get_queryset),
            **fields,
        }
        return strawberry_django.type(
            resource.model,
            name=resource.type_name,
            description=f"A {resource.model._meta.verbose_name}.",
            filters=filter_of(resource),
            ordering=order_of(resource),
            pagination=True,
        )(type(resource.type_name, (), namespace))

    def _keys(self) -> dict[str, Any]:
        """The primary key, as `pk` where it is called otherwise than `id`, and as rows give it."""
        pk = self._resource.pk
        names = ["id"] if pk.name == "id" else ["pk", pk.field.attname]
        return {
            name: strawberry_django.field(
                name="pk" if name == "pk" else pk.graphql_name,
                description="The primary key.",
                field_cls=value_field(self._resource, pk),
                graphql_type=strawberry.ID,
            )
            for name in names
        }

    def _values(self) -> dict[str, Any]:
        """The columns of the table: foreign keys as the rows that they point to, where those have a type."""
        found = {}
        for column in self._resource.columns.values():
            target = self._target(column)
            found[column.name if target is not None else column.field.attname] = self._field(
                column,
                reference_field(target) if target is not None else value_field(self._resource, column),
                strawberry.ID if target is not None else type_of(column, self._resource.type_name),
                is_nullable=target is not None or not is_always_shown(column),
            )
        return found

    def _lists(self) -> dict[str, Any]:
        """Many-to-many fields: the rows in them, or their keys where those have no type."""
        found = {}
        for name, (column, *_) in self._resource.lists.items():
            target = self._target(column)
            if target is not None:
                of_rows = members_field(self._resource, target, column)
                # Whatever else a list query takes would be asked of each row's list.
                found[name] = self._field(column, of_rows, list[strawberry.ID], filters=None, ordering=None)
            else:
                # Under a model's own name, Strawberry's optimizer would look for a type of its rows.
                found[f"keys_of_{name}"] = self._field(
                    column,
                    keys_field(self._resource, column),
                    list[strawberry.ID],
                    prefetch_related=[self._keys_of(column)],
                )
        return found

    def _target(self, column: Column) -> BulkResource | None:
        """The resource of what a column points to, where it has a type here."""
        return self._by_model.get(column.target) if column.target is not None else None

    def _field(
        self,
        column: Column,
        field_cls: type[StrawberryDjangoField],
        kind: Any,
        is_nullable: bool = True,
        **options: Any,
    ) -> Any:
        """A field of a column."""
        # What a row points to may be out of sight, and what may not be read is null: neither takes the row with it.
        is_guarded = has_field_rights(self._resource)
        return strawberry_django.field(
            name=column.graphql_name,
            description=self._words(column),
            field_cls=field_cls,
            graphql_type=kind | None if is_nullable or is_guarded else kind,
            extensions=[Readable(self._resource.name, column.name)] if is_guarded else [],
            **options,
        )

    def _words(self, column: Column) -> str:
        if self._target(column) is None:
            return describe(column, is_required=False)
        rest = "those that you may see" if isinstance(column, ListColumn) else "null where you may not see it"
        return f"{purpose(column)}; {rest}."

    def _keys_of(self, column: Column) -> Any:
        """The keys of a list's rows, read for all rows at once: one more of each than may be told."""

        def prefetch(info: Info[Context, None]) -> Any:
            targets = targets_of(self._resource, column.field, user_of(info))
            some = targets.order_by("pk").only("pk")[: limits().default_page_rows + 1]
            return Prefetch(column.field.name, queryset=some, to_attr=keys_read(column))

        return prefetch
