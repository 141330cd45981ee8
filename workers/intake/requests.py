"""What a bulk mutation asks for, and whether it may."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.core.exceptions import EmptyResultSet
from django.core.files.base import File
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from bulkql.workers.columns.cells import is_encodable
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.enums import OnError, Verb
from bulkql.workers.errors import BadInput, Forbidden, LimitExceeded
from bulkql.workers.models import TEXT_LENGTH, Upload
from bulkql.workers.readers.options import FileOptions
from bulkql.workers.resources.registry import BulkResource, registered
from bulkql.workers.resources.rights import may, permission_to
from bulkql.workers.uploads.uploads import sealed

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Mode(StrEnum):
    """Whether the request waits for its rows to be written."""

    AUTO = "AUTO"
    SYNC = "SYNC"
    ASYNC = "ASYNC"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRequest:
    """One bulk mutation, checked for its form."""

    verb: Verb
    user: User
    inputs: list[InputRequest]
    mode: Mode = Mode.AUTO
    on_error: OnError = OnError.SKIP_ROWS
    dry_run: bool = False
    chunk_size: int | None = None
    label: str = ""
    idempotency_key: str | None = None
    #: The id that its operation will have. Known before the commit: a connection that is lost in the midst of it leaves
    #: nobody who could tell whether it was made.
    operation_id: UUID = field(default_factory=uuid4)


def check_request(request: BulkRequest) -> None:
    """Refuse what cannot be served, before anything is stored."""
    if not request.inputs:
        raise BadInput("The input names no resource; give rows or a file for at least one.")
    for item in request.inputs:
        resource = item.resource
        check_permissions(request.user, request.verb, resource)
        if item.rows is not None and not item.rows:
            raise BadInput(f"{resource.name}.{item.source} is empty; give at least one row.")
        check_rows_limit(resource, len(item.rows or ()))
    inline = sum(len(item.rows or ()) for item in request.inputs)
    exceeds("inline_rows", "rows in one request", inline, "send them as a file")
    exceeds("max_chunk_size", "rows in a chunk", request.chunk_size or 1, "ask for smaller chunks")
    check_text("label", request.label)
    check_text("idempotencyKey", request.idempotency_key or "")
    if request.chunk_size is not None and request.chunk_size < 1:
        raise BadInput(f"chunkSize is {request.chunk_size}; a chunk has at least one row.")


#: The model's Django permissions that an operation takes.
PERMISSIONS = {
    Verb.CREATE: ("add",),
    Verb.UPDATE: ("change",),
    Verb.REPLACE: ("change",),
    Verb.UPSERT: ("add", "change"),
    Verb.DELETE: ("delete",),
}


def check_permissions(user: User, verb: Verb, resource: BulkResource) -> None:
    """Whether the user may do this to the resource's rows; raises Forbidden."""
    for action in PERMISSIONS[verb]:
        if not may(user, action, resource.model):
            permission = permission_to(action, resource.model)
            raise Forbidden(f"{verb.title()} of {resource.name} needs the permission {permission}.")


def check_may_upload(user: User) -> None:
    """Whether there is anything that the user could do with a file; raises Forbidden."""
    for resource in registered():
        for verb in resource.operations & PERMISSIONS.keys():
            with suppress(Forbidden):
                check_permissions(user, verb, resource)
                return
    raise Forbidden("An upload needs a permission to write some resource's rows: its model's add_, change_ or delete_.")


def check_text(name: str, text: str) -> None:
    """A text of the request that goes into the ledger."""
    if len(text) > TEXT_LENGTH:
        raise BadInput(f"{name} has {len(text):,} characters; {TEXT_LENGTH} are the most.")
    if fault := fault_of(text):
        raise BadInput(f"{name} {fault}.")


def fault_of(text: str) -> str | None:
    """Why no database takes a text; None for one that it takes."""
    if "\0" in text:
        return "has a null character, which the database does not take"
    return None if is_encodable(text) else "has half of a surrogate pair, which is no character"


def check_rows_limit(resource: BulkResource, count: int) -> None:
    """A resource may bound its rows."""
    if resource.max_rows is not None and count > resource.max_rows:
        raise LimitExceeded(
            f"{count:,} rows of {resource.name} exceed the limit of {resource.max_rows:,} rows in one operation "
            f"(max_rows of its BulkResource)."
        )


def exceeds(limit: str, what: str, value: int, way_out: str) -> None:
    """Raise LimitExceeded where a value is over its limit."""
    most = getattr(limits(), limit)
    if value > most:
        raise LimitExceeded(f"{value:,} {what} exceed the limit of {most:,} ({setting_name(limit)}); {way_out}.")


def hash_of(request: BulkRequest) -> str:
    """A digest of all that decides what the operation does; only a key is ever compared with it."""
    if request.idempotency_key is None:
        return ""
    how = [request.verb, request.on_error, request.dry_run, request.chunk_size]
    digest = hashlib.sha256(json.dumps(how).encode())
    for item in request.inputs:
        options = item.file_options.as_json() if item.file_options is not None else None
        upload = digest_of(item)
        where = condition_of(item.queryset) if item.queryset is not None else None
        what = [item.resource.name, item.match_by, item.update_fields, item.rows, upload, options, where]
        digest.update(json.dumps(what).encode())
    # With the secret: of a request that is known but for a password, a digest alone would soon tell that too.
    return salted_hmac("bulkql: input", digest.hexdigest(), algorithm="sha256").hexdigest()


def digest_of(item: InputRequest) -> str | None:
    """What tells a file's bytes, however they came: the same ones sent again are the same input."""
    if item.upload is not None:
        return item.upload.digest or str(item.upload.id)
    if item.content is None:
        return None
    found = hashlib.sha256()
    for piece in item.content.chunks():
        found.update(piece)
    item.content.seek(0)
    return sealed(found.hexdigest())


def condition_of(queryset: QuerySet[Any]) -> str:
    """A filter as text, for a digest."""
    try:
        return str(queryset.query)
    except EmptyResultSet:  # Django makes no SQL of a filter that lets no row through
        return "nothing"
