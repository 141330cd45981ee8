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
    AUTO="SYNC for few inline rows, otherwise ASYNC.",
    SYNC="The mutation answers when the operation is over.",
    ASYNC="The mutation answers when the operation is stored; workers write it.",
)
describe(
    FileFormat,
    "FileFormat",
    "The format of a file.",
    CSV="Comma-separated values, with a header.",
    NDJSON="One JSON object per line; an array of objects, and objects that span several lines, are read too.",
    PARQUET="Apache Parquet.",
    XLSX="A sheet of an Excel (.xlsx, .xlsm) or LibreOffice (.ods) workbook.",
)
describe(
    FileCompression,
    "Compression",
    "How an exported file is compressed.",
    NONE="Not compressed.",
    GZIP="With gzip; in Parquet, its pages.",
    ZSTD="With Zstandard, which is faster and compresses better; in Parquet, its pages.",
)
describe(
    UnknownColumns,
    "UnknownColumns",
    "What to do with columns of a file that the resource does not have.",
    REJECT="The file is refused.",
    IGNORE="The columns are ignored.",
)
describe(
    ShortRecords,
    "ShortRecords",
    "What to do with CSV records that have fewer cells than the header.",
    REJECT="They are row errors.",
    FILL="The row does not give the fields of the missing cells.",
)
describe(
    EmptyCells,
    "EmptyCells",
    "What an empty cell of a file means.",
    MISSING="The row does not give the field: it gets its default in new rows, and is left alone in existing ones.",
    NULL="The field is null.",
)
describe(
    Verb,
    "OperationKind",
    "What an operation does to its rows.",
    CREATE="Each row becomes a new one.",
    UPDATE="The given fields of rows in the table are set; the others stay as they are.",
    REPLACE="All fields of rows in the table are set; those that are not given get their defaults.",
    UPSERT="Rows that are in the table are updated; the others are created.",
    DELETE="Rows of the table are deleted.",
    SYNC="The table, or a part of it, is made equal to the rows.",
    EXPORT="Rows of the table are written to files.",
    REVERT="What another operation wrote is undone.",
)
describe(
    OnError,
    "OnError",
    "What happens to the other rows if some are bad.",
    SKIP_ROWS="The bad rows are left out, and the others are written.",
    REJECT_ALL="Nothing is written: all rows are one transaction.",
)
describe(
    State,
    "OperationState",
    "The state of an operation.",
    QUEUED="Stored, and waiting for a worker.",
    RUNNING="Being read and written.",
    PAUSED="Paused on request: chunks in progress are finished, and the rest is kept until it is resumed or canceled.",
    CANCELING="Being canceled: chunks in progress are finished, and no others are begun.",
    CANCELED="Ended on request: what was written stays, the rest is SKIPPED.",
    COMPLETED="Finished: every row has its outcome.",
    FAILED="Ended early; `message` says why.",
)
describe(
    Outcome,
    "Outcome",
    "What became of a row.",
    CREATED="It was created.",
    UPDATED="It existed and was changed.",
    UNCHANGED="It already had these values, and was not written.",
    DELETED="It was deleted.",
    FAILED="It was not written; its row errors say why.",
    SKIPPED="It was not written because the operation ended first, or because other rows were bad.",
)
describe(
    Code,
    "RowErrorCode",
    "What is wrong with a row.",
    REQUIRED="The row does not give a required field, or gives an empty value for it.",
    NULL_NOT_ALLOWED="The field is null, which is not allowed.",
    INVALID="The value does not have the type of the field, or a rule of the application rejects it.",
    TOO_LONG="The text has more characters than the field allows.",
    OUT_OF_RANGE="The number is too large or too small, or has too many digits.",
    NOT_A_CHOICE="The value is not one of the field's choices.",
    UNKNOWN_FIELD="The resource has no such field.",
    REFERENCE_NOT_FOUND="The row refers to a row that does not exist, or that the user may not see.",
    DUPLICATE_IN_REQUEST="A later row of the request has the same key; the later one counts.",
    ALREADY_EXISTS="The table has a row with the same key already.",
    CONSTRAINT="The row violates a constraint, or other rows protect it from being deleted.",
    NOT_FOUND="The table has no row with this key, or the user may not see it.",
    FORBIDDEN="The user may not change the row with this key.",
    MALFORMED="The record of the file cannot be read as a row: its quotes, its number of cells or its JSON is wrong.",
    REJECTED="The database rejected the row for a reason of its own, such as a trigger.",
    CONFLICT="The row of the table has changed since the plan was made, or since the operation to be reverted wrote "
    "it.",
)
describe(
    DeliveryState,
    "DeliveryState",
    "Whether a webhook was delivered.",
    PENDING="It waits for the end of the operation, or for the next attempt.",
    DELIVERED="It was answered with a status of 200 to 299.",
    FAILED="It was sent ten times without success, or answered with 410 Gone.",
)
