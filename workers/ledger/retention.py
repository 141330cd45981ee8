"""Operations and uploads past their time -> deleted, with their rows, results and files. What they wrote stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from bulkql.workers.conf import limits
from bulkql.workers.models import Chunk, Export, Input, Operation, Upload
from bulkql.workers.uploads import uploads

#: Operations, or uploads, that are deleted in one transaction.
BATCH = 100


def purge() -> tuple[int, int]:
    """Delete what is past its time; gives how many operations and how many uploads that were."""
    return purge_operations(), purge_uploads()


def plan_until(finished_at: datetime | None) -> datetime | None:
    """Until when a plan that was over then can be applied."""
    return None if finished_at is None else finished_at + timedelta(days=limits().plan_days)


def purge_operations() -> int:
    """Operations that were over more than BULKQL_RETENTION_DAYS ago, and plans that are good no more."""
    retention = timedelta(days=limits().retention_days)
    is_old = Q(dry_run=False, finished_at__lt=Now() - retention)
    is_past = Q(dry_run=True, finished_at__lt=Now() - max(retention, timedelta(days=limits().plan_days)))
    # What a plan saw, or what rows were, is asked for while it is applied, or reverted.
    is_needed = Q(applied_from=OuterRef("pk")) | Q(revert_of=OuterRef("pk"))
    needed = Exists(Operation.objects.filter(is_needed, finished_at=None))
    old = Operation.objects.filter(is_old | is_past).exclude(needed)
    count = 0
    while ids := list(old.values_list("pk", flat=True)[:BATCH]):
        files = Export.objects.filter(input__operation__in=ids).exclude(path="")
        with transaction.atomic():
            for path in list(files.values_list("path", flat=True)):
                transaction.on_commit(partial(uploads.storage().delete, path))
            Chunk.objects.filter(operation__in=ids).delete_unheard()
            Operation.objects.filter(pk__in=ids).delete()
        count += len(ids)
    return count


def purge_uploads() -> int:
    """Uploads that no operation needs any more, and those that were announced and never came."""
    never_came = Q(uploaded_at=None, created_at__lt=Now() - timedelta(seconds=limits().upload_seconds))
    is_old = Q(uploaded_at__lt=Now() - timedelta(days=limits().retention_days))
    is_needed = Exists(Input.objects.filter(upload=OuterRef("pk")))
    unneeded = Upload.objects.filter(never_came | is_old).exclude(is_needed)
    count = 0
    while found := list(unneeded[:BATCH]):
        for upload in found:
            uploads.discard(upload)
        count += len(found)
    return count
