"""The public door: what a user's app imports."""

from bulkql.operation import BulkOperation
from bulkql.verbs import (
    aapply,
    acreate,
    adelete,
    apply,
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
from bulkql.workers.enums import Approval, Lane
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
BY_ANOTHER = Approval.BY_ANOTHER

__all__ = [
    "ALL",
    "AUTO",
    "BY_ANOTHER",
    "COPY",
    "SAVE",
    "BadInput",
    "BulkError",
    "BulkOperation",
    "BulkResource",
    "ChunkOutcome",
    "Forbidden",
    "IdempotencyConflict",
    "ImproperlyRegistered",
    "LimitExceeded",
    "NotFound",
    "Unauthenticated",
    "UnreadableFile",
    "aapply",
    "acreate",
    "adelete",
    "apply",
    "areplace",
    "async_sync",
    "aupdate",
    "aupsert",
    "chunk_written",
    "create",
    "delete",
    "operation_finished",
    "register",
    "replace",
    "row_errors",
    "sync",
    "update",
    "upsert",
]
