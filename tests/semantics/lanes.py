"""Ways of a request through the pipeline, seen as the model sees them."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any

from django.core.files.base import ContentFile

from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, Guard, InputRequest, Mode
from bulkql.workers.ledger import totals
from bulkql.workers.models import Operation
from bulkql.workers.operations import running, steps
from bulkql.workers.operations.applying import ApplyRequest, apply_plan
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads
from tests.conftest import Done
from tests.semantics.files import NULL, WRITERS
from tests.semantics.tables import Request, Told
from tests.zoo.models import Shelf


def at_once(user: Any, request: Request, chunk_size: int) -> Operation:
    """Inline rows, written while the request waits."""
    return running.run(asked(user, request, chunk_size, Mode.SYNC))


def by_workers(pool: Executor, user: Any, request: Request, chunk_size: int) -> Operation:
    """Inline rows whose chunks several workers write at the same time, those of a resource after its parents'."""
    operation, _ = accept(asked(user, request, chunk_size, Mode.ASYNC))
    for unread in operation.inputs.filter(read_at=None):
        steps.read_input(unread.pk, dispatches=False)
    if operation.is_one_transaction:
        steps.write_operation(operation.pk)
    for stored in operation.inputs.order_by("position"):
        ids = stored.chunks.order_by("-number").values_list("pk", flat=True)
        list(pool.map(partial(steps.write_chunk, dispatches=False), ids))
    operation.refresh_from_db()
    return operation


def from_plan(user: Any, request: Request, chunk_size: int) -> Operation:
    """Looked at first, and applied as it was shown; what makes no plan is sent as it is."""
    plan = at_once(user, replace(request, dry_run=True), chunk_size)
    if request.dry_run or plan.state != State.COMPLETED:
        return at_once(user, request, chunk_size)
    return apply_plan(ApplyRequest(plan=plan, user=user, mode=Mode.SYNC))


def as_file(file_format: FileFormat, user: Any, request: Request, chunk_size: int) -> Operation:
    """Rows in a file for each resource."""
    return running.run(asked(user, request, chunk_size, Mode.SYNC, file_format))


def asked(
    user: Any, request: Request, chunk_size: int, mode: Mode, file_format: FileFormat | None = None
) -> BulkRequest:
    inputs = []
    for part in request.parts:
        how = {
            "resource": resource_named(part.resource),
            "match_by": part.match_by,
            "update_fields": part.update_fields,
            "guard": Guard.of(None, 100) if request.verb == "sync" else None,
        }
        if file_format is None:
            inputs.append(InputRequest(rows=part.rows, **how))
            continue
        content = WRITERS[file_format](request.verb_of_rows, part).encode()
        name = f"{part.resource}.{file_format.lower()}"
        upload = uploads.fill(uploads.announce(user, name, len(content)), ContentFile(content))
        options = FileOptions(format=file_format, null_values=(NULL,))
        inputs.append(InputRequest(upload=upload, file_options=options, **how))
    return BulkRequest(
        verb=Verb(request.verb.upper()),
        user=user,
        inputs=inputs,
        mode=mode,
        on_error=OnError.REJECT_ALL if request.rejects_all else OnError.SKIP_ROWS,
        dry_run=request.dry_run,
        chunk_size=chunk_size,
    )


def told(operation: Operation) -> Told:
    """What a client is told of an operation that is over."""
    done = Done(operation)
    found = Told(state=operation.state, cascades=Counter(totals.cascades(operation)))
    for result in done.results:
        row = (result["resource"], result["index"])
        found.outcomes[row] = (result["outcome"], None if result["pk"] is None else int(result["pk"]))
        if result.get("changes"):
            found.changes[row] = {
                (name, before, shown(name, after)) for name, before, after in json.loads(result["changes"])
            }
    for error in done.errors:
        found.errors.setdefault((error["resource"], error["index"]), set()).add((error["path"], error["code"]))
    progress = totals.progress(operation.pk)
    names = ("created", "updated", "unchanged", "deleted", "failed", "skipped")
    counted = {name.upper(): getattr(progress, name) for name in names}
    assert +Counter(counted) == Counter(outcome for outcome, _ in found.outcomes.values())
    assert progress.total == progress.processed == len(found.outcomes)
    return found


def shown(name: str, after: str | None) -> str | None:
    """What a field would be; a shelf that a dry run made is gone."""
    is_gone = name == "shelf" and after is not None and not Shelf.objects.filter(pk=after).exists()
    return "new" if is_gone else after
