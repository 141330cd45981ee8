"""A bulk request -> an operation with its chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeAlias, TypeVar

import polars as pl
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from bulkql.workers.conf import limits
from bulkql.workers.enums import Verb
from bulkql.workers.errors import IdempotencyConflict
from bulkql.workers.frames import pack
from bulkql.workers.intake.duplicates import marked
from bulkql.workers.intake.requests import BulkRequest, InputRequest, check, check_rows_limit, hash_of
from bulkql.workers.intake.reservation import with_keys
from bulkql.workers.models import Chunk, Input, Operation, Upload
from bulkql.workers.readers import files
from bulkql.workers.readers.objects import raw_frame
from bulkql.workers.readers.options import FileFormat
from bulkql.workers.resources.plan import Plan, plan_for
from bulkql.workers.resources.registry import in_dependency_order
from bulkql.workers.uploads import uploads

T = TypeVar("T")

#: Writes a chunk's rows, which are given with it, as it is stored.
Write: TypeAlias = Callable[[Chunk, Plan, pl.DataFrame], None]

#: Chunks that are stored with one statement.
CHUNKS_AN_INSERT = 8
#: InputRequest that one statement deletes for each that is written: their chunks' cost is not theirs.
DELETES_FOR_A_ROW = 5


def accept(request: BulkRequest, write: Write | None = None) -> tuple[Operation, bool]:
    """Store a request in one transaction; whether it is new. Once this returns, the operation will be finished.

    The same idempotency key with the same input gives the first operation; with another it raises. `write` writes the
    rows of each chunk as it is stored.
    """
    check(request)
    digest = hash_of(request)
    if (first := earlier(request, digest)) is not None:
        return first, False
    try:
        # Only a key that another request has too can fail here, and leave the caller's transaction to go on.
        with transaction.atomic(savepoint=request.idempotency_key is not None):
            return store(request, digest, write), True
    except IntegrityError:
        # Another request with this key was faster by a moment.
        if (first := earlier(request, digest)) is not None:
            return first, False
        raise


def earlier(request: BulkRequest, digest: str) -> Operation | None:
    """The operation that this request asked for before."""
    if request.idempotency_key is None:
        return None
    first = Operation.objects.filter(created_by=request.user, idempotency_key=request.idempotency_key).first()
    if first is not None and first.input_hash != digest:
        raise IdempotencyConflict(
            f"The idempotency key {request.idempotency_key!r} belongs to operation {first.id}, which had another "
            f"input; take a new key for new input."
        )
    return first


def store(request: BulkRequest, digest: str, write: Write | None) -> Operation:
    """The operation, its inputs, and the chunks of inline rows."""
    operation = Operation.objects.create(
        verb=request.verb,
        on_error=request.on_error,
        dry_run=request.dry_run,
        label=request.label,
        idempotency_key=request.idempotency_key,
        input_hash=digest,
        created_by=request.user,
    )
    items = {item.resource.model: item for item in request.inputs}
    ordered = in_dependency_order(item.resource for item in request.inputs)
    if request.verb == Verb.DELETE:
        ordered.reverse()  # children go before their parents
    for position, resource in enumerate(ordered):
        store_input(operation, position, items[resource.model], request.chunk_size, write)
    return operation


def chunk_size(plan: Plan, requested: int | None) -> int:
    """InputRequest in a chunk."""
    if plan.verb == Verb.DELETE and plan.resource.refers_to_itself:
        # A row may take others of the request along, which nobody should then miss: they go together.
        return limits().max_chunk_size
    size = plan.resource.size_of_chunks(requested)
    if requested is None and plan.deletes_at_once:
        return min(DELETES_FOR_A_ROW * size, limits().max_chunk_size)
    return size


def store_input(
    operation: Operation, position: int, item: InputRequest, requested_size: int | None, write: Write | None = None
) -> None:
    """One resource's rows: inline ones as chunks, a file as it is."""
    verb = Verb(operation.verb)
    if item.file_options is not None:
        upload = upload_of(operation, item)
        with uploads.open_upload(upload) as file:
            plan = plan_of_request(verb, item, file)
            files.check(file, plan, item.file_options)
            header = files.header(file, plan, item.file_options)
        new_input(
            operation,
            position,
            plan,
            requested_size,
            upload=upload,
            file_options=item.file_options.as_json(),
            header=header,
        )
        return
    plan = plan_of_request(verb, item, None)
    total, read_at = (None, None) if item.rows is None else (len(item.rows), timezone.now())
    stored = new_input(operation, position, plan, requested_size, total=total, read_at=read_at)
    found = store_rows(stored, plan, item, write)
    if total is None:
        Input.objects.filter(pk=stored.pk).update(total=found, read_at=timezone.now())


