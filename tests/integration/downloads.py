"""What tests of files that come back share: files that are sent, and what is read of those that come."""

from __future__ import annotations

import io
import json
from typing import Any

import polars as pl
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.test import AsyncClient

from bulkql.server.auth import token_for
from bulkql.workers.downloads.files import downloads
from bulkql.workers.enums import Verb
from bulkql.workers.frames import unpack
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.models import Operation
from bulkql.workers.operations.running import run
from bulkql.workers.readers import files
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads
from tests.plans import creating

CSV = FileOptions(format=FileFormat.CSV)


NDJSON = FileOptions(format=FileFormat.NDJSON)


def request(user: Any, *inputs: InputRequest, **options: Any) -> BulkRequest:
    return BulkRequest(verb=Verb.CREATE, user=user, inputs=list(inputs), mode=Mode.SYNC, **options)


def file(user: Any, content: bytes, options: FileOptions, resource: str = "animals") -> InputRequest:
    upload = uploads.fill(uploads.announce(user, "file", None), ContentFile(content))
    return InputRequest(resource=resource_named(resource), upload=upload, file_options=options)


def imported(
    user: Any, content: bytes, options: FileOptions = CSV, resource: str = "animals", **more: Any
) -> Operation:
    return run(request(user, file(user, content, options, resource), **more))


def fetched(operation: Operation, name: str) -> bytes:
    (found,) = [download for download in downloads(operation.pk) if download.name == name]
    return b"".join(found.pieces())


def objects(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def own_columns(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(name for name in frame.columns if not name.startswith("__"))


def read(content: bytes, options: FileOptions) -> pl.DataFrame:
    """What the reader makes of a file."""
    return own_columns(
        pl.concat(files.read_file(io.BytesIO(content), creating(resource_named("animals")), options), how="diagonal")
    )


def sent(operation: Operation, indexes: list[int]) -> pl.DataFrame:
    """The cells of these rows, as they were stored."""
    frames = [unpack(chunk.payload) for chunk in operation.chunks.order_by("number")]
    return own_columns(pl.concat(frames, how="diagonal"))[indexes]


#: Texts that lose something where somebody is careless.
TEXTS = [
    "=1+1",
    "'=1+1",
    "-5",
    "+a",
    "@x",
    "\tx",
    "\rx",
    "",
    " ",
    "a;b,c",
    'say "hi"',
    "two\nlines",
    "\0nul",
    "NA",
    "'",
]


#: Every hundredth row is bad, each in its own way.
DAMAGES = [
    {"integer": "x"},
    {"integer": "3"},
    {"char": "a"},
    {"decimal": "=1"},
    {"keeper": "-nobody"},
    {"char": "unicorn"},
    {"plate": "''@"},
]


def animals(count: int = 1_500) -> tuple[list[dict[str, Any]], list[int]]:
    """Rows as strings, and the indexes of the bad ones."""
    rows: list[dict[str, Any]] = [{"char": f"a{index}"} for index in range(count)]
    bad = list(range(50, count, 100))
    for index, place in enumerate(bad):
        rows[place] |= {"text": TEXTS[index % len(TEXTS)], **DAMAGES[index % len(DAMAGES)]}
    return rows, bad


def csv_of(rows: list[dict[str, Any]], options: FileOptions = CSV) -> bytes:
    """Rows with every column that some row gives."""
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.write_csv(separator=options.delimiter).encode(options.encoding)


def failed_objects(operation: Operation, resource: str = "animals") -> list[dict[str, Any]]:
    return objects(fetched(operation, f"{resource}-failed.ndjson"))


def written_by(operation: Operation) -> list[str]:
    return [row["pk"] for row in objects(fetched(operation, "results.ndjson")) if row["pk"] is not None]


def get(path: str, user: Any = None) -> tuple[Any, bytes]:
    """An answer of the service, and its whole body."""
    headers = {"Authorization": f"Bearer {token_for(user)}"} if user is not None else {}

    async def ask() -> tuple[Any, bytes]:
        answer = await AsyncClient().get(path, headers=headers)
        body = b"".join([part async for part in answer]) if answer.streaming else answer.content
        return answer, body

    return async_to_sync(ask)()


def refusal(path: str, user: Any = None) -> tuple[int, str]:
    answer, body = get(path, user)
    return answer.status_code, json.loads(body)["errors"][0]["extensions"]["code"]
