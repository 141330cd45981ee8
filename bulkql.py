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
from workers.resources import ALL, BulkResource, register

__all__ = [
    "ALL",
    "BadInput",
    "BulkError",
    "BulkResource",
    "Forbidden",
    "IdempotencyConflict",
    "ImproperlyRegistered",
    "LimitExceeded",
    "NotFound",
    "Unauthenticated",
    "Unavailable",
    "UnreadableFile",
    "register",
]
