"""The public door: what a user's app imports."""

from bulkql.exporting import aexport, export
from bulkql.operation import BulkOperation, File
from bulkql.verbs import (
    acreate,
    adelete,
    areplace,
    async_sync,
    aupdate,
    aupsert,
    create,
    delete,
    replace,
    sync,
    update,
    upsert,
)
from bulkql.workers.enums import Lane
from bulkql.workers.errors import (
    BadInput,
    BulkError,
    Forbidden,
    IdempotencyConflict,
    ImproperlyRegistered,
    LimitExceeded,
    NotFound,
    Unauthenticated,
    UnreadableFile,
)
from bulkql.workers.resources.registry import ALL, BulkResource, ChunkOutcome, register
from bulkql.workers.signals import chunk_written, operation_finished
from bulkql.workers.validation.row_errors import row_errors

AUTO, COPY, SAVE = Lane.AUTO, Lane.COPY, Lane.SAVE

__all__ = [
    "ALL",
    "AUTO",
    "COPY",
    "SAVE",
    "BadInput",
    "BulkError",
    "BulkOperation",
    "BulkResource",
    "ChunkOutcome",
    "File",
    "Forbidden",
    "IdempotencyConflict",
    "ImproperlyRegistered",
    "LimitExceeded",
    "NotFound",
    "Unauthenticated",
    "UnreadableFile",
    "acreate",
    "adelete",
    "aexport",
    "areplace",
    "async_sync",
    "aupdate",
    "aupsert",
    "chunk_written",
    "create",
    "delete",
    "export",
    "operation_finished",
    "register",
    "replace",
    "row_errors",
    "sync",
    "update",
    "upsert",
]
