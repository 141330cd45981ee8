"""Registered resources -> typed inputs, and inputs -> what workers/ takes."""

from __future__ import annotations

from collections.abc import Iterable
from types import GenericAlias
from typing import TYPE_CHECKING, Any

import strawberry
from strawberry.file_uploads import Upload

from schema.enums import EmptyCells, FileFormat, Mode, UnknownColumns
from schema.scalars import describe, type_of
from workers import uploads
from workers.columns import Column
from workers.errors import BadInput
from workers.formats.options import FileOptions, format_of
from workers.intake import Rows, exceeds
from workers.models import Kind
from workers.resources import BulkResource, resource_named

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@strawberry.input(description="A file's column under another name.")
class ColumnMapping:
    from_: str = strawberry.field(name="from", description="What the file calls it.")
    to: str = strawberry.field(description="The resource's field.")


@strawberry.input(description="A file of rows: sent with the request (upload), or uploaded before (uploadId).")
class FileInput:
    upload: Upload | None = strawberry.field(default=None, description="The file, in a multipart request.")
    upload_id: strawberry.ID | None = strawberry.field(default=None, description="An upload made by createUpload.")
    format: FileFormat | None = strawberry.field(default=None, description="By default, the file's name tells.")
    columns: list[ColumnMapping] | None = strawberry.field(
        default=None, description="Columns whose names are not the resource's."
    )
    unknown_columns: UnknownColumns = strawberry.field(
        default=UnknownColumns.REJECT, description="What becomes of columns that the resource does not have."
    )
    null_values: list[str] | None = strawberry.field(
        default=None, description="Cells that mean null, such as NA. By default none."
    )
    empty_cells: EmptyCells = strawberry.field(
        default=EmptyCells.MISSING, description="What an empty cell says; a quoted empty text is a text."
    )
    delimiter: str = strawberry.field(default=",", description="Between the cells of CSV: one character.")
    encoding: str = strawberry.field(default="utf-8", description="Of CSV, such as utf-8, utf-16 or cp1252.")


@strawberry.input(description="How an operation is carried out.")
class BulkOptions:
    mode: Mode = strawberry.field(
        default=Mode.AUTO, description="Whether the mutation waits for its rows to be written."
    )
    chunk_size: int | None = strawberry.field(
        default=None, description="Rows that are written in one transaction; by default as the resource says."
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="A second request with this key and the same input returns the first one's operation.",
    )
    label: str | None = strawberry.field(default=None, description="A name for the operation, for people.")


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


def create_row_type(resource: BulkResource) -> Any:
    """FinancialTransactionCreateRow: what one new row gives."""
    return input_type(
        f"{resource.type_name}CreateRow",
        f"One row of {resource.name} to create. A value of the wrong type is an error of its row alone.",
        (
            (column.name, column.graphql_name, annotation_of(resource, column), describe(column))
            for column in resource.columns.values()
        ),
    )


def annotation_of(resource: BulkResource, column: Column) -> Any:
    """The type of a column's values in rows to create."""
    kind = type_of(column, resource.type_name)
    return kind if column.is_required else kind | None


def create_type(resource: BulkResource) -> Any:
    """FinancialTransactionCreate: rows, or a file of them."""
    row = create_row_type(resource)
    return input_type(
        f"{resource.type_name}Create",
        f"New rows of {resource.name}: inline or in a file, exactly one of the two.",
        (
            ("rows", "rows", GenericAlias(list, row) | None, "The rows themselves."),
            ("file", "file", FileInput | None, "A file that holds the rows."),
        ),
    )


def create_input_type(resources: list[BulkResource]) -> Any:
    """BulkCreateInput: an optional field for each resource."""
    return input_type(
        "BulkCreateInput",
        "The rows to create. Several resources are written as one operation, parents before children.",
        (
            (resource.name, resource.name, create_type(resource) | None, f"Rows of {resource.name}.")
            for resource in resources
            if Kind.CREATE in resource.operations
        ),
    )


def inputs_of(given: Any, rows: dict[str, list[Any]], user: User) -> list[Rows]:
    """What a bulk input names, with the rows that the row lane carried past it."""
    return [
        rows_of(resource_named(name), item, rows.get(name), user)
        for name, item in vars(given).items()
        if item is not None and item is not strawberry.UNSET
    ]


def rows_of(resource: BulkResource, item: Any, rows: list[Any] | None, user: User) -> Rows:
    """One resource's input: exactly one of rows and file."""
    file = item.file if item.file is not strawberry.UNSET else None
    if (rows is None) == (file is None):
        both = "both rows and a file" if rows is not None else "neither rows nor a file"
        raise BadInput(f"{resource.name} has {both}; give exactly one of the two.")
    if file is None:
        return Rows(resource=resource, rows=rows)
    return file_of(resource, file, user)


def file_of(resource: BulkResource, file: FileInput, user: User) -> Rows:
    """A file's bytes and options: exactly one of upload and uploadId."""
    if (file.upload is None) == (file.upload_id is None):
        both = "both upload and uploadId" if file.upload is not None else "neither upload nor uploadId"
        raise BadInput(f"{resource.name}.file has {both}; give exactly one of the two.")
    upload = uploads.find(user, file.upload_id) if file.upload_id is not None else None
    if upload is not None and upload.uploaded_at is None:
        raise BadInput(f"Upload {upload.id} has no file yet; PUT its bytes to the url that createUpload gave.")
    content: Any = file.upload
    if content is not None and not hasattr(content, "chunks"):
        raise BadInput(f"{resource.name}.file.upload is no file; send one in a multipart request, or use createUpload.")
    if content is not None:
        exceeds("multipart_bytes", "bytes of a file in the request", content.size, "use createUpload")
    name = upload.name if upload is not None else content.name
    options = FileOptions(
        format=FileFormat(file.format) if file.format is not None else format_of(name),
        columns={one.from_: resource.column_names.get(one.to, one.to) for one in file.columns or ()},
        unknown_columns=file.unknown_columns,
        null_values=tuple(file.null_values or ()),
        empty_cells=file.empty_cells,
        delimiter=file.delimiter,
        encoding=file.encoding,
    )
    return Rows(resource=resource, upload=upload, content=content, file_options=options)
