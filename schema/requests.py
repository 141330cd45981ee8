"""A bulk mutation's input -> the request that workers/ takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import strawberry_django
from django.db.models import QuerySet
from strawberry.types import Info

from bulkql.schema.checks.filters import check_where
from bulkql.schema.context import Context
from bulkql.schema.options import ColumnMapping, FileInput, is_given
from bulkql.schema.permissions import check_may_search
from bulkql.schema.rows.variables import LISTS
from bulkql.workers.columns.column import by_name
from bulkql.workers.columns.spelling import Spelling
from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.intake.checks import exceeds
from bulkql.workers.intake.requests import Guard, InputRequest
from bulkql.workers.models import Upload
from bulkql.workers.readers.files import format_of_file
from bulkql.workers.readers.options import (
    ENCODING,
    EmptyCells,
    FileFormat,
    FileOptions,
    ShortRecords,
    UnknownColumns,
    compression_of,
    delimiter_by_name,
    format_by_name,
)
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource, resource_named
from bulkql.workers.resources.scope import pks_of
from bulkql.workers.uploads import uploads

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Inline rows of each resource, by the field that held them.
Lists = dict[str, dict[str, list[Any]]]


def inputs_of(verb: Verb, given: Any, lists: Lists, user: User, info: Info[Context, None]) -> list[InputRequest]:
    """What a bulk input names, with the rows that the row lane carried past it."""
    return [
        rows_of(verb, resource_named(name), item, lists.get(name, {}), user, info)
        for name, item in vars(given).items()
        if is_given(item)
    ]


def rows_of(
    verb: Verb, resource: BulkResource, item: Any, lists: dict[str, list[Any]], user: User, info: Info[Context, None]
) -> InputRequest:
    """One resource's input: exactly one source of rows."""
    sources = ("ids", "keys", "where", "all", "file") if verb == Verb.DELETE else ("rows", "file")
    found = [name for name in sources if name in lists or is_source(item, name)]
    if len(found) != 1:
        named = ["a file" if name == "file" else name for name in found or sources]
        either = f"both {' and '.join(named)}" if found else f"neither {' nor '.join(named)}"
        them = "the two" if len(sources) == 2 else "them"
        raise BadInput(f"{resource.name} has {either}; give exactly one of {them}.")
    match_by, update_fields = names_of(item, "match_by"), names_of(item, "update_fields")
    (source,) = found
    if source == "file":
        how = file_of(resource, item.file, user)
    elif source == "where":
        how = {"queryset": matching(resource, item.where, user, info)}
    elif source == "all":
        how = {"queryset": touchable(resource, user)}
    elif source == "ids":
        how = {"rows": [{resource.pk.name: one} for one in lists["ids"]]}
    else:
        how = {"rows": lists[source]}
    if source in ("where", "ids", "all"):
        match_by = [resource.pk.name]
    if verb == Verb.SYNC:
        how |= limits_of_sync(resource, item, user, info)
    if source == "keys" and match_by is None:
        match_by = key_of(resource, lists["keys"])
    return InputRequest(resource=resource, source=source, match_by=match_by, update_fields=update_fields, **how)


def limits_of_sync(resource: BulkResource, item: Any, user: User, info: Info[Context, None]) -> dict[str, Any]:
    """The part of the table that a sync is about, and what it may delete; raises BadInput."""
    where, deletes = (getattr(item, name) for name in ("where", "delete_missing"))
    most, percent = (
        value if is_given(value := getattr(item, name)) else None for name in ("max_deletes", "max_delete_percent")
    )
    rows = resource.model._base_manager.all()
    return {
        "where": found_by(Verb.SYNC, resource, where, rows, user, info) if is_given(where) else None,
        "guard": Guard.of_sync(is_given(deletes) and bool(deletes), most, percent),
    }


def is_source(item: Any, name: str) -> bool:
    """Whether an input has rows in this field itself; all: false says no more than nothing."""
    value = getattr(item, name, None)
    return is_given(value) and name not in LISTS and value is not False


def names_of(item: Any, field: str) -> list[str] | None:
    """The fields that a list of enum values names."""
    values = getattr(item, field, None)
    return [one.value for one in values] if values is not None and is_given(values) else None


