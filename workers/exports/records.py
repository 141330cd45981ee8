"""An export's ledger: where its files are to be, how far they have come, and that they are whole.

Its chunks hold no rows. Each tells of rows that were read since the one before, so that totals and their sequence grow
as those of any operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, F, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from bulkql.workers.backends import durable, whole_sum
from bulkql.workers.enums import State, Verb
from bulkql.workers.errors import LeaseLost, Paused
from bulkql.workers.exports.jobs import Job
from bulkql.workers.exports.relay import StoredExport
from bulkql.workers.ledger import claims
from bulkql.workers.ledger.claims import its_operation
from bulkql.workers.models import Chunk, Export, Input, Operation
from bulkql.workers.uploads.uploads import storage


def clean_up(leader: Input) -> None:
    """Delete what an earlier try may have left in the storage; raises LeaseLost where nobody wants the files."""
    hold_wanted(leader)
    for left in Export.objects.filter(input__operation=leader.operation_id).exclude(path=""):
        storage().delete(left.path)


def hold_wanted(leader: Input) -> None:
    """Extend the lease, of an operation that goes on; raises LeaseLost, and Paused: whoever resumes it begins again."""
    if not claims.hold(leader, its_operation(~Q(state__in=(State.CANCELING, State.PAUSED)), finished_at=None)):
        if Operation.objects.filter(pk=leader.operation_id, state=State.PAUSED).exists():
            raise Paused(f"operation {leader.operation_id}: the export is paused")
        raise LeaseLost(f"the export {leader.operation_id} was taken over, canceled or ended")


def announce_files(jobs: Sequence[Job], paths: Sequence[str]) -> None:
    """Say where the files will be before a byte of them is there, so that none is ever left behind."""
    for job, path in zip(jobs, paths, strict=True):
        Export.objects.filter(pk=job.stored.export.pk).update(path=path)


def note_progress(leader: Input, jobs: Sequence[Job]) -> bool:
    """Enter how far the files have come; whether that is further than anybody knew. Raises LeaseLost."""
    with transaction.atomic():
        hold_wanted(leader)
        return sum(enter(job, job.exported) for job in jobs) > 0  # each of them


def enter(job: Job, exported: int) -> bool:
    """Enter a file's rows, where they are more than an earlier try has told."""
    if job.total is not None and job.stored.total != job.total:
        Input.objects.filter(pk=job.stored.pk).update(total=job.total)
        job.stored.total = job.total
    known = Chunk.objects.filter(input=job.stored).aggregate(chunks=Count("pk"), rows=whole_sum("exported"))
    if exported <= known["rows"]:
        return False
    add_progress(job, known["chunks"], known["rows"], exported - known["rows"])
    return True


def add_progress(job: Job, number: int, row_start: int, exported: int) -> None:
    Chunk.objects.create(
        operation=job.stored.operation,
        input=job.stored,
        number=number,
        row_start=row_start,
        row_count=0,
        payload=b"",
        recorded_at=timezone.now(),
        exported=exported,
    )


@durable()
@transaction.atomic
def finish_files(leader: Input, jobs: Sequence[Job], files: Sequence[StoredExport]) -> None:
    """All files are whole: they are there with this commit, or none of them. Raises LeaseLost."""
    hold_wanted(leader)
    for job, file in zip(jobs, files, strict=False):  # a dry run has none
        Export.objects.filter(pk=job.stored.export.pk).update(path=file.path, size=file.size, digest=file.digest)
    for job in jobs:
        settle_rows(job)
        end_input(job.stored, job.exported)


def settle_rows(job: Job) -> None:
    """What is told is what is in the file, also where an earlier try saw more rows than there are now."""
    if enter(job, job.exported):
        return
    told = Chunk.objects.filter(input=job.stored)
    if told.aggregate(rows=whole_sum("exported"))["rows"] != job.exported:
        last = told.latest("number")
        told.update(exported=0)
        Chunk.objects.filter(pk=last.pk).update(exported=job.exported)


def end_input(stored: Input, total: int) -> None:
    Input.objects.filter(pk=stored.pk).update(total=total, read_at=timezone.now(), lease=None, leased_until=None)


def end_canceled(leader: Input) -> bool:
    """End the inputs of an export that was canceled, if this worker still answers for it."""
    is_canceled = Operation.objects.filter(pk=leader.operation_id, state=State.CANCELING, finished_at=None).exists()
    if not is_canceled or not claims.held(leader).exists():
        return False
    Export.objects.filter(input__operation=leader.operation_id).update(path="")
    end_inputs(Input.objects.filter(operation=leader.operation_id))
    return True


def end_idle(operation_id: UUID) -> None:
    """End the inputs of a canceled export that nobody works on; whoever does ends them himself."""
    at_work = Exists(Input.objects.filter(operation=operation_id, leased_until__gte=Now()))
    canceled = its_operation(~Q(at_work), verb=Verb.EXPORT, state=State.CANCELING)
    end_inputs(Input.objects.filter(canceled, operation=operation_id))


def end_inputs(inputs: QuerySet[Input]) -> None:
    """Those that are open end as they are: of no rows where nobody has counted them."""
    inputs.filter(read_at=None).update(
        read_at=timezone.now(), total=Coalesce(F("total"), 0), lease=None, leased_until=None
    )
