"""Registered resources -> the typed inputs of their bulk mutations."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from functools import cache
from types import GenericAlias
from typing import Any

import strawberry
from strawberry.types.enum import EnumValueDefinition

from bulkql.schema.enums import FileCompression, FileFormat
from bulkql.schema.lists.filters import filter_of, order_of
from bulkql.schema.options import FileInput
from bulkql.schema.scalars import describe, type_of
from bulkql.workers.columns.column import by_name
from bulkql.workers.enums import Verb
from bulkql.workers.exports.fields import default_names
from bulkql.workers.intake.requests import MAX_DELETE_PERCENT
from bulkql.workers.resources.registry import BulkResource, resource_of
from bulkql.workers.resources.rights import has_field_rights


def input_type(name: str, description: str, fields: Iterable[tuple[str, str, Any, str]]) -> Any:
    """A Strawberry input of optional and required fields: (python name, GraphQL name, type, description)."""
    namespace: dict[str, Any] = {"__annotations__": {}, "__module__": __name__}
    for python_name, graphql_name, annotation, text in fields:
        namespace["__annotations__"][python_name] = annotation
        is_optional = annotation == annotation | None
        namespace[python_name] = (
            strawberry.field(name=graphql_name, description=text, default=strawberry.UNSET)
            if is_optional
            else strawberry.field(name=graphql_name, description=text)
        )
    return strawberry.input(type(name, (), namespace), name=name, description=description)


def bulk_input_type(verb: Verb, resources: list[BulkResource]) -> Any:
    """BulkCreateInput: an optional field for each resource."""
    order = "children before parents" if verb == Verb.DELETE else "parents before children"
    words = f"The rows to {verb.lower()}. Several resources are written as one operation, {order}."
    if verb == Verb.EXPORT:
        words = "The rows to export: one file for each resource, all from the same snapshot of the database."
    return input_type(
        f"Bulk{verb.title()}Input",
        words,
        (
            (resource.name, resource.name, resource_type(verb, resource) | None, f"Rows of {resource.name}.")
            for resource in resources
            if verb in resource.operations
        ),
    )


def resource_type(verb: Verb, resource: BulkResource) -> Any:
    """FinancialTransactionCreate: rows, or a file of them, and how they are found."""
    if verb == Verb.EXPORT:
        return export_type(resource)
    fields = field_enum(resource)
    key = "the primary key"
    if resource.match_fields and resource.match_fields != (resource.pk.name,):
        key += f" if rows give it, otherwise {', '.join(resource.match_fields).upper()}"
    match_by = (
        (
            "match_by",
            "matchBy",
            GenericAlias(list, fields) | None,
            f"The key by which rows are found; by default {key}.",
        ),
    )
    update_fields = (
        (
            "update_fields",
            "updateFields",
            GenericAlias(list, fields) | None,
            "The fields to change in existing rows; by default all that a row gives.",
        ),
    )
    return input_type(
        f"{resource.type_name}{verb.title()}",
        f"{SENTENCES[verb].format(resource.name)}; give exactly one source.",
        (
            *(rows_to_delete(resource) if verb == Verb.DELETE else rows_to_write(verb, resource)),
            ("file", "file", FileInput | None, "A file of rows."),
            *(match_by if verb != Verb.CREATE else ()),
            *(update_fields if verb in (Verb.UPSERT, Verb.SYNC) else ()),
            *(scope_of_sync(resource) if verb == Verb.SYNC else ()),
        ),
    )


def export_type(resource: BulkResource) -> Any:
    """FinancialTransactionExport: which rows, in which order, and the file that they go into."""
    names = ", ".join(default_names(resource))
    return input_type(
        f"{resource.type_name}{Verb.EXPORT.title()}",
        f"Rows of {resource.name} to export, among those that you may see.",
        (
            ("where", "where", filter_of(resource) | None, "Which rows; by default all."),
            (
                "order",
                "order",
                GenericAlias(list, order_of(resource)) | None,
                "In which order; earlier keys take precedence. By default by primary key.",
            ),
            (
                "fields",
                "fields",
                list[str] | None,
                "The columns of the file, under these names: fields of the resource, and of other resources through "
                f"foreign keys (account.name). By default {names}, as far as you may read them.",
            ),
            ("format", "format", FileFormat | None, "The file's format; by default CSV."),
            ("compression", "compression", FileCompression | None, "By default none, and ZSTD within Parquet."),
        ),
    )


SENTENCES = {
    Verb.CREATE: "New rows of {}",
    Verb.UPDATE: "Fields to change in rows of {}",
    Verb.REPLACE: "Rows of {} to replace",
    Verb.UPSERT: "Rows of {} to update, or to create if they do not exist",
    Verb.DELETE: "Rows of {} to delete",
    Verb.SYNC: "Rows of {} to sync",
}


def rows_to_write(verb: Verb, resource: BulkResource) -> Iterator[tuple[str, str, Any, str]]:
    row = row_type(verb, resource)
    yield "rows", "rows", GenericAlias(list, row) | None, "The rows themselves."


def rows_to_delete(resource: BulkResource) -> Iterator[tuple[str, str, Any, str]]:
    key = key_type(resource)
    yield "ids", "ids", list[strawberry.ID] | None, "Their primary keys."
    if key is not None:
        yield "keys", "keys", GenericAlias(list, key) | None, "Their keys."
    yield "where", "where", filter_of(resource) | None, "All rows that match, among those that you may see."
    yield "all", "all", bool | None, "All rows that you may see, if true; a `where` that filters nothing is refused."


def scope_of_sync(resource: BulkResource) -> Iterator[tuple[str, str, Any, str]]:
    yield "where", "where", filter_of(resource) | None, "The part of the table to make equal; by default all of it."
    words = "Delete the rows in scope that the input does not name; by default they stay."
    yield "delete_missing", "deleteMissing", bool | None, words
    words = "Write nothing if more than this many rows would be deleted; by default there is no such limit."
    yield "max_deletes", "maxDeletes", int | None, words
    words = (
        f"The same, as a percentage of rows in scope; by default {MAX_DELETE_PERCENT:g}, unless maxDeletes is given."
    )
    yield "max_delete_percent", "maxDeletePercent", float | None, words


def row_type(verb: Verb, resource: BulkResource) -> Any:
    """FinancialTransactionCreateRow: what one row gives."""
    return input_type(
        f"{resource.type_name}{verb.title()}Row",
        f"One row of {resource.name} to {verb.lower()}. A value of the wrong type is an error in its row only.",
        (*pk_field(verb, resource), *fields_of(verb, resource, resource.columns), *lists_of(resource)),
    )


def pk_field(verb: Verb, resource: BulkResource) -> Iterator[tuple[str, str, Any, str]]:
    """The primary key, where rows are found by it and do not give it themselves."""
    pk = resource.pk
    if verb in (Verb.UPDATE, Verb.REPLACE) and pk.name not in resource.columns:
        yield pk.name, pk.graphql_name, strawberry.ID | None, "The primary key of the row, if the row is found by it."


def fields_of(verb: Verb | None, resource: BulkResource, names: Iterable[str]) -> Iterator[tuple[str, str, Any, str]]:
    """Fields of a row; foreign keys by value, and by a key of their target."""
    for column in map(resource.columns.__getitem__, names):
        text = type_of(column, resource.type_name)
        is_named = column.name in resource.naming_columns
        # Whoever may not write a field leaves it out of a replacement, too.
        is_owed = verb == Verb.CREATE or (verb == Verb.REPLACE and not has_field_rights(resource))
        is_required = is_owed and column.is_required and not is_named
        words = describe(column, is_required=verb in (Verb.CREATE, Verb.REPLACE))
        yield column.name, column.graphql_name, text if is_required else text | None, words
        target = resource_of(column.target) if column.target is not None else None
        if is_named and target is not None:
            words = f"The same, by a key of the {target.model._meta.verbose_name}."
            yield f"{column.name}_by", by_name(column.name), by_type(target) | None, words


def lists_of(resource: BulkResource) -> Iterator[tuple[str, str, Any, str]]:
    """Many-to-many fields of a row: lists of primary keys, and of keys."""
    for by_pk, *others in resource.lists.values():
        assert by_pk.target is not None
        target, names = resource_of(by_pk.target), by_pk.target._meta.verbose_name_plural
        yield by_pk.name, by_pk.graphql_name, list[strawberry.ID] | None, describe(by_pk, is_required=False)
        for by_key in others:
            if by_key.has_objects and target is not None:
                words = f"The same, by keys of the {names}."
                yield by_key.name, by_key.graphql_name, GenericAlias(list, by_type(target)) | None, words


@cache
def by_type(target: BulkResource) -> Any:
    """FinancialAccountBy: the fields of the keys by which a row may be named."""
    columns = map(target.columns.__getitem__, target.names_of_keys())
    return input_type(
        f"{target.type_name}By",
        f"A row of {target.name}, named by all fields of one of its keys.",
        (
            (one.name, one.graphql_name, type_of(one, target.type_name) | None, describe(one, is_required=False))
            for one in columns
        ),
    )


@cache
def key_type(resource: BulkResource) -> Any:
    """FinancialTransactionKey: the fields of the keys by which rows are found; None if there are none."""
    names = resource.names_of_keys()
    if not names:
        return None
    text = f"A key of a row of {resource.name}: all fields of one of its keys."
    return input_type(f"{resource.type_name}Key", text, fields_of(None, resource, names))


@cache
def field_enum(resource: BulkResource) -> Any:
    """FinancialTransactionField: the names of the resource's fields, and of its primary key."""
    lists = {name: by_pk for name, (by_pk, *_) in resource.lists.items()}
    columns = {resource.pk.name: resource.pk, **resource.columns, **lists}
    values = {
        name.upper(): EnumValueDefinition(value=name, description=describe(one, is_required=False))
        for name, one in columns.items()
    }
    name = f"{resource.type_name}Field"
    # mypy wants an enum's members written out; these are known at run time.
    kind: Any = enum.Enum(name, values)  # type: ignore[misc]
    return strawberry.enum(kind, name=name, description=f"A field of {resource.name}.")
