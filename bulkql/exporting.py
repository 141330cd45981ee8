"""bulkExport for Python code. Models and conditions -> an operation with its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from asgiref.sync import sync_to_async

from bulkql.operation import BulkOperation, canceled_by_ctrl_c
from bulkql.options import check_is_list, checked, choice, names, refused_in_python
from bulkql.workers.enums import Verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import Model, Q, QuerySet

    from bulkql.workers.intake.requests import InputRequest


class ExportOptions(TypedDict, total=False):
    """What an export takes beside its rows."""

    #: SYNC returns the finished operation; ASYNC leaves it to the workers; AUTO asks how many rows there are.
    mode: Literal["SYNC", "ASYNC", "AUTO"]
    #: Count the rows, and write no file.
    dry_run: bool
    label: str
    start_at: datetime
    idempotency_key: str | None


@refused_in_python()
def export(
    model: type[Model] | Iterable[type[Model]],
    *,
    user: User,
    where: Q | QuerySet[Any] | None = None,
    order_by: Sequence[str] = (),
    fields: Sequence[str] | None = None,
    format: Literal["CSV", "NDJSON", "PARQUET", "XLSX"] = "CSV",
    compression: Literal["NONE", "GZIP", "ZSTD"] | None = None,
    **options: Unpack[ExportOptions],
) -> BulkOperation:
    """Write a model's rows that `user` may see to a file, or those of several models to one each; raises BulkError.

    `where` is a condition or a queryset, whose order counts where `order_by` gives none; with several models there is
    none of the two, and each has its own fields. `files` of the operation are there when it is over.
    """
    # `import bulkql` stands in INSTALLED_APPS: no model may be touched before Django is set up.
    from bulkql.verbs import check_user
    from bulkql.workers.errors import BadInput
    from bulkql.workers.intake.requests import BulkRequest, FileCompression, Mode
    from bulkql.workers.operations import running
    from bulkql.workers.readers.options import FileFormat

    given: Any = model
    models = list(given) if isinstance(given, Iterable) and not isinstance(given, type | str) else [given]
    if len(models) != 1 and (where is not None or order_by or fields is not None):
        raise BadInput(
            "With several models there is no `where`, `order_by` or `fields`; export each of them by itself."
        )
    check_user(user)
    how = checked(options, ExportOptions.__annotations__)
    mode = choice("mode", Mode, how.pop("mode", Mode.ASYNC if "start_at" in how else Mode.SYNC))
    packing = None if compression is None else choice("compression", FileCompression, compression)
    file_format = choice("format", FileFormat, format)
    check_is_list("order_by", order_by)
    columns = names("fields", fields)
    inputs = [input_to_export(one, user, where, order_by, columns, file_format, packing) for one in models]
    request = BulkRequest(verb=Verb.EXPORT, user=user, inputs=inputs, mode=mode, **how)
    with canceled_by_ctrl_c(request.operation_id):
        return BulkOperation(running.run(request))


async def async_export(model: type[Model] | Iterable[type[Model]], **options: Any) -> BulkOperation:
    """`export` for async code."""
    return await sync_to_async(export)(model, **options)


def input_to_export(
    model: type[Model],
    user: User,
    where: Q | QuerySet[Any] | None,
    order_by: Sequence[str],
    fields: Sequence[str] | None,
    file_format: Any,
    compression: Any,
) -> InputRequest:
    """One model's part."""
    from bulkql.rows import rows_where
    from bulkql.verbs import resource_for
    from bulkql.workers.errors import refusals_named
    from bulkql.workers.exports.fields import fields_for
    from bulkql.workers.exports.rows import check_order
    from bulkql.workers.intake.requests import ExportRequest, InputRequest
    from bulkql.workers.resources.scope import pks_of

    resource = resource_for(model, Verb.EXPORT)
    columns = fields_for(resource, fields, user)
    rows: QuerySet[Any] | None = None if where is None else rows_where(resource, where)
    with refusals_named("order_by" if order_by else "where"):
        if order_by:
            every: QuerySet[Any] = resource.model._base_manager.using(resource.database)
            found = every if rows is None else rows
            # What a slice has depends on its own order.
            rows = (every.filter(pk__in=pks_of(found)) if found.query.is_sliced else found).order_by(*order_by)
        if rows is not None:
            check_order(resource, rows)
    request = ExportRequest(fields=tuple(one.name for one in columns), format=file_format, compression=compression)
    return InputRequest(resource=resource, where=rows, export=request)
