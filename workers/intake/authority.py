"""Whether the user of an operation may still do what was asked: while it waits, and while it is written.

An operation may take hours. Who is deleted, deactivated or loses a permission meanwhile writes nothing more.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING
from uuid import UUID

from bulkql.workers.conf import limits
from bulkql.workers.enums import Verb
from bulkql.workers.errors import Forbidden
from bulkql.workers.models import Input, Operation
from bulkql.workers.resources.registry import BulkResource, resource_named
from bulkql.workers.resources.rights import check_may_apply, check_permissions

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Until when this process takes a permission for given, by operation and resource.
_granted: dict[tuple[UUID, str, bool], float] = {}


def grant(stored: Input) -> None:
    """A permission was asked for just now, and is taken for given for BULKQL_AUTHORITY_SECONDS."""
    now = monotonic()
    # Most operations end in another process, which alone hears of it: forget those that have been quiet.
    for known in [known for known, until in list(_granted.items()) if until <= now]:
        _granted.pop(known, None)
    _granted[key_of_grant(stored)] = now + limits().authority_seconds


def key_of_grant(stored: Input) -> tuple[UUID, str, bool]:
    """What one permission was given for: to write a resource's rows, or to delete those that a sync misses."""
    return stored.operation_id, stored.resource, stored.removes


def is_granted(stored: Input) -> bool:
    """Whether this process need not ask yet."""
    return _granted.get(key_of_grant(stored), 0) > monotonic()


def check_authority(stored: Input) -> None:
    """Whether the operation's user may go on with an input; raises Forbidden with the reason.

    `stored.operation.created_by` must be as the database has it now. Its permissions, which take statements of their
    own, are asked for once in BULKQL_AUTHORITY_SECONDS.
    """
    user = active_user(stored.operation)
    if is_granted(stored):
        return
    verb = Verb.DELETE if stored.removes else Verb(stored.operation.verb)
    check_still_permitted(user, verb, resource_named(stored.resource), applies=stored.operation.applied_from_id)
    grant(stored)


def check_authority_again(stored: Input) -> None:
    """The same for an input that was read from the database a while ago; raises Forbidden."""
    if not is_granted(stored):
        check_authority(Input.objects.select_related("operation__created_by").get(pk=stored.pk))


def active_user(operation: Operation) -> User:
    """The user who asked for an operation; raises Forbidden where there is none to answer for it."""
    user = operation.created_by
    if user is None:
        raise Forbidden("The user who sent this operation was deleted. Rows that were not written by then are skipped.")
    if not user.is_active:
        raise Forbidden(
            f"The user {user.get_username()} was deactivated. Rows that were not written by then are skipped; "
            "activate the user again, and retry the operation."
        )
    return user


def check_still_permitted(user: User, verb: Verb, resource: BulkResource, applies: UUID | None) -> None:
    """What was permitted when the operation was accepted may be so no more; raises Forbidden. `applies`: a plan."""
    try:
        check_permissions(user, verb, resource)
        if applies is not None:
            check_may_apply(user)
    except Forbidden as lacking:
        raise Forbidden(
            f"{lacking} The user {user.get_username()} lost it while the operation was waiting or being written. "
            "Rows that were not written by then are skipped; give the permission back, and retry the operation."
        ) from None
