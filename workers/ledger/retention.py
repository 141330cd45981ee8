"""Operations and uploads past their time -> deleted, with their rows, results and files. What they wrote stays."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from bulkql.workers.conf import limits
from bulkql.workers.models import Export, Input, Operation, Upload
from bulkql.workers.uploads import uploads

#: Operations, or uploads, that are deleted in one transaction.
BATCH = 100


def purge() -> tuple[int, int]:
    """Delete what is past its time; gives how many operations and how many uploads that were."""
    return purge_operations(), purge_uploads()


def purge_operations() -> int:
    """Operations that were over more than BULKQL_RETENTION_DAYS ago."""
    old = Operation.objects.filter(finished_at__lt=Now() - timedelta(days=limits().retention_days))
    # What rows were goes with the operation; a revert of it needs that until its end.
    old = old.exclude(Exists(Operation.objects.filter(revert_of=OuterRef("pk"), finished_at=None)))
    count = 0
    while ids := list(old.values_list("pk", flat=True)[:BATCH]):
        files = Export.objects.filter(input__operation__in=ids).exclude(path="")
        with transaction.atomic():
            for path in list(files.values_list("path", flat=True)):
                transaction.on_commit(partial(uploads.storage().delete, path))
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
