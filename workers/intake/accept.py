"""A bulk request -> an operation with its chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import IntegrityError, OperationalError, connections, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from bulkql.workers.backends import backend
from bulkql.workers.conf import limits
from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput, IdempotencyConflict, refusals_named
from bulkql.workers.intake.authority import grant
from bulkql.workers.intake.checks import check_request
from bulkql.workers.intake.chunking import ChunkStore, in_bytes
from bulkql.workers.intake.duplicates import marked
from bulkql.workers.intake.pace import rows_in_time
from bulkql.workers.intake.requests import BulkRequest, ExportRequest, InputRequest, Mode, hash_of, rate_of
from bulkql.workers.ledger import turns
from bulkql.workers.ledger.rates import rows_in_a_chunk
from bulkql.workers.models import Export, Input, Operation, Upload
from bulkql.workers.quotas import check_new_operation
from bulkql.workers.readers import files
from bulkql.workers.readers.bounds import bounded
from bulkql.workers.readers.objects import raw_frame
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.plan import Plan, keeps_images, plan_for, verb_of_rows
from bulkql.workers.resources.registry import in_dependency_order
from bulkql.workers.resources.scope import reach_of
from bulkql.workers.resources.wheres import frozen
from bulkql.workers.uploads import uploads
from bulkql.workers.validation.sealing import sealed
from bulkql.workers.webhooks.deliveries import announce
from bulkql.workers.webhooks.targets import default_url

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Seconds that a request waits to know whether an export is a small one.
COUNTING_SECONDS = 1
#: Rows that one statement deletes, or that a sync looks at, for each that is written: they cost less than their chunks.
LIGHT_ROWS = 5


def accept(request: BulkRequest, chunks: ChunkStore | None = None) -> tuple[Operation, bool]:
    """Store a request in one transaction; whether it is new. Once this returns, the operation will be finished.

    The same idempotency key with the same input gives the first operation; with another it raises.
    """
    check_request(request)
    digest = hash_of(request)
    if (first := earlier(request, digest)) is not None:
        return first, False
    check_new_operation(request.user, request.inline_rows)
    try:
        # Only a key that another request has too can fail here, and leave the caller's transaction to go on.
        with transaction.atomic(savepoint=request.idempotency_key is not None):
            return store_request(request, digest, chunks or ChunkStore()), True
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
    if first is not None and first.input_hash not in (digest, hash_of(request, by_content=False)):
        raise IdempotencyConflict(
            f"The idempotency key {request.idempotency_key!r} belongs to operation {first.id}, which had another "
            "input or other options; use a new key for a new request."
        )
    return first


def store_request(request: BulkRequest, digest: str, chunks: ChunkStore) -> Operation:
    """The operation, its inputs, and the chunks of inline rows."""
    operation = new_operation(request, digest, skip_existing=request.skip_existing)
    items = {item.resource.model: item for item in request.inputs}
    ordered = in_dependency_order(item.resource for item in request.inputs)
    if request.verb == Verb.DELETE:
        ordered.reverse()  # children go before their parents
    for position, resource in enumerate(ordered):
        item = items[resource.model]
        if item.export is not None:
            store_export(operation, position, item, item.export, request.mode)
        elif item.file_options is not None:
            store_file(operation, position, item, item.file_options, request.chunk_size)
        else:
            store_rows(operation, position, item, request.chunk_size, chunks)
    deleting = [resource for resource in reversed(ordered) if items[resource.model].guard is not None]
    for position, resource in enumerate(deleting, start=len(ordered)):
        announce_removal(operation, position, items[resource.model], request.chunk_size)
    return operation


def new_operation(request: BulkRequest, digest: str, **of_its_verb: Any) -> Operation:
    """The operation of a request, without inputs, and whom its end is told."""
    urls = webhook_urls(request)
    operation = Operation.objects.create(
        id=request.operation_id,
        verb=request.verb,
        on_error=request.on_error,
        dry_run=request.dry_run,
        calls_back=bool(urls),
        start_at=request.start_at,
        max_rows_per_second=rate_of(request),
        message=start_message(request),
        label=request.label,
        idempotency_key=request.idempotency_key,
        input_hash=digest,
        created_by=request.user,
        **of_its_verb,
    )
    if urls:
        announce(operation, urls)
    return operation


def webhook_urls(request: BulkRequest) -> list[str]:
    """Where the end of an operation is told: as asked, or as its resources or the settings say."""
    if request.webhook_url is not None:
        return [request.webhook_url]
    own = (item.resource.webhook_url or default_url() for item in request.inputs)
    return [url for url in dict.fromkeys(own) if url]


def start_message(request: BulkRequest) -> str:
    """When an operation starts that is for later, or for what it waits."""
    if request.start_at is not None and request.start_at > timezone.now():
        return turns.told_start(request.start_at)
    if any(item.is_coming for item in request.inputs):
        return "Waiting for the rest of its file."
    return ""


def announce_removal(operation: Operation, position: int, item: InputRequest, requested_size: int | None) -> None:
    """A sync's second input of a resource: the rows that the first one does not name, found once that is read."""
    plan = Plan(resource=item.resource, verb=Verb.DELETE, match_by=(item.resource.pk.name,))
    assert item.guard is not None
    new_input(operation, position, plan, requested_size, scope=scope_text(item), removes=True, **asdict(item.guard))


