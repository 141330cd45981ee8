"""What a bulk mutation asks for."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.core.exceptions import EmptyResultSet
from django.core.files.base import File
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from bulkql.workers.conf import limits
from bulkql.workers.enums import OnError, Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.models import Upload
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.uploads.uploads import keyed_digest

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Mode(StrEnum):
    """Whether the request waits for its rows to be written."""

    AUTO = "AUTO"
    SYNC = "SYNC"
    ASYNC = "ASYNC"


class FileCompression(StrEnum):
    """How a file that goes out is made smaller."""

    NONE = "NONE"
    GZIP = "GZIP"
    ZSTD = "ZSTD"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """The file that an export is to make of a resource's rows."""

    #: What the file calls its columns, each a field that the user may read.
    fields: tuple[str, ...]
    format: FileFormat = FileFormat.CSV
    #: None for what the format does by itself.
    compression: FileCompression | None = None

    def __post_init__(self) -> None:
        if self.format == FileFormat.XLSX and self.packing != FileCompression.NONE:
            raise BadInput("A workbook is compressed by itself; leave `compression` out.")

    @property
    def packing(self) -> FileCompression:
        """The compression: that of Parquet is within, and the file is small without anybody's asking."""
        by_itself = FileCompression.ZSTD if self.format == FileFormat.PARQUET else FileCompression.NONE
        return by_itself if self.compression is None else self.compression


#: Of the rows in scope, what a sync may delete unless it says more.
MAX_DELETE_PERCENT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """How many rows a sync may delete, and which part of those in scope; it deletes none where there are more."""

    max_deletes: int | None = None
    max_delete_percent: float | None = None

    def __post_init__(self) -> None:
        if self.max_deletes is not None and self.max_deletes < 0:
            raise BadInput(f"maxDeletes is {self.max_deletes}; it must be a number of rows, where 0 allows none.")
        if self.max_delete_percent is not None and not 0 <= self.max_delete_percent <= 100:
            raise BadInput(f"maxDeletePercent is {self.max_delete_percent:g}; it must be between 0 and 100.")

    @classmethod
    def of_sync(cls, delete_missing: bool, max_deletes: int | None, max_delete_percent: float | None) -> Guard | None:
        """The guard of a sync; None for one that deletes nothing. Raises BadInput."""
        if delete_missing:
            return cls.of(max_deletes, max_delete_percent)
        if max_deletes is not None or max_delete_percent is not None:
            name = "maxDeletePercent" if max_deletes is None else "maxDeletes"
            raise BadInput(f"{name} guards deleteMissing; set deleteMissing: true as well, or leave it out.")
        return None

    @classmethod
    def of(cls, max_deletes: int | None, max_delete_percent: float | None) -> Guard:
        """The guard of a request; one that says nothing is careful. Raises BadInput."""
        if max_deletes is None and max_delete_percent is None:
            max_delete_percent = MAX_DELETE_PERCENT
        return cls(max_deletes=max_deletes, max_delete_percent=max_delete_percent)

    def refusals(self, missing: int, scope: int) -> list[tuple[str, str]]:
        """The limits that so many of the rows in scope exceed, each with the value that would let them be deleted."""
        found = []
        if self.max_deletes is not None and missing > self.max_deletes:
            found.append((f"maxDeletes: {self.max_deletes}", f"maxDeletes: {missing}"))
        if self.max_delete_percent is not None and missing * 100 > self.max_delete_percent * scope:
            enough = math.ceil(missing * 10_000 / scope) / 100
            found.append((f"maxDeletePercent: {self.max_delete_percent:g}", f"maxDeletePercent: {enough:g}"))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRequest:
    """What a request brings for one resource: inline rows (decoded JSON), or a file."""

    resource: BulkResource
    rows: list[Any] | None = None
    #: What the request calls them: rows, ids or keys.
    source: str = "rows"
    upload: Upload | None = None
    #: A file that came with the request itself.
    content: File[bytes] | None = None
    file_options: FileOptions | None = None
    #: Rows of the table, to delete.
    queryset: QuerySet[Any] | None = None
    match_by: Sequence[str] | None = None
    update_fields: Sequence[str] | None = None
    #: The rows of the table to which a sync limits itself, in some user's sight or not; None for all.
    where: QuerySet[Any] | None = None
    #: What a sync may delete; None where it deletes nothing.
    guard: Guard | None = None
    #: The file to make of the rows, in place of rows to write.
    export: ExportRequest | None = None

    @property
    def is_coming(self) -> bool:
        """The last byte of its upload is not there yet."""
        return self.upload is not None and self.upload.uploaded_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRequest:
    """One bulk mutation, checked for its form."""

    verb: Verb
    user: User
    inputs: list[InputRequest]
    mode: Mode = Mode.AUTO
    on_error: OnError = OnError.SKIP_ROWS
    dry_run: bool = False
    #: New rows whose unique key the table has already are UNCHANGED.
    skip_existing: bool = False
    chunk_size: int | None = None
    #: Nothing of it is begun before; None for at once.
    start_at: datetime | None = None
    #: Rows a second, by all workers together; None for as fast as they go.
    max_rows_per_second: int | None = None
    #: Whether the caller may be kept for as long as it takes: code that has a process of its own, but no request over
    #: the web, for whose thread and connection to the database others wait.
    waits_long: bool = False
    #: Where its end is told.
    webhook_url: str | None = None
    label: str = ""
    idempotency_key: str | None = None
    #: The id that its operation will have. Known before the commit: a connection that is lost in the midst of it leaves
    #: nobody who could tell whether it was made.
    operation_id: UUID = field(default_factory=uuid4)

    @property
    def inline_rows(self) -> int:
        """How many rows came with the request itself."""
        return sum(len(item.rows or ()) for item in self.inputs)


