"""A bulk request -> an operation with its chunks; an upload -> chunks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from workers import ledger, uploads
from workers.conf import limits, setting_name
from workers.duplicates import superseded
from workers.errors import BadInput, Forbidden, IdempotencyConflict, LimitExceeded, UnreadableFile
from workers.formats import files
from workers.formats.options import FileFormat, FileOptions
from workers.frames import pack
from workers.models import TEXT_LENGTH, Chunk, Input, Kind, OnError, Operation, Upload
from workers.plan import Plan, plan_for, plan_of
from workers.resources import BulkResource, in_dependency_order
from workers.rows import raw_frame
from workers.writers.keys import with_keys

if TYPE_CHECKING:
    from django.contrib.auth.models import User

T = TypeVar("T")

#: Chunks that are stored with one statement.
CHUNKS_AN_INSERT = 8


class Mode(StrEnum):
    """Whether the request waits for its rows to be written."""

    AUTO = "AUTO"
    SYNC = "SYNC"
    ASYNC = "ASYNC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a request brings for one resource: inline rows (decoded JSON), or a file."""

    resource: BulkResource
    rows: list[Any] | None = None
    upload: Upload | None = None
    #: A file that came with the request itself.
    content: File[bytes] | None = None
    file_options: FileOptions | None = None
    #: Rows of the table, to delete.
    queryset: QuerySet[Any] | None = None
    match_by: Sequence[str] | None = None
    update_fields: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRequest:
    """One bulk mutation, checked for its form."""

    kind: Kind
    user: User
    inputs: list[Rows]
    mode: Mode = Mode.AUTO
    on_error: OnError = OnError.SKIP_ROWS
    dry_run: bool = False
    chunk_size: int | None = None
    label: str = ""
    idempotency_key: str | None = None


def check(request: BulkRequest) -> None:
    """Refuse what cannot be served, before anything is stored."""
    if not request.inputs:
        raise BadInput("The input names no resource; give rows or a file for at least one.")
    for item in request.inputs:
        resource = item.resource
        check_permissions(request.user, request.kind, resource)
        if item.rows is not None and not item.rows:
            raise BadInput(f"{resource.name}.rows is empty; give at least one row.")
        check_rows_limit(resource, len(item.rows or ()))
    inline = sum(len(item.rows or ()) for item in request.inputs)
    exceeds("inline_rows", "rows in one request", inline, "send them as a file")
    exceeds("max_chunk_size", "rows in a chunk", request.chunk_size or 1, "ask for smaller chunks")
    check_text("label", request.label)
    check_text("idempotencyKey", request.idempotency_key or "")
    if request.chunk_size is not None and request.chunk_size < 1:
        raise BadInput(f"chunkSize is {request.chunk_size}; a chunk has at least one row.")


#: The model's Django permissions that an operation takes.
PERMISSIONS = {
    Kind.CREATE: ("add",),
    Kind.UPDATE: ("change",),
    Kind.REPLACE: ("change",),
    Kind.UPSERT: ("add", "change"),
    Kind.DELETE: ("delete",),
}


def check_permissions(user: User, kind: Kind, resource: BulkResource) -> None:
    """Whether the user may do this to the resource's rows; raises Forbidden."""
    meta = resource.model._meta
    for action in PERMISSIONS[kind]:
        permission = f"{meta.app_label}.{action}_{meta.model_name}"
        if not user.has_perm(permission):
            raise Forbidden(f"{kind.title()} of {resource.name} needs the permission {permission}.")


def check_text(name: str, text: str) -> None:
    """A text of the request that goes into the ledger."""
    if len(text) > TEXT_LENGTH:
        raise BadInput(f"{name} has {len(text):,} characters; {TEXT_LENGTH} are the most.")
    if "\0" in text:
        raise BadInput(f"{name} has a null character, which the database does not take.")