def store_export(operation: Operation, position: int, item: InputRequest, export: ExportRequest, mode: Mode) -> None:
    """What is to be read of one resource, and the file that it goes into."""
    # Asked in any mode: what the database does not take of the filter is told now, and not by a worker.
    few = few_rows(item, operation.created_by)
    stored = Input.objects.create(
        operation=operation,
        resource=item.resource.name,
        position=position,
        chunk_size=item.resource.size_of_chunks(None),
        scope=scope_text(item),
        total=few if mode == Mode.AUTO else None,
    )
    grant(stored)
    names = list(export.fields)
    Export.objects.create(input=stored, fields=names, format=export.format, compression=export.packing)


def few_rows(item: InputRequest, user: User | None) -> int | None:
    """How many rows there are to export; None where they are more than a request waits for, or not soon counted.

    Raises BadInput for a filter that the database does not take.
    """
    alias, most = item.resource.database, limits().sync_rows
    rows = reach_of(item.resource, user, item.where).order_by()[: most + 1]
    with transaction.atomic(using=alias):
        point = transaction.savepoint(using=alias)
        try:
            if backend(alias).supports_transaction_settings:
                with connections[alias].cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = '{COUNTING_SECONDS}s'")
            with refusals_named(f"{item.resource.name}.where"):
                found = rows.count()
        except OperationalError:
            found = most + 1
        finally:
            # The setting goes with it.
            transaction.savepoint_rollback(point, using=alias)
    return found if found <= most else None


def scope_text(item: InputRequest) -> str | None:
    """The `where` of a sync, for those who will apply it."""
    return None if item.where is None else frozen(item.where)


def chunk_size(plan: Plan, verb: str, requested: int | None) -> int:
    """Rows in a chunk; `verb`: that of the operation."""
    if plan.verb == Verb.DELETE and plan.resource.refers_to_itself:
        # A row may take others of the request along, which nobody should then miss: they go together.
        return limits().max_chunk_size
    size = plan.resource.size_of_chunks(requested)
    # Most rows of a sync are in the table as they are sent.
    is_light = plan.deletes_at_once or (verb == Verb.SYNC and plan.is_copied)
    if requested is None and is_light:
        return min(LIGHT_ROWS * size, limits().max_chunk_size)
    return size if requested or plan.resource.chunk_size else rows_in_time(plan, size)


def store_file(
    operation: Operation, position: int, item: InputRequest, options: FileOptions, requested_size: int | None
) -> None:
    """One resource's file, as it is: it is read into chunks later."""
    upload = upload_of(operation, item)
    with uploads.open_upload(upload) as file:
        beginning = files.FileStart(file, options)
        plan = plan_of_file_request(operation, item, options, beginning)
        # Whether nothing may be all that there is, is for the guard to say.
        beginning.check(plan, may_be_empty=item.guard is not None)
        header, options = beginning.header(plan), beginning.options
        check_allowed_columns(plan, header or [], options)
    file_options = options.as_json()
    how_it_came = {"upload": upload, "file_options": file_options, "header": header, "scope": scope_text(item)}
    new_input(operation, position, plan, requested_size, **how_it_came)


