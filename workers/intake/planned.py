"""The chunks of a plan -> those of the operation that applies it: the same rows, in the same chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from bulkql.workers.intake.authority import check_authority
from bulkql.workers.ledger import claims
from bulkql.workers.models import Chunk, Input

#: Chunks that one statement copies.
CHUNKS_A_COPY = 8
#: What a chunk has of its plan's; the rest is as it is in any new chunk.
COPIED = ("number", "row_start", "row_count", "payload")


def planned_chunks(stored: Input) -> Iterator[int]:
    """Copy the chunks of an input, some at a time, within the database; gives how many. Raises Forbidden, LeaseLost.

    Who takes over from one that died goes on behind the last chunk that was copied.
    """
    check_authority(stored)
    source = Input.objects.get(operation=stored.operation.applied_from_id, position=stored.position)
    while True:
        with transaction.atomic():
            claims.hold_input(stored)
            copied = copy_some(source, stored)
        if not copied:
            break
        yield copied
    assert source.total is not None
    claims.read_to_end(stored, source.total)


def copy_some(source: Input, stored: Input) -> int:
    """The next chunks that are not there yet; gives how many they are."""
    quote, table = connection.ops.quote_name, Chunk._meta.db_table
    last = stored.chunks.aggregate(last=Max("number"))["last"]
    new: Any = Chunk(operation=stored.operation, input=stored)
    fields = [field for field in Chunk._meta.concrete_fields if not field.primary_key]
    columns = [quote(str(field.column)) for field in fields]
    own = [field for field in fields if field.name not in COPIED]
    values = [column if field not in own else "%s" for field, column in zip(fields, columns, strict=True)]
    params = [field.get_db_prep_save(getattr(new, field.attname), connection) for field in own]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quote(table)} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {quote(table)}"  # noqa: S608
            f" WHERE input_id = %s AND number > %s ORDER BY number LIMIT {CHUNKS_A_COPY}",
            [*params, source.pk, -1 if last is None else last],
        )
        return int(cursor.rowcount)
