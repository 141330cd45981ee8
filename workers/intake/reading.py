"""An upload -> chunks, each stored before the next is read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain

import polars as pl
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Count

from bulkql.workers.backends import sending_bytes, whole_sum
from bulkql.workers.conf import limits
from bulkql.workers.enums import State, Verb
from bulkql.workers.errors import UnreadableFile
from bulkql.workers.intake.authority import check_authority, check_authority_again
from bulkql.workers.intake.checks import check_rows_limit
from bulkql.workers.intake.chunking import bytes_in, in_bytes, keep_together, new_chunk
from bulkql.workers.intake.duplicates import find_superseded
from bulkql.workers.intake.replay import ReplayBuffer
from bulkql.workers.intake.reservation import with_reserved
from bulkql.workers.ledger import claims
from bulkql.workers.ledger.rates import seconds_to_store
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.readers import files
from bulkql.workers.readers.options import FileOptions
from bulkql.workers.resources.plan import Plan, plan_for, plan_of
from bulkql.workers.uploads import uploads
from bulkql.workers.validation.sealing import sealed

#: Seconds between two extensions of the lease while no chunk is stored.
HOLD_SECONDS = 1


def read_upload(stored: Input) -> Iterator[Chunk]:
    """Read an input's upload into chunks, each stored before the next is read.

    Raises UnreadableFile, Forbidden, LeaseLost.

    Which row is superseded by which is known only at the file's end, so its rows are looked at twice. A reader that
    takes over from one that died goes on behind the last stored chunk.
    """
    assert stored.upload is not None
    check_authority(stored)
    options = FileOptions.from_json(stored.file_options or {})
    plan = plan_of_file(stored, options)
    resource = plan.resource
    done = stored.chunks.aggregate(chunks=Count("pk"), rows=whole_sum("row_count"))
    row_start = done["rows"]
    with uploads.open_upload(stored.upload) as file, closing(ReplayBuffer()) as buffer:
        # Sealed before the buffer, which may put them on disk.
        frames: Iterator[pl.DataFrame] = (
            sealed(plan, one) for one in alive(stored, files.read_file(file, plan, options))
        )
        with closing(find_superseded(plan, buffer.recording(frames), stored.operation.created_by)) as verdicts:
            # Where no two rows can be in each other's way, none has been read yet.
            frames = without_first(row_start, chain(buffer.playback(), frames))
            for number, frame in enumerate(in_slices(frames, stored.chunk_size), start=done["chunks"]):
                if resource.max_rows is not None:
                    check_rows_limit(resource, row_start + frame.height)
                marked = with_reserved(plan, stored.operation, verdicts.mark(frame, row_start))
                chunk = new_chunk(stored, number, marked, row_start)
                with transaction.atomic():
                    claims.hold_input(stored)
                    keep_together(stored.operation, marked, row_start)
                    with sending_bytes(DEFAULT_DB_ALIAS):
                        chunk.save(force_insert=True)
                yield chunk
                keep_pace(stored.operation, chunk)
                row_start += frame.height
    if row_start == 0 and not stored.operation.inputs.filter(resource=stored.resource, removes=True).exists():
        raise UnreadableFile("The file has no rows.")
    claims.read_to_end(stored, row_start)


def plan_of_file(stored: Input, options: FileOptions) -> Plan:
    """The plan of an input; how rows are found may be known only now that the file is there to be asked."""
    plan = plan_of(stored)
    if plan.verb == Verb.CREATE or plan.match_by:
        return plan
    assert stored.upload is not None
    with uploads.open_upload(stored.upload) as file:
        names = files.FileStart(file, options).names()
        found = plan_for(plan.verb, plan.resource, None, plan.update_fields, names, stored.operation.created_by)
    plan = replace(found, spelling=plan.spelling)
    stored.match_by = list(plan.match_by)
    stored.save(update_fields=["match_by"])
    return plan


def alive(stored: Input, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same frames, while the lease is kept alive and the user may go on; raises Forbidden, LeaseLost."""
    held_at = time.monotonic()
    for frame in frames:
        if time.monotonic() - held_at > HOLD_SECONDS:
            claims.hold_input(stored)
            held_at = time.monotonic()
        check_authority_again(stored)
        yield frame


def keep_pace(operation: Operation, chunk: Chunk) -> None:
    """Wait after a chunk was stored, which is a load for the database, too. What is canceled has no pace."""
    if operation.is_one_transaction:
        return
    seconds = seconds_to_store(chunk.row_count, len(chunk.payload), operation.max_rows_per_second)
    if seconds and not Operation.objects.filter(pk=operation.pk, state=State.CANCELING).exists():
        time.sleep(seconds)


def without_first(rows: int, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The frames behind so many rows, which are chunks already."""
    for frame in frames:
        if rows < frame.height:
            yield frame[rows:]
        rows = max(0, rows - frame.height)


def in_slices(frames: Iterator[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """Frames of any height -> frames of one height, but for the last, and for those that would have too many bytes."""
    most = limits().chunk_bytes
    held: list[pl.DataFrame] = []
    height = bytes_held = 0
    for frame in frames:
        held.append(frame)
        height += frame.height
        bytes_held += bytes_in(frame)
        if height >= size or bytes_held >= most:
            joined = pl.concat(held, how="diagonal")
            whole = height if bytes_held >= most else height - height % size
            for piece in joined[:whole].iter_slices(size):
                yield from in_bytes(piece, most)
            held = [joined[whole:]] if whole < height else []
            height -= whole
            bytes_held = sum(map(bytes_in, held))
    if height:
        yield from in_bytes(pl.concat(held, how="diagonal"), most)
