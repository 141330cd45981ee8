"""The public door: what a user's app imports."""

from typing import TYPE_CHECKING, Any

from bulkql.cleaning import Cleaning
from bulkql.exporting import async_export, export
from bulkql.operation import BulkOperation, File
from bulkql.verbs import (
    apply,
    async_apply,
    async_create,
    async_delete,
    async_replace,
    async_revert,
    async_sync,
    async_update,
    async_upsert,
    create,
    delete,
    replace,
    revert,
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

if TYPE_CHECKING:
    from bulkql.commands import ImportCommand

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
    "Cleaning",
    "File",
    "Forbidden",
    "IdempotencyConflict",
    "ImportCommand",
    "ImproperlyRegistered",
    "LimitExceeded",
    "NotFound",
    "Unauthenticated",
    "UnreadableFile",
    "apply",
    "async_apply",
    "async_create",
    "async_delete",
    "async_export",
    "async_replace",
    "async_revert",
    "async_sync",
    "async_update",
    "async_upsert",
    "chunk_written",
    "create",
    "delete",
    "export",
    "operation_finished",
    "register",
    "replace",
    "revert",
    "row_errors",
    "sync",
    "update",
    "upsert",
]


def __getattr__(name: str) -> Any:
    """What only management commands need is imported when they do."""
    if name == "ImportCommand":
        from bulkql.commands import ImportCommand

        return ImportCommand
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
