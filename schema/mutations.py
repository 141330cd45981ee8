"""The bulk mutations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry
from asgiref.sync import sync_to_async
from django.urls import reverse
from strawberry.types import Info

from bulkql.schema.checks.selection import check_selection
from bulkql.schema.context import Context, user_of
from bulkql.schema.inputs import bulk_input_type
from bulkql.schema.lists.exports import exports_of
from bulkql.schema.operations.deliveries import Delivery, delivery_for, delivery_of
from bulkql.schema.operations.listing import moment
from bulkql.schema.options import ApplyOptions, BulkOptions
from bulkql.schema.permissions import operation_for, readable_operation
from bulkql.schema.requests import inputs_of
from bulkql.schema.scalars import BigInt
from bulkql.schema.types import BulkOperation, committed, snapshot
from bulkql.workers.enums import OnError, Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.intake.requests import BulkRequest, Mode
from bulkql.workers.operations import running, steering
from bulkql.workers.operations.applying import ApplyRequest, apply_plan
from bulkql.workers.operations.retry import retry
from bulkql.workers.operations.revert import RevertOptions, revert
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.resources.rights import check_may_upload
from bulkql.workers.uploads import uploads
from bulkql.workers.webhooks import deliveries


@strawberry.type(description="A name and a value.")
class Header:
    name: str = strawberry.field(description="The header's name.")
    value: str = strawberry.field(description="The header's value.")


@strawberry.type(
    description="An upload: send the bytes of the file to `url` with `method`, at once, or in several steps by tus."
)
class CreatedUpload:
    id: strawberry.ID = strawberry.field(description="For FileInput.uploadId.")
    url: str = strawberry.field(description="Where to send the bytes.")
    method: str = strawberry.field(description="The HTTP method: PUT.")
    headers: list[Header] = strawberry.field(description="Headers to send along, besides your authorization.")
    expires_at: datetime = strawberry.field(description="Until when bytes are accepted.")
    tus_resumable: str = strawberry.field(
        description="The version of tus that `url` also supports, for large files and unreliable connections: HEAD "
        "returns how many bytes are stored, PATCH continues from there. Give `url` to a tus client as its upload URL."
    )


#: https://tus.io/protocols/resumable-upload
TUS_VERSION = "1.0.0"

Id = Annotated[strawberry.ID, strawberry.argument(description="The operation's id.")]
DeliveryId = Annotated[strawberry.ID, strawberry.argument(description="The id of one of an operation's deliveries.")]
Options = Annotated[BulkOptions | None, strawberry.argument(description="How the operation is carried out.")]
Force = Annotated[bool, strawberry.argument(description="Whether rows that have changed since are undone too.")]
Plan = Annotated[strawberry.ID, strawberry.argument(description="The plan's id.")]
HowToApply = Annotated[ApplyOptions | None, strawberry.argument(description="How the plan is carried out.")]
Name = Annotated[str, strawberry.argument(description="The file's name; its ending determines the format.")]
Size = Annotated[
    BigInt | None,
    strawberry.argument(description="The size in bytes, if known; a file of another size is then refused."),
]


# All of them are nullable: one that fails must not take the answers of its neighbours with it, which are committed.
@strawberry.type(description="Everything that changes data.")
class CommonMutation:
    @strawberry.mutation(description="Stop an operation at its next chunk. What is written stays, the rest is SKIPPED.")
    async def cancel_operation(self, info: Info[Context, None], id: Id) -> BulkOperation | None:
        return await sync_to_async(steered)(info, id, steering.cancel)

    @strawberry.mutation(
        description="Pause an operation: chunks in progress are finished, and no others are begun. It stays PAUSED, "
        "and is "
        "kept, until it is resumed or canceled. If it is written in one transaction, it cannot be paused once that "
        "begins."
    )
    async def pause_operation(self, info: Info[Context, None], id: Id) -> BulkOperation | None:
        return await sync_to_async(steered)(info, id, steering.pause)

    @strawberry.mutation(description="Continue a PAUSED operation where it stopped.")
    async def resume_operation(self, info: Info[Context, None], id: Id) -> BulkOperation | None:
        return await sync_to_async(steered)(info, id, steering.resume)

    @strawberry.mutation(description="Write the rows that an operation left FAILED or SKIPPED, as a new operation.")
    async def retry_operation(self, info: Info[Context, None], id: Id) -> BulkOperation | None:
        return await sync_to_async(retry_rows)(info, id)

    @strawberry.mutation(
        description="Undo what an operation wrote, as a new operation: created rows are deleted, changed ones "
        "restored, deleted ones brought back. A row that has changed since is left as it is (CONFLICT), unless `force`."
    )
    async def revert_operation(
        self, info: Info[Context, None], id: Id, force: Force = False, options: Options = None
    ) -> BulkOperation | None:
        return await sync_to_async(revert_rows)(info, id, force, options)

    @strawberry.mutation(
        description="Carry out a plan, which is a dry run: once, and exactly as shown. Rows of the table that have "
        "changed since are CONFLICT row errors, and not written."
    )
    async def apply_operation(
        self, info: Info[Context, None], id: Plan, options: HowToApply = None
    ) -> BulkOperation | None:
        return await sync_to_async(apply)(info, id, options)

    @strawberry.mutation(description="Send a webhook of an operation that is over again now.")
    async def resend_webhook(self, info: Info[Context, None], id: DeliveryId) -> Delivery | None:
        return await sync_to_async(send_again)(info, id)

    @strawberry.mutation(description="Announce a file of any size, to be sent to the URL in the answer.")
    async def create_upload(self, info: Info[Context, None], name: Name, size: Size = None) -> CreatedUpload | None:
        return await sync_to_async(announce)(info, name, size)


def mutation_type(resources: list[BulkResource]) -> type:
    """The mutations for these resources; where none offers an operation, GraphQL allows no input for it."""
    namespace = {
        f"bulk_{verb.lower()}": bulk_mutation(verb, bulk_input_type(verb, resources), description)
        for verb, description in DESCRIPTIONS.items()
        if any(verb in resource.operations for resource in resources)
    }
    return strawberry.type(type("Mutation", (CommonMutation,), namespace), description="Everything that changes data.")


DESCRIPTIONS = {
    Verb.CREATE: "Create rows. Bad rows are named in rowErrors, and do not affect the others.",
    Verb.UPDATE: "Change the fields that rows give, and leave the others as they are (PATCH).",
    Verb.REPLACE: "Set all fields of rows: those that a row does not give get their defaults (PUT).",
    Verb.UPSERT: "Change existing rows, and create the others.",
    Verb.DELETE: "Delete rows, and everything that Django's on_delete rules delete along with them.",
    Verb.SYNC: "Make the table, or the part of it that `where` selects, equal to the rows: change existing rows, "
    "create the others and, with deleteMissing, delete those that the rows do not name.",
    Verb.EXPORT: "Write rows to files, one for each resource; `files` has them when the operation is over. Few rows "
    "are exported at once.",
}


def bulk_mutation(verb: Verb, input_type: Any, description: str) -> Any:
    """A mutation of one verb."""

    async def resolve(info: Info[Context, None], input: Any, options: Options = None) -> BulkOperation | None:
        return await sync_to_async(perform)(info, verb, input, options)

    resolve.__annotations__ = {
        "info": Info,
        "input": Annotated[input_type, strawberry.argument(description="The rows, by resource.")],
        "options": Options,
        "return": BulkOperation | None,
    }
    return strawberry.mutation(resolver=resolve, description=description)


def perform(info: Info[Context, None], verb: Verb, given: Any, options: BulkOptions | None) -> BulkOperation:
    """One bulk mutation, in one thread: a client that goes away leaves a whole operation or none."""
    user = user_of(info)
    check_selection(info)
    options = options or BulkOptions()
    key = str(info.path.key)
    lists = {name: found for (mutation, name), found in info.context.rows.items() if mutation == key}
    request = BulkRequest(
        verb=verb,
        user=user,
        inputs=exports_of(given, user, info) if verb == Verb.EXPORT else inputs_of(verb, given, lists, user, info),
        mode=options.mode or Mode.AUTO,
        on_error=options.on_error or OnError.SKIP_ROWS,
        dry_run=bool(options.dry_run),
        chunk_size=options.chunk_size,
        skip_existing=bool(options.skip_existing),
        start_at=moment("startAt", options.start_at),
        max_rows_per_second=options.max_rows_per_second,
        webhook_url=options.webhook_url,
        label=options.label or "",
        idempotency_key=options.idempotency_key,
    )
    return committed(running.run(request))


def steered(info: Info[Context, None], operation_id: str, step: Callable[[UUID], None]) -> BulkOperation:
    """Cancel, pause or resume an operation that the user may see."""
    operation = operation_for(user_of(info), operation_id)
    check_selection(info)
    step(operation.pk)
    operation.refresh_from_db()
    return snapshot(operation)


def send_again(info: Info[Context, None], delivery_id: str) -> Delivery:
    """Send a webhook of an operation that the user may see again."""
    stored = delivery_for(user_of(info), delivery_id)
    check_selection(info)
    deliveries.resend(stored)
    stored.refresh_from_db()
    return delivery_of(stored)


def retry_rows(info: Info[Context, None], operation_id: str) -> BulkOperation:
    """Retry what is left of an operation that the user may see."""
    user = user_of(info)
    operation = operation_for(user, operation_id)
    check_selection(info)
    return committed(retry(operation, user))


def revert_rows(
    info: Info[Context, None], operation_id: str, force: bool, options: BulkOptions | None
) -> BulkOperation:
    """Revert an operation that the user may see."""
    user = user_of(info)
    operation = operation_for(user, operation_id)
    check_selection(info)
    given = options or BulkOptions()
    if given.skip_existing:
        raise BadInput("skipExisting is for rows to create, and a revert brings back what was there. Leave it out.")
    how = RevertOptions(
        forces=force,
        mode=given.mode or Mode.AUTO,
        on_error=given.on_error or OnError.SKIP_ROWS,
        dry_run=bool(given.dry_run),
        chunk_size=given.chunk_size,
        label=given.label or "",
        idempotency_key=given.idempotency_key,
        start_at=moment("startAt", given.start_at),
        max_rows_per_second=given.max_rows_per_second,
        webhook_url=given.webhook_url,
    )
    return committed(revert(operation, user, how))


def apply(info: Info[Context, None], plan_id: str, options: ApplyOptions | None) -> BulkOperation:
    """Apply a plan that the user may see."""
    user = user_of(info)
    plan = readable_operation(user, plan_id)
    check_selection(info)
    options = options or ApplyOptions()
    key = options.idempotency_key
    return committed(
        apply_plan(
            ApplyRequest(plan=plan, user=user, mode=options.mode or Mode.AUTO, label=options.label, idempotency_key=key)
        )
    )


def announce(info: Info[Context, None], name: str, size: int | None) -> CreatedUpload:
    """A new upload and the way to fill it."""
    user = user_of(info)
    check_may_upload(user)
    upload = uploads.announce(user, name, size)
    return CreatedUpload(
        id=strawberry.ID(str(upload.id)),
        url=info.context.base_url + reverse("bulkql:upload", args=[upload.id]),
        method="PUT",
        headers=[Header(name="Content-Type", value="application/octet-stream")],
        expires_at=uploads.expires_at(upload),
        tus_resumable=TUS_VERSION,
    )