def check_rows_limit(resource: BulkResource, count: int) -> None:
    """A resource may bound its rows."""
    if resource.max_rows is not None and count > resource.max_rows:
        raise LimitExceeded(
            f"{count:,} rows of {resource.name} exceed the limit of {resource.max_rows:,} rows in one operation "
            f"(max_rows of its BulkResource)."
        )


def exceeds(limit: str, what: str, value: int, way_out: str) -> None:
    """Raise LimitExceeded where a value is over its limit."""
    most = getattr(limits(), limit)
    if value > most:
        raise LimitExceeded(f"{value:,} {what} exceed the limit of {most:,} ({setting_name(limit)}); {way_out}.")


def accept(request: BulkRequest) -> tuple[Operation, bool]:
    """Store a request in one transaction; whether it is new. Once this returns, the operation will be finished.

    The same idempotency key with the same input gives the first operation; with another it raises.
    """
    check(request)
    digest = hash_of(request)
    if (first := earlier(request, digest)) is not None:
        return first, False
    try:
        with transaction.atomic():
            return store(request, digest), True
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


def hash_of(request: BulkRequest) -> str:
    """A digest of all that decides what the operation does; only a key is ever compared with it."""
    if request.idempotency_key is None:
        return ""
    how = [request.kind, request.on_error, request.dry_run, request.chunk_size]
    digest = hashlib.sha256(json.dumps(how).encode())
    for item in request.inputs:
        options = item.file_options.as_json() if item.file_options is not None else None
        upload = str(item.upload.id) if item.upload is not None else None
        where = str(item.queryset.query) if item.queryset is not None else None
        what = [item.resource.name, item.match_by, item.update_fields, item.rows, upload, options, where]
        digest.update(json.dumps(what).encode())
        if item.content is not None:
            for piece in item.content.chunks():
                digest.update(piece)
            item.content.seek(0)
    return digest.hexdigest()


def store(request: BulkRequest, digest: str) -> Operation:
    """The operation, its inputs, and the chunks of inline rows."""
    operation = Operation.objects.create(
        kind=request.kind,
        on_error=request.on_error,
        dry_run=request.dry_run,
        label=request.label,
        idempotency_key=request.idempotency_key,
        input_hash=digest,
        created_by=request.user,
    )
    items = {item.resource.model: item for item in request.inputs}
    ordered = in_dependency_order(item.resource for item in request.inputs)
    if request.kind == Kind.DELETE:
        ordered.reverse()  # children go before their parents
    for position, resource in enumerate(ordered):
        store_input(operation, position, items[resource.model], resource.size_of_chunks(request.chunk_size))
    return operation


def store_input(operation: Operation, position: int, item: Rows, chunk_size: int) -> None:
    """One resource's rows: inline ones as chunks, a file as it is."""
    upload = item.upload
    if item.content is not None:
        assert operation.created_by is not None
        upload = uploads.announce(operation.created_by, item.content.name or "upload", item.content.size)
        uploads.fill(upload, item.content)
    plan = plan_of_request(Kind(operation.kind), item, upload)
    stored = Input.objects.create(
        operation=operation,
        resource=item.resource.name,
        position=position,
        chunk_size=chunk_size,
        upload=upload,
        file_options=item.file_options.as_json() if item.file_options is not None else None,
        match_by=plan.match_by,
        update_fields=plan.update_fields,
    )
    if upload is not None:
        assert item.file_options is not None
        with uploads.open_upload(upload) as file:
            files.check(file, plan, item.file_options)
        with uploads.open_upload(upload) as file:
            stored.header = files.header(file, plan, item.file_options)
        stored.save(update_fields=["header"])
        return
    total = store_rows(stored, plan, item)
    Input.objects.filter(pk=stored.pk).update(total=total, read_at=timezone.now())


def plan_of_request(kind: Kind, item: Rows, upload: Upload | None) -> Plan:
    """What to do with a resource's rows. What a Parquet file calls its columns, its reader will see."""
    names: set[str] = set()
    if upload is not None and item.file_options is not None:
        if item.file_options.format == FileFormat.PARQUET and item.match_by is None and kind != Kind.UPSERT:
            return Plan(resource=item.resource, kind=kind)
        names = names_in(upload, item.file_options)
    elif item.rows is not None:
        names = set().union(*(row for row in item.rows if isinstance(row, dict)))
    return plan_for(kind, item.resource, item.match_by, item.update_fields, names)


