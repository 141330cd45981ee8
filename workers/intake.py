"""A bulk request -> an operation with its chunks; an upload -> chunks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import polars as pl
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.utils import timezone

from workers import ledger, uploads
from workers.conf import limits, setting_name
from workers.duplicates import superseded
from workers.errors import BadInput, Forbidden, IdempotencyConflict, LimitExceeded, UnreadableFile
from workers.formats import files
from workers.formats.options import FileOptions
from workers.frames import pack
from workers.models import TEXT_LENGTH, Chunk, Input, Kind, Operation, Upload
from workers.resources import BulkResource, in_dependency_order
from workers.rows import raw_frame
from workers.writers.keys import with_keys

if TYPE_CHECKING:
    from django.contrib.auth.models import User


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRequest:
    """One bulk mutation, checked for its form."""

    kind: Kind
    user: User
    inputs: list[Rows]
    mode: Mode = Mode.AUTO
    chunk_size: int | None = None
    label: str = ""
    idempotency_key: str | None = None


def check(request: BulkRequest) -> None:
    """Refuse what cannot be served, before anything is stored."""
    if not request.inputs:
        raise BadInput("The input names no resource; give rows or a file for at least one.")
    for item in request.inputs:
        resource = item.resource
        permission = f"{resource.model._meta.app_label}.{PERMISSIONS[request.kind]}_{resource.model._meta.model_name}"
        if not request.user.has_perm(permission):
            raise Forbidden(f"{request.kind.title()} of {resource.name} needs the permission {permission}.")
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


PERMISSIONS = {Kind.CREATE: "add"}


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
    digest = hashlib.sha256(json.dumps([request.kind, request.chunk_size]).encode())
    for item in request.inputs:
        options = item.file_options.as_json() if item.file_options is not None else None
        upload = str(item.upload.id) if item.upload is not None else None
        digest.update(json.dumps([item.resource.name, item.rows, upload, options]).encode())
        if item.content is not None:
            for piece in item.content.chunks():
                digest.update(piece)
            item.content.seek(0)
    return digest.hexdigest()


def store(request: BulkRequest, digest: str) -> Operation:
    """The operation, its inputs, and the chunks of inline rows."""
    operation = Operation.objects.create(
        kind=request.kind,
        label=request.label,
        idempotency_key=request.idempotency_key,
        input_hash=digest,
        created_by=request.user,
    )
    items = {item.resource.model: item for item in request.inputs}
    for position, resource in enumerate(in_dependency_order(item.resource for item in request.inputs)):
        store_input(operation, position, items[resource.model], resource.size_of_chunks(request.chunk_size))
    return operation


def store_input(operation: Operation, position: int, item: Rows, chunk_size: int) -> None:
    """One resource's rows: inline ones as chunks, a file as it is."""
    upload = item.upload
    if item.content is not None:
        assert operation.created_by is not None
        upload = uploads.announce(operation.created_by, item.content.name or "upload", item.content.size)
        uploads.fill(upload, item.content)
    stored = Input.objects.create(
        operation=operation,
        resource=item.resource.name,
        position=position,
        chunk_size=chunk_size,
        upload=upload,
        file_options=item.file_options.as_json() if item.file_options is not None else None,
    )
    if upload is not None:
        assert item.file_options is not None
        with uploads.open_upload(upload) as file:
            files.check(file, item.resource, item.file_options)
        return
    raw = raw_frame(item.resource, item.rows or [])
    with closing(superseded(item.resource, [raw])) as verdicts:
        marked = verdicts.mark(raw, 0)
    Chunk.objects.bulk_create(
        new_chunk(stored, item.resource, number, frame, number * chunk_size)
        for number, frame in enumerate(marked.iter_slices(chunk_size))
    )
    Input.objects.filter(pk=stored.pk).update(total=raw.height, read_at=timezone.now())


def new_chunk(stored: Input, resource: BulkResource, number: int, raw: pl.DataFrame, row_start: int) -> Chunk:
    """A chunk, with primary keys for its rows."""
    frame = with_keys(resource, raw)
    return Chunk(
        operation_id=stored.operation_id,
        input=stored,
        number=number,
        row_start=row_start,
        row_count=frame.height,
        payload=pack(frame),
    )


def read(stored: Input, resource: BulkResource) -> Iterator[Chunk]:
    """Read an input's upload into chunks, each stored before the next is read; raises UnreadableFile, LeaseLost.

    The file is read twice: which row is superseded by which is known only at its end. A reader that takes over from
    one that died goes on behind the last stored chunk.
    """
    assert stored.upload is not None
    options = FileOptions.from_json(stored.file_options or {})
    done = stored.chunks.count()
    with uploads.open_upload(stored.upload) as file:
        verdicts = superseded(resource, alive(stored, files.read(file, resource, options)))
    row_start = 0
    with closing(verdicts), uploads.open_upload(stored.upload) as file:
        for number, frame in enumerate(in_slices(files.read(file, resource, options), stored.chunk_size)):
            if resource.max_rows is not None:
                check_rows_limit(resource, row_start + frame.height)
            if number >= done:
                chunk = new_chunk(stored, resource, number, verdicts.mark(frame, row_start), row_start)
                with transaction.atomic():
                    ledger.hold_input(stored)
                    chunk.save(force_insert=True)
                yield chunk
            row_start += frame.height
    if row_start == 0:
        raise UnreadableFile("The file has no rows.")
    ledger.read_to_end(stored, row_start)


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