def store_rows(
    operation: Operation, position: int, item: InputRequest, requested_size: int | None, chunks: ChunkStore
) -> None:
    """One resource's inline rows, or its rows of the table, as chunks."""
    names = set().union(*(row for row in item.rows or () if isinstance(row, dict)))
    verb = verb_of_rows(Verb(operation.verb))
    plan = plan_for(verb, item.resource, item.match_by, item.update_fields, names, operation.created_by)
    is_sync, skips_existing = operation.verb == Verb.SYNC, operation.skip_existing
    plan = replace(plan, within=item.where, is_sync=is_sync, skips_existing=skips_existing)
    plan = replace(plan, keeps_images=keeps_images(item.resource, operation))
    total, read_at = (None, None) if item.rows is None else (len(item.rows), Now())
    stored = new_input(operation, position, plan, requested_size, total=total, read_at=read_at, scope=scope_text(item))
    found = chunks.store(stored, plan, frames_of(stored, plan, item))
    if total is None:
        Input.objects.filter(pk=stored.pk).update(total=found, read_at=Now())


def upload_of(operation: Operation, item: InputRequest) -> Upload:
    """The upload that a request names, or that of the file that came with it."""
    if item.content is None:
        assert item.upload is not None
        return item.upload
    assert operation.created_by is not None
    upload = uploads.announce(operation.created_by, item.content.name or "upload", item.content.size)
    return uploads.fill(upload, item.content)


def new_input(operation: Operation, position: int, plan: Plan, requested_size: int | None, **how_it_came: Any) -> Input:
    """The input of one resource, whose permission was asked for just now."""
    stored = Input.objects.create(
        operation=operation,
        resource=plan.resource.name,
        position=position,
        chunk_size=rows_in_a_chunk(chunk_size(plan, operation.verb, requested_size), operation.max_rows_per_second),
        match_by=plan.match_by,
        update_fields=plan.update_fields,
        **how_it_came,
    )
    grant(stored)
    return stored


#: What an input keeps when another operation takes up its rows.
KEPT = (
    *("resource", "position", "chunk_size", "file_options", "match_by", "update_fields", "header"),
    *("scope", "removes", "scope_rows"),
)


def input_again(old: Input, operation: Operation, **own: Any) -> Input:
    """The input of an operation that takes up the rows of another one's."""
    return Input.objects.create(operation=operation, **{name: getattr(old, name) for name in KEPT}, **own)


def check_allowed_columns(plan: Plan, header: list[tuple[str, str | None]], options: FileOptions) -> None:
    """Whether the user may give a file's columns; raises BadInput. Where it has no header, its rows are looked at."""
    refused = {one.name for one in plan.refused}
    found = [name for name, column in header if column in refused]
    if found:
        raise BadInput(
            f"{'The rows have' if options.is_from_python else 'The file has'} {', '.join(found)}, which you may not "
            f"write to {plan.resource.name}; leave {'it' if len(found) == 1 else 'them'} out."
        )


def plan_of_file_request(
    operation: Operation, item: InputRequest, options: FileOptions, beginning: files.FileStart
) -> Plan:
    """What to do with a file's rows. What Parquet and workbooks call their columns, their reader will see."""
    verb = verb_of_rows(Verb(operation.verb))
    is_late = options.format in (FileFormat.PARQUET, FileFormat.XLSX)
    if is_late and item.match_by is None and verb not in (Verb.CREATE, Verb.UPSERT):
        return Plan(resource=item.resource, verb=verb)
    names = set() if is_late else beginning.names()
    return plan_for(verb, item.resource, item.match_by, item.update_fields, names, operation.created_by)


def frames_of(stored: Input, plan: Plan, item: InputRequest) -> Iterator[pl.DataFrame]:
    """The raw frames of inline rows, or of rows of the table; each is a chunk."""
    if item.queryset is not None:
        return pk_frames(plan, item.queryset, stored.chunk_size)
    (raw,) = bounded([raw_frame(plan, item.rows or [])], plan)
    rows = marked(plan, sealed(plan, raw), stored.operation.created_by)
    slices = rows.iter_slices(stored.chunk_size)
    return chain.from_iterable(in_bytes(one, limits().chunk_bytes) for one in slices)


def pk_frames(plan: Plan, queryset: QuerySet[Any], size: int) -> Iterator[pl.DataFrame]:
    """The primary keys of rows, as a file of them would give them."""
    pks = queryset.using(plan.resource.database).order_by("pk").values_list("pk", flat=True)
    name, rest = plan.resource.pk.name, pks
    while True:
        # By their keys: a cursor is not found again where a pooler gives every transaction a connection.
        with refusals_named(f"{plan.resource.name}.where"):
            page = list(rest[:size])
        if page:
            yield pl.DataFrame({name: [str(pk) for pk in page]}, schema={name: pl.String})
        if len(page) < size:
            return
        rest = pks.filter(pk__gt=page[-1])
