"""Whether a bulk mutation may ask for what it asks for."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from bulkql.workers.columns.cells import is_encodable
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput, IncompleteUpload, LimitExceeded, counted
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode, is_whole
from bulkql.workers.models import TEXT_LENGTH
from bulkql.workers.moments import utc_text
from bulkql.workers.readers import files
from bulkql.workers.resources.plan import Plan, plan_for, verb_of_rows
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.resources.rights import check_needs_no_plan, check_permissions
from bulkql.workers.uploads import uploads
from bulkql.workers.webhooks.targets import check_url

#: What the other verbs do with rows that exist.
WITHOUT_SKIPPING = {
    Verb.UPDATE: "an update is about rows that exist",
    Verb.REPLACE: "a replacement is about rows that exist",
    Verb.UPSERT: "an upsert changes rows that exist, by updateFields only some of their fields",
    Verb.DELETE: "a delete is about rows that exist",
    Verb.SYNC: "a sync changes rows that exist, by updateFields only some of their fields",
    Verb.EXPORT: "an export creates none",
    Verb.REVERT: "a revert is about rows that were written",
}


#: The ledger's column has 32 bits.
MOST_ROWS_PER_SECOND = 2**31 - 1


def check_request(request: BulkRequest) -> None:
    """Refuse what cannot be served, before anything is stored."""
    if not request.inputs:
        raise BadInput("The input names no resource; give rows or a file for at least one.")
    for item in request.inputs:
        resource = item.resource
        check_permissions(request.user, request.verb, resource)
        if item.guard is not None:
            check_permissions(request.user, Verb.DELETE, resource)
        if not request.dry_run:
            check_needs_no_plan(Verb.DELETE if item.guard is not None else request.verb, resource)
        # To delete all rows in scope is what an empty list asks for; the guard says whether it may.
        if item.rows is not None and not item.rows and item.guard is None:
            raise BadInput(f"{resource.name}.{item.source} is empty; give at least one row.")
        check_rows_limit(resource, len(item.rows or ()))
    exceeds("inline_rows", "rows in one request", request.inline_rows, "send them as a file")
    check_options(request)
    for item in request.inputs:
        if item.is_coming:
            check_coming(item, request)
            check_can_come(item, request.mode)


def check_coming(item: InputRequest, request: BulkRequest) -> None:
    """What can be known before the first byte: whoever sends gigabytes hears of it now. Raises BadInput, Forbidden."""
    options, verb = item.file_options, verb_of_rows(request.verb)
    assert options is not None
    files.check_options(options)
    plan = Plan(resource=item.resource, verb=verb)
    # By which key rows of other verbs are found, their columns have a say in.
    if item.match_by is not None or verb in (Verb.CREATE, Verb.UPSERT):
        plan = plan_for(verb, item.resource, item.match_by, item.update_fields, (), request.user)
    files.check_targets(plan, options)


def check_can_come(item: InputRequest, mode: Mode) -> None:
    """Whether a file can be asked for whose last byte is not there yet; raises IncompleteUpload."""
    options = item.file_options
    assert options is not None
    assert item.upload is not None
    uploads.check_has_beginning(item.upload)
    if not options.is_text or options.compression is not None:
        why = "the beginning of such a file does not show what it contains"
    elif mode == Mode.SYNC:
        why = "mode SYNC does not wait for uploads"
    else:
        return
    raise IncompleteUpload(f"Upload {item.upload.id} is not complete, and {why}; send the rest first.")


def check_options(request: BulkRequest) -> None:
    """How it is to be carried out, whatever its rows are."""
    exceeds("max_chunk_size", "rows in a chunk", request.chunk_size or 1, "ask for smaller chunks")
    check_text("label", request.label)
    check_key(request.idempotency_key)
    if request.chunk_size is not None and request.chunk_size < 1:
        raise BadInput(f"chunkSize is {request.chunk_size}; a chunk has at least one row.")
    if request.skip_existing and request.verb != Verb.CREATE:
        raise BadInput(f"skipExisting is for rows to create; {WITHOUT_SKIPPING[request.verb]}. Leave it out.")
    check_start(request)
    check_rate(request)
    if request.webhook_url is not None:
        check_url(request.webhook_url)


def check_start(request: BulkRequest) -> None:
    """An operation may be for later, but not for later than what is stored is kept; raises BadInput, LimitExceeded."""
    if request.start_at is None:
        return
    if timezone.is_naive(request.start_at):
        raise BadInput(
            "start_at has no time zone; give an aware datetime, such as timezone.now() + timedelta(hours=1)."
        )
    if request.mode == Mode.SYNC:
        raise BadInput("startAt cannot be combined with mode SYNC, which waits for the end; use ASYNC or AUTO.")
    days = limits().retention_days
    if request.start_at > timezone.now() + timedelta(days=days):
        raise LimitExceeded(
            f"startAt is {utc_text(request.start_at)}, which is beyond the limit of {counted(days, 'day')} "
            f"({setting_name('retention_days')}); send it again nearer to that time."
        )


def check_rate(request: BulkRequest) -> None:
    """Chunks keep a pace, one transaction does not; raises BadInput."""
    if request.max_rows_per_second is None:
        return
    if request.max_rows_per_second > MOST_ROWS_PER_SECOND:
        text = f"maxRowsPerSecond is {request.max_rows_per_second:,}; it is at most {MOST_ROWS_PER_SECOND:,}."
        raise BadInput(f"{text} Leave it out to write as fast as possible.")
    if request.max_rows_per_second < 1:
        raise BadInput(f"maxRowsPerSecond is {request.max_rows_per_second}; it must be at least 1.")
    if is_whole(request):
        why = "dryRun" if request.dry_run else "onError: REJECT_ALL"
        raise BadInput(
            f"maxRowsPerSecond paces chunks, and {why} writes all rows in one transaction, which would hold its locks "
            f"for longer; leave one of the two out."
        )


def check_key(key: str | None) -> None:
    """Whether an idempotency key can tell requests apart; raises BadInput."""
    # A variable that was never set: all scripts that forgot it would share one key.
    if key is not None and not key.strip():
        raise BadInput("idempotencyKey is empty; give each request a key of its own, or leave it out.")
    check_text("idempotencyKey", key or "")


def check_text(name: str, text: str) -> None:
    """A text of the request that goes into the ledger."""
    if len(text) > TEXT_LENGTH:
        raise BadInput(f"{name} has {len(text):,} characters; {TEXT_LENGTH} are the most.")
    if fault := fault_of(text):
        raise BadInput(f"{name} {fault}.")


def fault_of(text: str) -> str | None:
    """Why no database takes a text; None for one that it takes."""
    if "\0" in text:
        return "has a null character, which the database does not take"
    return None if is_encodable(text) else "has half of a surrogate pair, which is not a character"


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