def upload_of(operation: Operation, item: InputRequest) -> Upload:
    """The upload that a request names, or that of the file that came with it."""
    if item.content is None:
        assert item.upload is not None
        return item.upload
    assert operation.created_by is not None
    upload = uploads.announce(operation.created_by, item.content.name or "upload", item.content.size)
    return uploads.fill(upload, item.content)


def new_input(operation: Operation, position: int, plan: Plan, requested_size: int | None, **how_it_came: Any) -> Input:
    """The input of one resource."""
    return Input.objects.create(
        operation=operation,
        resource=plan.resource.name,
        position=position,
        chunk_size=chunk_size(plan, requested_size),
        match_by=plan.match_by,
        update_fields=plan.update_fields,
        **how_it_came,
    )


def plan_of_request(verb: Verb, item: InputRequest, file: File[bytes] | None) -> Plan:
    """What to do with a resource's rows. What a Parquet file calls its columns, its reader will see."""
    names: set[str] = set()
    if file is not None and item.file_options is not None:
        if item.file_options.format == FileFormat.PARQUET and item.match_by is None and verb != Verb.UPSERT:
            return Plan(resource=item.resource, verb=verb)
        names = files.names(file, item.file_options)
    elif item.rows is not None:
        names = set().union(*(row for row in item.rows if isinstance(row, dict)))
    return plan_for(verb, item.resource, item.match_by, item.update_fields, names)


def store_rows(stored: Input, plan: Plan, item: InputRequest, write: Write | None) -> int:
    """The chunks of inline rows, or of rows of the table; gives how many rows they are."""
    if item.queryset is not None:
        frames: Iterable[pl.DataFrame] = pk_frames(plan, item.queryset, stored.chunk_size)
    else:
        raw = raw_frame(plan, item.rows or [])
        frames = marked(plan, raw, stored.operation.created_by).iter_slices(stored.chunk_size)
    return store_frames(stored, plan, frames, write)


def store_frames(stored: Input, plan: Plan, frames: Iterable[pl.DataFrame], write: Write | None = None) -> int:
    """Raw frames as an input's chunks, a few of them in memory at a time; gives how many rows they are."""
    total = 0
    for some in batched(enumerate(frames), CHUNKS_AN_INSERT):
        found = [new_chunk(stored, plan, number, frame, number * stored.chunk_size, write) for number, frame in some]
        Chunk.objects.bulk_create(found)
        total += sum(chunk.row_count for chunk in found)
        check_rows_limit(plan.resource, total)
    return total


def pk_frames(plan: Plan, queryset: QuerySet[Any], size: int) -> Iterator[pl.DataFrame]:
    """The primary keys of rows, as a file of them would give them."""
    pks = queryset.using(plan.resource.database).order_by("pk").values_list("pk", flat=True)
    for some in batched(pks.iterator(chunk_size=size), size):
        yield pl.DataFrame({plan.resource.pk.name: [str(pk) for pk in some]}, schema={plan.resource.pk.name: pl.String})


def batched(values: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Tuples of so many values, the last one shorter."""
    rest = iter(values)
    while some := tuple(islice(rest, size)):
        yield some


def new_chunk(
    stored: Input, plan: Plan, number: int, raw: pl.DataFrame, row_start: int, write: Write | None = None
) -> Chunk:
    """A chunk, with primary keys for rows that may become new."""
    frame = with_keys(plan.resource, raw) if plan.creates else raw
    chunk = Chunk(
        operation=stored.operation,
        input=stored,
        number=number,
        row_start=row_start,
        row_count=frame.height,
        payload=pack(frame),
    )
    if write is not None:
        write(chunk, plan, frame)
    return chunk
