"""The enums of workers/, as GraphQL shows them: each value described."""

from __future__ import annotations

from enum import EnumMeta
from typing import Any

import strawberry

from bulkql.workers.enums import DeliveryState, OnError, Outcome, State, Verb
from bulkql.workers.errors import Code
from bulkql.workers.intake.requests import FileCompression, Mode
from bulkql.workers.readers.options import EmptyCells, FileFormat, ShortRecords, UnknownColumns

__all__ = [
    "Code",
    "DeliveryState",
    "EmptyCells",
    "FileCompression",
    "FileFormat",
    "Mode",
    "OnError",
    "Outcome",
    "ShortRecords",
    "State",
    "UnknownColumns",
    "Verb",
]


def describe(kind: EnumMeta, name: str, description: str, **values: str) -> None:
    """Make an enum known to Strawberry; every value needs its description."""
    definition: Any = strawberry.enum(kind, name=name, description=description)
    for value in definition.__strawberry_definition__.values:
        value.description = values.pop(value.name)
    assert not values, f"{name} has no values {values}"


describe(
    Mode,
    "Mode",
    "Whether the mutation waits for its rows to be written.",
    AUTO="SYNC for few inline rows, ASYNC for more and for files.",
    SYNC="The mutation answers when the operation is over.",
    ASYNC="The mutation answers when the operation is stored; workers write it.",
)
describe(
    FileFormat,
    "FileFormat",
    "The format of a file.",
    CSV="Comma-separated values, with a header.",
    NDJSON="One JSON object a line; an array of objects, or objects that span lines, are read too.",
    PARQUET="Apache Parquet.",
    XLSX="A sheet of a workbook of Excel (.xlsx, .xlsm), or of LibreOffice (.ods).",
)
describe(
    FileCompression,
    "Compression",
    "How an exported file is made smaller.",
    NONE="It is not.",
    GZIP="By gzip; of Parquet, its pages.",
    ZSTD="By Zstandard, which is faster and smaller; of Parquet, its pages.",
)
describe(
    UnknownColumns,
    "UnknownColumns",
    "What becomes of a file's columns that the resource does not have.",
    REJECT="The file is refused.",
    IGNORE="They are left out.",
)
describe(
    ShortRecords,
    "ShortRecords",
    "What becomes of CSV records with fewer cells than the header.",
    REJECT="They are row errors.",
    FILL="The row does not give the fields of the cells that are not there.",
)
describe(
    EmptyCells,
    "EmptyCells",
    "What an empty cell of a file says.",
    MISSING="The row does not give the field: it takes its default.",
    NULL="The field is null.",
)
describe(
    Verb,
    "OperationKind",
    "What an operation does to its rows.",
    CREATE="Each row becomes a new one.",
    UPDATE="The given fields of rows in the table are set; the others stay as they are.",
    REPLACE="All fields of rows in the table are set; those that are not given take their defaults.",
    UPSERT="Rows that are in the table are updated; the others are created.",
    DELETE="Rows of the table are deleted.",
    SYNC="The table, or a part of it, becomes what the rows say.",
    EXPORT="Rows of the table are written to files.",
    REVERT="What another operation did to its rows is undone.",
)
describe(
    OnError,
    "OnError",
    "What bad rows do to the others.",
    SKIP_ROWS="They are left out, and the others are written.",
    REJECT_ALL="Nothing is written, in one transaction.",
)
describe(
    State,
    "OperationState",
    "Where an operation stands.",
    QUEUED="Stored, and waiting for a worker.",
    RUNNING="Being read and written.",
    PAUSED="Asked to wait: chunks at work are finished, and the rest is kept until it is resumed or canceled.",
    CANCELING="Asked to stop: chunks at work are finished, no other is begun.",
    CANCELED="Over by request: what was written stays, the rest is SKIPPED.",
    COMPLETED="Over: every row has its outcome.",
    FAILED="Over before its end; `message` says why.",
)
describe(
    Outcome,
    "Outcome",
    "What became of a row.",
    CREATED="It is new in the table.",
    UPDATED="It was there and has changed.",
    UNCHANGED="It was there and is as it was.",
    DELETED="It is gone.",
    FAILED="It was not written; its row errors say why.",
    SKIPPED="The operation ended before its turn.",
)
describe(
    Code,
    "RowErrorCode",
    "What is wrong with a row.",
    REQUIRED="The row does not give a field that it must give, or gives it empty.",
    NULL_NOT_ALLOWED="The field is null, and may not be.",
    INVALID="The value is not one that the field takes, or a rule of the application refuses it.",
    TOO_LONG="The text has more characters than the field takes.",
    OUT_OF_RANGE="The number is too large or too small, or has too many digits.",
    NOT_A_CHOICE="The value is not one of the field's choices.",
    UNKNOWN_FIELD="The resource has no such field.",
    REFERENCE_NOT_FOUND="The row points to one that does not exist, or that the user may not see.",
    DUPLICATE_IN_REQUEST="A later row of the request has the same key; the later one counts.",
    ALREADY_EXISTS="The table has a row with the same key already.",
    CONSTRAINT="The row violates a constraint, or other rows protect it from being deleted.",
    NOT_FOUND="The table has no row with this key, or the user may not see it.",
    FORBIDDEN="The user may not change the row with this key.",
    MALFORMED="The record of the file cannot be read as a row: quotes, cells or JSON are not as they should be.",
    REJECTED="The database rejected the row for a reason of its own, such as a trigger.",
    CONFLICT="The row of the table was changed since the operation looked at it, and is left as it is.",
)
describe(
    DeliveryState,
    "DeliveryState",
    "Whether a webhook was heard.",
    PENDING="It waits for the operation's end, or for its next try.",
    DELIVERED="It was answered with a status of 200 to 299.",
    FAILED="It was tried ten times, or answered with 410 Gone.",
)
