"""An export that was accepted -> its files in the storage, entered in the ledger as one.

All of its files show one moment. Who takes over from a worker that died begins again: what that one left is deleted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from typing import IO, TypeAlias

from django.db import DEFAULT_DB_ALIAS, connections

from bulkql.workers.backends import backend
from bulkql.workers.errors import LeaseLost
from bulkql.workers.exports import records
from bulkql.workers.exports.formats import PIECE, pieces_of_file
from bulkql.workers.exports.jobs import Job, job_of
from bulkql.workers.exports.relay import Relay, StoredExport, in_one_snapshot, stored
from bulkql.workers.intake.authority import check_authority, check_authority_again
from bulkql.workers.models import Input
from bulkql.workers.quotas import check_stored_bytes
from bulkql.workers.uploads.uploads import storage

#: Pauses for the news to be told, and then the files that are stored.
Files: TypeAlias = Generator[None, None, list[StoredExport]]

#: Seconds between two looks at how far it has come.
PROGRESS_SECONDS = 0.5


def write_files(leader: Input) -> Iterator[None]:
    """Write the files of all inputs, of which the first stands for all; halts now and then for the news to be told.

    Raises BadInput, Forbidden and LimitExceeded for what ends the operation, and LeaseLost.
    """
    jobs = [job_of(one) for one in inputs_of_export(leader)]
    paths = [f"exports/{job.stored.pk}-{leader.lease}" for job in jobs]
    records.clean_up(leader)
    try:
        if leader.operation.dry_run:
            with in_one_snapshot(jobs):
                for job in jobs:
                    job.count()
                    job.exported = job.total or 0
            records.finish_files(leader, jobs, [])
            return
        check_stored_bytes(leader.operation.created_by)
        records.announce_files(jobs, paths)
        files = yield from (at_once(leader, jobs, paths) if has_connections(jobs) else one_by_one(jobs, paths))
        records.finish_files(leader, jobs, files)
    except BaseException as error:
        # Whoever comes next deletes what a process leaves that is killed; this one can do so itself.
        delete_files(paths)
        if not isinstance(error, LeaseLost) or not records.end_canceled(leader):
            raise


def inputs_of_export(leader: Input) -> list[Input]:
    """All inputs of its operation, whose user may still read them; raises Forbidden."""
    found = list(Input.objects.filter(operation=leader.operation_id).select_related("export").order_by("position"))
    for one in found:
        one.operation = leader.operation
        check_authority(one)
    return found


def has_connections(jobs: Sequence[Job]) -> bool:
    """Whether other threads can read what this one would, and write meanwhile. Few rows are not worth threads."""
    aliases = {DEFAULT_DB_ALIAS, *(job.alias for job in jobs)}
    is_few = all(job.stored.total is not None for job in jobs)
    return not is_few and all(
        backend(alias).supports_concurrent_writers and not connections[alias].in_atomic_block for alias in aliases
    )


def at_once(leader: Input, jobs: Sequence[Job], paths: Sequence[str]) -> Files:
    """Read and store at a time, and tell how far it has come; gives the files."""
    with Relay(jobs, paths) as relay:
        while not relay.wait(PROGRESS_SECONDS):
            for job in jobs:
                check_authority_again(job.stored)
            if records.note_progress(leader, jobs):
                yield
        return relay.result()


def one_by_one(jobs: Sequence[Job], paths: Sequence[str]) -> Files:
    """First read all, then store it: on a database with one writer, and in the caller's own transaction."""
    with ExitStack() as stack:
        spooled = [stack.enter_context(tempfile.TemporaryFile(prefix="bulkql-export-")) for _ in jobs]
        with in_one_snapshot(jobs):
            for job, file in zip(jobs, spooled, strict=True):
                file.writelines(pieces_of_file(job))
        yield
        return [stored(path, pieces_in(file)) for path, file in zip(paths, spooled, strict=True)]


def pieces_in(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece


def delete_files(paths: Sequence[str]) -> None:
    """Delete files of the storage; one that is not there is as it is to be."""
    for path in paths:
        storage().delete(path)
