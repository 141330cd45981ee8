"""Django settings -> one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bulkql allows itself and its callers. Each is a setting named BULKQL_ and the field in capitals."""

    #: Rows of one request that are given inline; more belong in a file.
    inline_rows: int = 10_000
    #: Rows up to which mode AUTO answers with the finished operation.
    sync_rows: int = 50
    #: Rows in a chunk, unless the resource or the request says otherwise.
    chunk_size: int = 10_000
    #: The largest chunk that a request may ask for.
    max_chunk_size: int = 100_000
    #: Bytes of the cells of a chunk; rows that have more are divided into more chunks.
    chunk_bytes: int = 8 * 1024 * 1024
    #: Bytes of one cell.
    cell_bytes: int = 2 * 1024 * 1024
    #: Bytes of one record of a file: a line, with the line breaks in its quotes. Reading it may take 40 times as much.
    record_bytes: int = 4 * 1024 * 1024
    #: Columns of a file.
    file_columns: int = 2_000
    #: Levels of a JSON value in a row.
    json_depth: int = 64
    #: Unknown fields of a row that are told one by one; the others are counted.
    unknown_fields: int = 10
    #: Characters of a value or a message that a row error shows.
    error_characters: int = 1_000
    #: Bytes that a gzip or zstd file may expand to, for each byte that it has beyond its first 64 kB.
    compression_expansion: int = 200
    #: Bytes that a Parquet file may decode to, for each byte that it has beyond its first 64 kB.
    parquet_expansion: int = 1_000
    #: Bytes of memory of the process that decodes a Parquet file.
    parquet_memory_bytes: int = 400 * 1024 * 1024
    #: Bytes of memory of the process that reads a workbook: about 100 for each cell of a sheet.
    workbook_memory_bytes: int = 1024 * 1024 * 1024
    #: Chunks of one operation that are dispatched at a time, so that a big operation cannot starve small ones.
    window: int = 8
    #: Rows a second of one operation, by all workers together; 0 for as fast as they go.
    max_rows_per_second: int = 0
    #: Seconds that a standby may be behind before chunks are slowed down; 0 for any number.
    brake_lag_seconds: int = 0
    #: Sessions of others that may wait for locks before chunks are slowed down; 0 for any number.
    brake_lock_waits: int = 0
    #: Sessions of others that may be at work before chunks are slowed down; 0 for any number.
    brake_active_backends: int = 0
    #: Seconds that a webhook may take, from the look-up of its host to the answer.
    webhook_seconds: int = 10
    #: Seconds after which the work of a process that fell silent is given to another. It beats four times meanwhile.
    lease_seconds: int = 7
    #: Seconds after which a chunk is given to another worker although its process still beats.
    chunk_seconds: int = 300
    #: Seconds between two rounds of the rescue.
    rescue_seconds: int = 1
    #: Seconds after which a chunk that was dispatched and that nobody claimed is dispatched again.
    redispatch_seconds: int = 8
    #: Times that a chunk is tried before its operation fails.
    max_attempts: int = 5
    #: Times that the database may go away during a chunk before that counts as an attempt.
    max_outages: int = 50
    #: Seconds that one SQL statement of a worker may take.
    statement_seconds: int = 20
    #: Seconds that a request, or one turn of a chunk, waits for rows that somebody else has locked.
    lock_seconds: int = 10
    #: Seconds that an operation waits for them, turn after turn, before it fails.
    lock_wait_seconds: int = 600
    #: Seconds that a process which is stopped has to finish what it has begun; less than an orchestrator's patience.
    drain_seconds: int = 8
    #: Bytes of a JSON request.
    request_bytes: int = 32 * 1024 * 1024
    #: Bytes of a file sent with the mutation itself (multipart); larger ones go through createUpload.
    multipart_bytes: int = 512 * 1024 * 1024
    #: Bytes of an upload.
    upload_bytes: int = 100 * 1024 * 1024 * 1024
    #: Bytes of a request to any other page, none of which takes files.
    form_bytes: int = 1024 * 1024
    #: Seconds in which a created upload can be filled.
    upload_seconds: int = 24 * 60 * 60
    #: Seconds for which the url of an operation's file is good; the next query gives a new one.
    file_seconds: int = 60 * 60
    #: Whether what changed and deleted rows were is kept with the results, so that operations can be reverted.
    keeps_images: bool = True
    #: Rows that may go along with the deleted rows of a chunk and still be kept; with more, it cannot be reverted.
    image_rows: int = 100_000
    #: Days after which operations that are over are purged, and uploads that nobody needs.
    retention_days: int = 7
    #: Days after which a dry run can no longer be applied; it is kept as long, and its upload with it.
    plan_days: int = 7
    #: Tokens of a query's text.
    query_tokens: int = 20_000
    #: Aliases in a query.
    query_aliases: int = 30
    #: Levels of a query.
    query_depth: int = 20
    #: Fields of a query and spreads of fragments, each as often as it is reached.
    query_fields: int = 1_000
    #: Seconds in which a websocket's client has to sign in.
    handshake_seconds: int = 10
    #: Rows of a page.
    page_rows: int = 1_000
    #: Rows of a list that is asked for without saying how many.
    default_page_rows: int = 100
    #: Rows that one request may ask for, all of its pages and aliases together, those within others multiplied.
    answer_rows: int = 25_000
    #: Seconds that the database may take to find the rows of a list.
    list_seconds: int = 20
    #: Seconds for which a client may read nothing of its answer, send nothing of its body, or not end its headers,
    #: before it is cut off.
    stall_seconds: int = 30
    #: Requests of one user that a web process works on at a time, until they are read to their end; more wait in line.
    user_requests: int = 16
    #: Requests of one user that may wait in line.
    user_requests_waiting: int = 200
    #: Downloads of one user at a time, in each web process.
    user_downloads: int = 4
    #: Operations of one user over websockets at a time, in each web process; most of them are subscriptions.
    user_subscriptions: int = 1_000
    #: Bytes that the operations of one user over websockets came with and hold until they end, each of their values
    #: counted as at least 32, in each web process.
    user_frame_bytes: int = 64 * 1024 * 1024
    #: Bytes of one user's stored uploads, and of those that are announced.
    user_stored_bytes: int = 50 * 1024 * 1024 * 1024
    #: Uploads of one user that are announced, and wait for their bytes.
    user_uploads_waiting: int = 100
    #: Operations of one user that are not over.
    user_operations_waiting: int = 1_000
    #: Rows of one user in a day (UTC). A file that was begun is read to its end.
    user_rows_a_day: int = 100_000_000
    #: Rows of a dry run whose changes are told field by field.
    dry_run_changes: int = 1_000
    #: Events a second that a subscriber is sent of one operation.
    events_per_second: int = 10
    #: Seconds for which the answer to what a user may do is good, while an operation is written or a websocket is open.
    authority_seconds: int = 5
    #: Days for which a bearer token is good, unless `bulkql token --days` says otherwise.
    token_days: int = 30
    #: Seconds for which a sign-in link is good; it works once.
    sign_in_seconds: int = 600
    #: Seconds without an event after which a subscriber's totals are read from the database.
    reread_seconds: int = 2


@cache
def limits() -> Limits:
    """The limits in force; read once."""
    named = {field.name: getattr(settings, setting_name(field.name), None) for field in fields(Limits)}
    return Limits(**{name: value for name, value in named.items() if value is not None})


@receiver(setting_changed)
def read_again(*, setting: str, **_: object) -> None:
    """A test of the project's that overrides a setting means it; nothing else sends that signal."""
    if setting.startswith("BULKQL_"):
        limits.cache_clear()


def setting_name(field: str) -> str:
    """The setting that sets a limit: chunk_size -> BULKQL_CHUNK_SIZE."""
    return f"BULKQL_{field.upper()}"


#: Where the documentation of errors is, unless BULKQL_DOCUMENTATION_URL says otherwise: in the repository.
DOCUMENTATION = "docs/errors.md"


def documentation_of(level: str, code: str) -> str:
    """Where a code is explained. A request and a row have codes of the same name: `level` is "request" or "row"."""
    base = getattr(settings, "BULKQL_DOCUMENTATION_URL", None) or DOCUMENTATION
    return f"{base}#{level}-{code.lower()}"
