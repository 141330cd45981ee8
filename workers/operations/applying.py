"""A plan (a dry run that is kept) -> the operation that carries it out: once, and as the plan says."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from bulkql.workers.conf import limits, setting_name
from bulkql.workers.enums import State, Verb
from bulkql.workers.errors import BadInput, Expired, Forbidden, IdempotencyConflict
from bulkql.workers.intake.accept import input_again
from bulkql.workers.intake.authority import grant
from bulkql.workers.intake.checks import check_key, check_text
from bulkql.workers.intake.requests import Mode
from bulkql.workers.ledger.retention import plan_until
from bulkql.workers.messaging.dispatch import dispatch
from bulkql.workers.models import Operation
from bulkql.workers.operations.running import after_commit, waits_for_end, write_or_hand_over
from bulkql.workers.quotas import check_new_operation
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.resources.rights import check_may_apply, check_may_still, needs_approval
from bulkql.workers.webhooks.deliveries import announce

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("bulkql")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRequest:
    """Who wants a plan to be applied, and how. `label` None: the plan's own."""

    plan: Operation
    user: User
    mode: Mode = Mode.AUTO
    label: str | None = None
    idempotency_key: str | None = None
    #: Whether the caller may be kept for as long as it takes.
    waits_long: bool = False
    #: Known before the operation is stored: whoever is interrupted meanwhile can still cancel it.
    operation_id: UUID = field(default_factory=uuid4)


def apply_plan(request: ApplyRequest) -> Operation:
    """Carry out a plan as an operation of its own; raises BulkError with nothing stored.

    Rows of the table that changed since the plan was made are CONFLICT row errors of it.
    """
    plan = request.plan
    check_text("label", request.label or "")
    check_key(request.idempotency_key)
    check_may_apply(request.user)
    if (first := applied_with(request)) is not None:
        return first
    check_is_good(plan)
    check_is_allowed(plan, request.user)
    total: int = plan.inputs.aggregate(rows=Sum("total", default=0))["rows"]
    check_new_operation(request.user, total)
    try:
        with transaction.atomic():
            operation = store_application(request)
    except IntegrityError:
        # Another request was faster by a moment.
        if (first := applied_with(request)) is not None:
            return first
        check_is_first(plan)
        raise
    logger.info("operation %s: accepted, %s, applies operation %s", operation.pk, operation.verb, plan.pk)
    with after_commit(operation):
        is_short = request.mode == Mode.AUTO and total <= limits().sync_rows
        if is_short or waits_for_end(request.mode, operation, request.waits_long):
            write_or_hand_over(operation, waits_long=request.waits_long)
        else:
            dispatch(operation.pk)
    return operation


def applied_with(request: ApplyRequest) -> Operation | None:
    """The operation that this very request made before; raises IdempotencyConflict."""
    if request.idempotency_key is None:
        return None
    known = Operation.objects.select_related("created_by")
    first = known.filter(created_by=request.user, idempotency_key=request.idempotency_key).first()
    if first is not None and first.applied_from_id != request.plan.pk:
        raise IdempotencyConflict(
            f"The idempotency key {request.idempotency_key!r} belongs to operation {first.pk}, which had another "
            "input; use a new key for a new request."
        )
    return first


def check_is_good(plan: Operation) -> None:
    """Whether an operation is a plan that can be applied; raises BadInput, Expired."""
    if not plan.dry_run:
        raise BadInput(
            f"Operation {plan.pk} is not a plan: it was sent without dryRun: true, and writes its rows itself."
        )
    if not plan.is_plan:
        raise BadInput(f"Operation {plan.pk} is not a plan, but a dry {plan.verb.lower()}; send that without dryRun.")
    if plan.finished_at is None:
        raise BadInput(f"Plan {plan.pk} is {plan.state}; wait until it is over.")
    if plan.state != State.COMPLETED:
        why = f": {plan.message}" if plan.message else ""
        raise BadInput(f"Plan {plan.pk} is {plan.state}{why if why.endswith('.') else f'{why}.'} Make a new one.")
    check_is_first(plan)
    until = plan_until(plan.finished_at)
    if until is not None and until < timezone.now():
        raise Expired(
            f"Plan {plan.pk} was good until {until:%Y-%m-%d %H:%M} UTC ({setting_name('plan_days')}); make a new one."
        )
    if plan.chunks.filter(evidence=None).exists():
        raise BadInput(f"Plan {plan.pk} was made by a version of bulkql that did not keep plans; make a new one.")


def check_is_first(plan: Operation) -> None:
    """A plan is applied once; raises BadInput with the id of the operation that did."""
    first = Operation.objects.filter(applied_from=plan).values_list("pk", flat=True).first()
    if first is not None:
        raise BadInput(f"Plan {plan.pk} was applied already, by operation {first}.")


def check_is_allowed(plan: Operation, user: User) -> None:
    """Whether the user may do all that a plan says, and is not to wait for another; raises BadInput, Forbidden."""
    for stored in plan.inputs.all():
        resource, verb = resource_named(stored.resource), Verb(plan.verb)
        check_may_still(user, verb, resource)
        if stored.removes:
            check_may_still(user, Verb.DELETE, resource)
        of_rows = Verb.DELETE if stored.removes else verb
        if plan.created_by_id == user.pk and needs_approval(resource, of_rows):
            raise Forbidden(f"You made plan {plan.pk}, and plans of {resource.name} are applied by another user.")


def store_application(request: ApplyRequest) -> Operation:
    """The new operation with its inputs; their chunks are copied by whoever reads them."""
    plan = request.plan
    operation = Operation.objects.create(
        id=request.operation_id,
        verb=plan.verb,
        on_error=plan.on_error,
        label=plan.label if request.label is None else request.label,
        idempotency_key=request.idempotency_key,
        created_by=request.user,
        rows_by_id=plan.sent_by,
        applied_from=plan,
        trades=plan.trades,
        skip_existing=plan.skip_existing,
        calls_back=plan.calls_back,
    )
    if plan.calls_back:
        announce(operation, plan.deliveries.values_list("url", flat=True))
    for old in plan.inputs.order_by("position"):
        guard = {"max_deletes": old.max_deletes, "max_delete_percent": old.max_delete_percent}
        grant(input_again(old, operation, total=old.total, note=old.note, **guard))
    return operation