def names_in(upload: Upload, options: FileOptions) -> set[str]:
    """What a file calls its columns."""
    with uploads.open_upload(upload) as file:
        return files.names(file, options)


def store_rows(stored: Input, plan: Plan, item: Rows) -> int:
    """The chunks of inline rows, or of rows of the table; gives how many rows they are."""
    if item.queryset is not None:
        frames: Iterable[pl.DataFrame] = pk_frames(plan, item.queryset, stored.chunk_size)
    else:
        raw = raw_frame(plan, item.rows or [])
        with closing(superseded(plan, [raw])) as verdicts:
            frames = verdicts.mark(raw, 0).iter_slices(stored.chunk_size)
    total = 0
    for some in batched(enumerate(frames), CHUNKS_AN_INSERT):
        found = [new_chunk(stored, plan, number, frame, number * stored.chunk_size) for number, frame in some]
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


def new_chunk(stored: Input, plan: Plan, number: int, raw: pl.DataFrame, row_start: int) -> Chunk:
    """A chunk, with primary keys for rows that may become new."""
    frame = with_keys(plan.resource, raw) if plan.creates else raw
    return Chunk(
        operation_id=stored.operation_id,
        input=stored,
        number=number,
        row_start=row_start,
        row_count=frame.height,
        payload=pack(frame),
    )


def read(stored: Input) -> Iterator[Chunk]:
    """Read an input's upload into chunks, each stored before the next is read; raises UnreadableFile, LeaseLost.

    The file is read twice: which row is superseded by which is known only at its end. A reader that takes over from
    one that died goes on behind the last stored chunk.
    """
    assert stored.upload is not None
    options = FileOptions.from_json(stored.file_options or {})
    plan = plan_of_file(stored, options)
    resource = plan.resource
    done = stored.chunks.count()
    with uploads.open_upload(stored.upload) as file:
        verdicts = superseded(plan, alive(stored, files.read(file, plan, options)))
    row_start = 0
    with closing(verdicts), uploads.open_upload(stored.upload) as file:
        for number, frame in enumerate(in_slices(files.read(file, plan, options), stored.chunk_size)):
            if resource.max_rows is not None:
                check_rows_limit(resource, row_start + frame.height)
            if number >= done:
                chunk = new_chunk(stored, plan, number, verdicts.mark(frame, row_start), row_start)
                with transaction.atomic():
                    ledger.hold_input(stored)
                    chunk.save(force_insert=True)
                yield chunk
            row_start += frame.height
    if row_start == 0:
        raise UnreadableFile("The file has no rows.")
    ledger.read_to_end(stored, row_start)


def plan_of_file(stored: Input, options: FileOptions) -> Plan:
    """The plan of an input; how rows are found may be known only now that the file is there to be asked."""
    plan = plan_of(stored)
    if plan.kind == Kind.CREATE or plan.match_by:
        return plan
    assert stored.upload is not None
    plan = plan_for(plan.kind, plan.resource, None, plan.update_fields, names_in(stored.upload, options))
    stored.match_by = list(plan.match_by)
    stored.save(update_fields=["match_by"])
    return plan


def alive(stored: Input, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same frames, while the lease is kept alive."""
    for frame in frames:
        ledger.hold_input(stored)
        yield frame


def in_slices(frames: Iterator[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """Frames of any height -> frames of one height, but for the last."""
    held: list[pl.DataFrame] = []
    height = 0
    for frame in frames:
        held.append(frame)
        height += frame.height
        if height >= size:
            joined = pl.concat(held, how="diagonal")
            whole = height - height % size
            yield from joined[:whole].iter_slices(size)
            held, height = [joined[whole:]], height - whole
    if height:
        yield pl.concat(held, how="diagonal")
