"""Django settings -> one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

from django.conf import settings


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
    #: Bytes that a Parquet file may decode to, for each byte that it has beyond its first 64 kB.
    parquet_expansion: int = 1_000
    #: Bytes of memory of the process that decodes a Parquet file.
    parquet_memory_bytes: int = 400 * 1024 * 1024
    #: Chunks of one operation that are dispatched at a time, so that a big operation cannot starve small ones.
    window: int = 8
    #: Seconds after which the chunk of a worker that fell silent is given to another.
    lease_seconds: int = 25
    #: Seconds between two rounds of the rescue.
    rescue_seconds: int = 5
    #: Seconds after which a chunk that was dispatched and that nobody claimed is dispatched again.
    redispatch_seconds: int = 10
    #: Times that a chunk is tried before its operation fails.
    max_attempts: int = 5
    #: Seconds that one SQL statement of a worker may take; less than the lease, or two workers would race.
    statement_seconds: int = 20
    #: Bytes of a JSON request.
    request_bytes: int = 32 * 1024 * 1024
    #: Bytes of a file sent with the mutation itself (multipart); larger ones go through createUpload.
    multipart_bytes: int = 512 * 1024 * 1024
    #: Seconds in which a created upload can be filled.
    upload_seconds: int = 24 * 60 * 60
    #: Seconds for which the url of an operation's file is good; the next query gives a new one.
    file_seconds: int = 60 * 60
    #: Days after which operations that are over are purged, and uploads that nobody needs.
    retention_days: int = 7
    #: Tokens of a query's text.
    query_tokens: int = 20_000
    #: Aliases in a query.
    query_aliases: int = 30
    #: Levels of a query.
    query_depth: int = 20
    #: Rows of a page.
    page_rows: int = 1_000
    #: Rows of a dry run whose changes are told field by field.
    dry_run_changes: int = 1_000
    #: Events a second that a subscriber is sent of one operation.
    events_per_second: int = 10
    #: Seconds without an event after which a subscriber's totals are read from the database.
    reread_seconds: int = 2


@cache
def limits() -> Limits:
    """The limits in force; read once."""
    named = {field.name: getattr(settings, setting_name(field.name), None) for field in fields(Limits)}
    return Limits(**{name: value for name, value in named.items() if value is not None})


def setting_name(field: str) -> str:
    """The setting that sets a limit: chunk_size -> BULKQL_CHUNK_SIZE."""
    return f"BULKQL_{field.upper()}"