def is_whole(request: BulkRequest) -> bool:
    """All of its rows are written in one transaction, as the request asks."""
    return request.dry_run or request.on_error == OnError.REJECT_ALL


def rate_of(request: BulkRequest) -> int | None:
    """Rows a second, as the request, its resources and the settings allow; None for as fast as they go."""
    ceilings = [item.resource.max_rows_per_second or limits().max_rows_per_second for item in request.inputs]
    rates = [one for one in (request.max_rows_per_second, *ceilings) if one]
    return min(rates) if rates and not is_whole(request) else None


def hash_of(request: BulkRequest, *, by_content: bool = True) -> str:
    """A digest of all that decides what the operation does; only a key is ever compared with it.

    Files count by their bytes, or by the uploads that bring them: while one is coming nobody knows its bytes.
    """
    if request.idempotency_key is None:
        return ""
    how = [request.verb, request.on_error, request.dry_run, request.chunk_size]
    if request.skip_existing:
        how.append("skip_existing")
    how += when_and_whom(request)
    digest = hashlib.sha256(json.dumps(how).encode())
    for item in request.inputs:
        options = item.file_options.as_json() if item.file_options is not None else None
        upload = digest_of(item, by_content)
        limits_set = item.queryset if item.queryset is not None else item.where
        where = condition_of(limits_set) if limits_set is not None else None
        what = [item.resource.name, item.match_by, item.update_fields, item.rows, upload, options, where]
        if item.guard is not None:
            what.append(asdict(item.guard))
        if item.export is not None:
            what.append(asdict(item.export))
        digest.update(json.dumps(what).encode())
    # With the secret: of a request that is known but for a password, a digest alone would soon tell that too.
    return salted_hmac("bulkql: input", digest.hexdigest(), algorithm="sha256").hexdigest()


def when_and_whom(request: BulkRequest) -> list[str]:
    """When a request is carried out, and whom its end is told, as far as it says; label and mode count for nothing."""
    said = {
        "start_at": request.start_at and request.start_at.astimezone(UTC).isoformat(),
        "max_rows_per_second": request.max_rows_per_second,
        "webhook_url": request.webhook_url,
    }
    return [f"{name}: {value}" for name, value in said.items() if value is not None]


def digest_of(item: InputRequest, by_content: bool) -> str | None:
    """What tells a file's bytes, however they came: the same ones sent again are the same input."""
    if item.upload is not None:
        return (item.upload.digest if by_content else "") or str(item.upload.id)
    if item.content is None:
        return None
    found = hashlib.sha256()
    for piece in item.content.chunks():
        found.update(piece)
    item.content.seek(0)
    return keyed_digest(found.hexdigest())


def condition_of(queryset: QuerySet[Any]) -> str:
    """A filter as text, for a digest."""
    try:
        return str(queryset.query)
    except EmptyResultSet:  # Django makes no SQL of a filter that lets no row through
        return "nothing"
