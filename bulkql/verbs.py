"""The bulk mutations for Python code: management commands, notebooks, tests. A model and its rows -> an operation.

The same pipeline, rules and records as over GraphQL: `user` asks, whose permissions and get_queryset count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace as replace_in
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError

from bulkql.operation import BulkOperation, canceled_by_ctrl_c
from bulkql.options import checked, choice, names, refused_in_python, shown
from bulkql.workers.enums import OnError, Verb
from bulkql.workers.errors import BadInput, NotFound

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl
    from django.contrib.auth.models import User
    from django.db.models import Model, Q, QuerySet

    from bulkql.workers.intake.requests import Guard
    from bulkql.workers.models import Operation
    from bulkql.workers.resources.registry import BulkResource

    #: Dicts of Python values, or a frame: of polars, or of any library that speaks Arrow.
    Rows: TypeAlias = Iterable[Any] | pl.DataFrame | pl.LazyFrame
    #: One model, or several with the rows of each: one operation, parents before children.
    Models: TypeAlias = type[Model] | Mapping[type[Model], Rows]


class RevertOptions(TypedDict, total=False):
    """How an operation is carried out."""

    #: SYNC writes before it returns; ASYNC leaves the writing to the workers; AUTO decides by the number of rows.
    mode: Literal["SYNC", "ASYNC", "AUTO"]
    on_error: Literal["SKIP_ROWS", "REJECT_ALL"]
    dry_run: bool
    chunk_size: int | None
    #: Do nothing before this time: an aware datetime. The default mode is then ASYNC.
    start_at: datetime
    #: The most rows that all workers together write per second. With mode SYNC, the call takes accordingly longer.
    max_rows_per_second: int | None
    #: The URL that is notified of its end; its host must be in BULKQL_WEBHOOK_HOSTS.
    webhook_url: str | None
    label: str
    idempotency_key: str | None


class Options(RevertOptions, total=False):
    """The options of every verb."""

    #: For create: a row whose unique key is already in the table is UNCHANGED instead of an error.
    skip_existing: bool
    #: What a null in a frame means: that the row does not give the field, or that the field is null.
    empty_cells: Literal["MISSING", "NULL"]


def create(model: Models, rows: Rows | None = None, *, user: User, **options: Unpack[Options]) -> BulkOperation:
    """Create rows; raises BulkError with nothing stored."""
    return perform(Verb.CREATE, model, rows, user, options)


def update(
    model: Models,
    rows: Rows | None = None,
    *,
    user: User,
    match_by: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> BulkOperation:
    """Set the fields that each row gives, and no other; raises BulkError with nothing stored."""
    return perform(Verb.UPDATE, model, rows, user, options, match_by)


def replace(
    model: Models,
    rows: Rows | None = None,
    *,
    user: User,
    match_by: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> BulkOperation:
    """Set all fields: those that a row does not give get their defaults; raises BulkError with nothing stored."""
    return perform(Verb.REPLACE, model, rows, user, options, match_by)


def upsert(
    model: Models,
    rows: Rows | None = None,
    *,
    user: User,
    match_by: Sequence[str] | None = None,
    update_fields: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> BulkOperation:
    """Update existing rows, and create the others; raises BulkError with nothing stored."""
    return perform(Verb.UPSERT, model, rows, user, options, match_by, update_fields)


def delete(
    model: Models,
    rows: Rows | QuerySet[Any] | None = None,
    *,
    user: User,
    match_by: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> BulkOperation:
    """Delete rows, named by primary keys, instances, dicts of a key, or a queryset; raises BulkError."""
    return perform(Verb.DELETE, model, rows, user, options, match_by)


@refused_in_python()
def sync(
    model: Models,
    rows: Rows | None = None,
    *,
    user: User,
    where: Q | QuerySet[Any] | None = None,
    delete_missing: bool = False,
    max_deletes: int | None = None,
    max_delete_percent: float | None = None,
    match_by: Sequence[str] | None = None,
    update_fields: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> BulkOperation:
    """Make a model's rows, or those of `where`, equal to these; raises BulkError with nothing stored.

    With `delete_missing` rows in scope that are not named here are deleted, unless there are more than `max_deletes` or
    `max_delete_percent` (10 unless one of the two is given): then the operation is FAILED, and nothing is written.
    """
    from bulkql.workers.intake.requests import Guard

    limits = checked({"max_deletes": max_deletes, "max_delete_percent": max_delete_percent})
    deletes = checked({"delete_missing": delete_missing}).get("delete_missing", False)
    guard = Guard.of_sync(deletes, limits.get("max_deletes"), limits.get("max_delete_percent"))
    return perform(Verb.SYNC, model, rows, user, options, match_by, update_fields, where, guard)


@refused_in_python()
def revert(
    operation: BulkOperation | UUID | str, *, user: User, force: bool = False, **options: Unpack[RevertOptions]
) -> BulkOperation:
    """Undo what an operation wrote, as a new operation; raises BulkError with nothing stored.

    Created rows are deleted, changed ones restored, deleted ones brought back. A row that has changed since is left as
    it is (CONFLICT), unless `force`.
    """
    from bulkql.workers.intake.requests import Mode
    from bulkql.workers.operations.revert import RevertOptions as Given
    from bulkql.workers.operations.revert import revert as revert_stored

    check_user(user)
    how = checked({**options, "force": force}, [*RevertOptions.__annotations__, "force"])
    mode = choice("mode", Mode, how.pop("mode", Mode.SYNC))
    on_error = choice("on_error", OnError, how.pop("on_error", OnError.SKIP_ROWS))
    forces = how.pop("force", False)
    stored = stored_operation(operation)
    given = Given(forces=forces, mode=mode, on_error=on_error, waits_long=True, **how)
    with canceled_by_ctrl_c(given.operation_id):
        return BulkOperation(revert_stored(stored, user, given))


@refused_in_python()
def apply(
    plan: BulkOperation | UUID | str,
    *,
    user: User,
    mode: Literal["SYNC", "ASYNC", "AUTO"] = "SYNC",
    label: str | None = None,
    idempotency_key: str | None = None,
) -> BulkOperation:
    """Carry out a plan, which is an operation with `dry_run`, once and exactly as shown; raises BulkError.

    Rows of the table that have changed since it was made are CONFLICT row errors, and not written.
    """
    from bulkql.workers.intake.requests import Mode
    from bulkql.workers.operations.applying import ApplyRequest, apply_plan

    check_user(user)
    how = checked({"label": label, "idempotency_key": idempotency_key})
    how |= {"mode": choice("mode", Mode, mode), "waits_long": True}
    request = ApplyRequest(plan=stored_operation(plan), user=user, **how)
    with canceled_by_ctrl_c(request.operation_id):
        return BulkOperation(apply_plan(request))


def stored_operation(operation: BulkOperation | UUID | str) -> Operation:
    """The operation that is named; raises NotFound."""
    from bulkql.workers.models import Operation

    key = operation.id if isinstance(operation, BulkOperation) else operation
    try:
        return Operation.objects.select_related("created_by").get(pk=key)
    except (Operation.DoesNotExist, ValidationError):
        raise NotFound(f"There is no operation {key}.") from None


def check_user(user: Any) -> None:
    """Whether somebody asks; raises BadInput."""
    if not hasattr(user, "has_perm"):
        raise BadInput(f"user is {shown(user)}; give the user who asks, whose permissions count.")
    if user.is_authenticated and user.pk is None:
        raise BadInput(f"user is {shown(user)}, who is not saved; give a user of the database.")


async def async_create(model: Models, rows: Rows | None = None, **options: Any) -> BulkOperation:
    """`create` for async code."""
    return await sync_to_async(create)(model, rows, **options)


async def async_update(model: Models, rows: Rows | None = None, **options: Any) -> BulkOperation:
    """`update` for async code."""
    return await sync_to_async(update)(model, rows, **options)


async def async_replace(model: Models, rows: Rows | None = None, **options: Any) -> BulkOperation:
    """`replace` for async code."""
    return await sync_to_async(replace)(model, rows, **options)


async def async_upsert(model: Models, rows: Rows | None = None, **options: Any) -> BulkOperation:
    """`upsert` for async code."""
    return await sync_to_async(upsert)(model, rows, **options)


async def async_delete(model: Models, rows: Rows | QuerySet[Any] | None = None, **options: Any) -> BulkOperation:
    """`delete` for async code."""
    return await sync_to_async(delete)(model, rows, **options)


async def async_apply(plan: BulkOperation | UUID | str, **options: Any) -> BulkOperation:
    """`apply` for async code."""
    return await sync_to_async(apply)(plan, **options)


async def async_sync(model: Models, rows: Rows | None = None, **options: Any) -> BulkOperation:
    """`sync` for async code."""
    return await sync_to_async(sync)(model, rows, **options)


async def async_revert(operation: BulkOperation | UUID | str, **options: Any) -> BulkOperation:
    """`revert` for async code."""
    return await sync_to_async(revert)(operation, **options)


@refused_in_python()
def perform(
    verb: Verb,
    model: Models,
    rows: Any,
    user: User,
    options: Options,
    match_by: Sequence[str] | None = None,
    update_fields: Sequence[str] | None = None,
    where: Q | QuerySet[Any] | None = None,
    guard: Guard | None = None,
) -> BulkOperation:
    """Carry out one bulk request."""
    # `import bulkql` stands in INSTALLED_APPS: no model may be touched before Django is set up.
    from bulkql.rows import input_of, rows_where
    from bulkql.workers.intake.requests import BulkRequest, Mode
    from bulkql.workers.operations import running
    from bulkql.workers.readers.options import EmptyCells

    if not isinstance(model, Mapping):
        resource_for(model, verb)
    given: Mapping[Any, Any] = model if isinstance(model, Mapping) else {model: rows}
    if isinstance(model, Mapping) and (rows is not None or match_by is not None or update_fields is not None):
        raise BadInput("With several models the first argument has the rows of each; do not give other rows or keys.")
    if isinstance(model, Mapping) and where is not None:
        raise BadInput("With several models there is no `where`; sync each of them by itself.")
    check_user(user)
    how = checked(options, Options.__annotations__)
    empty_cells = choice("empty_cells", EmptyCells, how.pop("empty_cells", EmptyCells.MISSING))
    mode = choice("mode", Mode, how.pop("mode", Mode.ASYNC if "start_at" in how else Mode.SYNC))
    on_error = choice("on_error", OnError, how.pop("on_error", OnError.SKIP_ROWS))
    match_by, update_fields = names("match_by", match_by), names("update_fields", update_fields)
    with ExitStack() as stack:
        inputs = [
            replace_in(
                stack.enter_context(
                    input_of(verb, resource_for(one, verb), its_rows, user, match_by, update_fields, empty_cells)
                ),
                where=None if where is None else rows_where(resource_for(one, verb), where),
                guard=guard,
            )
            for one, its_rows in given.items()
        ]
        how |= {"mode": mode, "on_error": on_error, "waits_long": True}
        request = BulkRequest(verb=verb, user=user, inputs=inputs, **how)
        with canceled_by_ctrl_c(request.operation_id):
            return BulkOperation(running.run(request))


def resource_for(model: type[Model], verb: Verb) -> BulkResource:
    """A model's resource, which must offer the verb; raises BadInput."""
    from bulkql.workers.resources.registry import resource_of

    if not isinstance(model, type) or not hasattr(model, "_meta"):
        raise BadInput(f"{shown(model)} is not a model; give the model's class.")
    resource = resource_of(model)
    if resource is None:
        app = model._meta.app_label
        raise BadInput(f"{model._meta.label} is not registered; add it to {app}/bulk.py.")
    if verb not in resource.operations:
        raise BadInput(f"{resource.name} does not offer {verb.lower()}; add it to the resource's operations.")
    return resource
