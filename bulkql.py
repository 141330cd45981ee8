"""The public door: what a user's app imports."""

from workers.errors import (
    BadInput,
    BulkError,
    Forbidden,
    IdempotencyConflict,
    ImproperlyRegistered,
    LimitExceeded,
    NotFound,
    Unauthenticated,
    Unavailable,
    UnreadableFile,
)
from workers.hooks import chunk_written, operation_finished, row_errors
from workers.resources import ALL, BulkResource, ChunkOutcome, register

__all__ = [
    "ALL",
    "BadInput",
    "BulkError",
    "BulkResource",
    "ChunkOutcome",
    "Forbidden",
    "IdempotencyConflict",
    "ImproperlyRegistered",
    "LimitExceeded",
    "NotFound",
    "Unauthenticated",
    "Unavailable",
    "UnreadableFile",
    "chunk_written",
    "operation_finished",
    "register",
    "row_errors",
]