def matching(resource: BulkResource, where: Any, user: User, info: Info[Context, None]) -> QuerySet[Any]:
    """The rows that a filter finds, among those that the user may touch; raises BadInput for one that says nothing."""
    return found_by(Verb.DELETE, resource, where, touchable(resource, user), user, info)


def found_by(
    verb: Verb, resource: BulkResource, where: Any, rows: QuerySet[Any], user: User, info: Info[Context, None]
) -> QuerySet[Any]:
    """Those of some rows that a filter finds."""
    check_may_search(user, resource, "filtered", where)
    check_where(verb, resource, where, info)
    return strawberry_django.filters.apply(where, rows, info).distinct()


def touchable(resource: BulkResource, user: User) -> QuerySet[Any]:
    """All rows that the user may touch."""
    return resource.model._base_manager.filter(pk__in=pks_of(resource.get_queryset(user)))


def key_of(resource: BulkResource, keys: list[Any]) -> list[str] | None:
    """The fields that the first key names: all keys of a request are of one kind."""
    first = keys[0] if keys and isinstance(keys[0], dict) else {}
    names = {
        column.name
        for column in resource.columns.values()
        if not {column.name, column.graphql_name, by_name(column.name)}.isdisjoint(first)
    }
    return next((list(key.fields) for key in resource.given_keys if set(key.fields) == names), None)


def file_of(resource: BulkResource, file: FileInput, user: User) -> dict[str, Any]:
    """A file's bytes and options: exactly one of upload and uploadId."""
    if (file.upload is None) == (file.upload_id is None):
        both = "both upload and uploadId" if file.upload is not None else "neither upload nor uploadId"
        raise BadInput(f"{resource.name}.file has {both}; give exactly one of the two.")
    upload = uploads.own_upload(user, file.upload_id) if file.upload_id is not None else None
    content: Any = file.upload
    if content is not None and not hasattr(content, "chunks"):
        raise BadInput(
            f"{resource.name}.file.upload is not a file; send one in a multipart request, or use createUpload."
        )
    if content is not None:
        exceeds("multipart_bytes", "bytes of a file in the request", content.size, "use createUpload")
    name = upload.name if upload is not None else content.name or ""
    check_columns(file.columns or ())
    every = Plan(resource=resource, verb=Verb.UPDATE, match_by=(resource.pk.name,))
    options = FileOptions(
        format=FileFormat(file.format) if file.format is not None else format_told(name, upload, content),
        columns={one.from_: every.names.get(one.to, one.to) for one in file.columns or ()},
        unknown_columns=file.unknown_columns or UnknownColumns.REJECT,
        short_records=file.short_records or ShortRecords.REJECT,
        null_values=tuple(file.null_values or ()),
        empty_cells=file.empty_cells or EmptyCells.MISSING,
        delimiter=delimiter_by_name(name) if file.delimiter is None else file.delimiter,
        encoding=ENCODING if file.encoding is None else file.encoding,
        compression=compression_of(name),
        left_out=tuple(one for one in ("delimiter", "encoding") if getattr(file, one) is None),
        spelling=Spelling(
            trim=bool(file.trim),
            decimal=file.decimal,
            date_format=file.date_format,
            true_values=tuple(file.true_values or ()),
            false_values=tuple(file.false_values or ()),
        ),
        sheet=file.sheet,
        header_row=file.header_row,
    )
    return {"upload": upload, "content": content, "file_options": options}


def format_told(name: str, upload: Upload | None, content: Any) -> FileFormat:
    """The format of a file, by its name or its first bytes; raises BadInput."""
    if content is not None:
        return format_of_file(name, content)
    assert upload is not None
    if (named := format_by_name(name)) is not None:
        return named
    uploads.check_has_beginning(upload)
    with uploads.open_upload(upload) as file:
        return format_of_file(name, file)


def check_columns(columns: Sequence[ColumnMapping]) -> None:
    """Whether a mapping says one thing of each column; raises BadInput."""
    for name, count in Counter(one.from_.strip() for one in columns).items():
        if count > 1:
            raise BadInput(f"`columns` names {name!r} {count} times; a column goes to one field.")
    for name, count in Counter(one.to for one in columns).items():
        if count > 1:
            raise BadInput(f"`columns` maps {count} columns to {name}; a field takes one.")
