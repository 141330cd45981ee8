"""A resource and a user -> what of it this user may read and write."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import CASCADE
from django.db.models.deletion import get_candidate_relations_to_delete

from bulkql.workers.columns.column import Column
from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.enums import Approval, Verb
from bulkql.workers.errors import BadInput, Forbidden
from bulkql.workers.resources.registry import BulkResource, registered, resource_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


#: The model's Django permissions that an operation takes.
PERMISSIONS = {
    Verb.CREATE: ("add",),
    Verb.UPDATE: ("change",),
    Verb.REPLACE: ("change",),
    Verb.UPSERT: ("add", "change"),
    Verb.DELETE: ("delete",),
    Verb.SYNC: ("add", "change"),  # and "delete", where it deletes what is missing
    Verb.EXPORT: ("view",),
    Verb.REVERT: (),  # those of what it undoes: workers/operations/revert.py, and for each row workers/reverting/
}
#: Django's permission to apply plans.
APPLY = "bulkql.apply_operation"


def permission_to(action: str, model: type[models.Model]) -> str:
    """Django's name of a permission: ledger.delete_financialaccount."""
    return f"{model._meta.app_label}.{action}_{model._meta.model_name}"


def may(user: User | AnonymousUser | None, action: str, model: type[models.Model]) -> bool:
    """Whether a user has a model's permission; nobody, or a user who has been deleted, has none."""
    return user is not None and user.has_perm(permission_to(action, model))


def has_field_rights(resource: BulkResource) -> bool:
    """Whether the resource tells users apart by its fields, or has fields that nobody reads."""
    rules = type(resource)
    is_written = rules.writable_fields is not BulkResource.writable_fields
    return is_written or rules.readable_fields is not BulkResource.readable_fields or bool(resource.write_only)


def tells_users_apart(resource: BulkResource) -> bool:
    """Whether what rows may give depends on the user, here or where its columns name targets by their keys."""
    named = (one for columns in (*resource.naming_columns.values(), *resource.lists.values()) for one in columns)
    targets = (resource_of(model_named_by(one)) for one in named if one.names is not None)
    return has_field_rights(resource) or any(target is not None and has_field_rights(target) for target in targets)


def read_only(resource: BulkResource, user: User | None) -> frozenset[str]:
    """The fields that this user may not write."""
    if not has_field_rights(resource):
        return frozenset()
    return frozenset(resource.fields) - frozenset(resource.writable_fields(user))


def write_only(resource: BulkResource, user: User | None) -> frozenset[str]:
    """The fields that this user may not read, filter by or find rows by."""
    if not has_field_rights(resource):
        return frozenset()
    return (frozenset(resource.fields) - frozenset(resource.readable_fields(user))) | resource.write_only


def unreadable_fields(resource: BulkResource, user: User | None) -> frozenset[str]:
    """The same, where nothing of a model may be read without Django's permission to view it."""
    if may(user, "view", resource.model):
        return write_only(resource, user)
    return frozenset((*resource.fields, resource.pk.name))


def unnamable(resource: BulkResource, user: User | None) -> frozenset[str]:
    """The columns that would find a target by a field that this user may not read: account.name."""
    found: set[str] = set()
    for columns in (*resource.naming_columns.values(), *resource.lists.values()):
        for one in columns:
            target = resource_of(model_named_by(one)) if one.names is not None else None
            if target is not None and write_only(target, user) & names_in(one):
                found.add(one.name)
    return frozenset(found)


def model_named_by(column: Column) -> type[models.Model]:
    """The model whose rows a column names by a key."""
    return column.keys[0][0].field.model if isinstance(column, ListColumn) else column.field.model


def names_in(column: Column) -> set[str]:
    """The fields of that model by which it names them."""
    return {one.field.name for one in column.parts} if isinstance(column, ListColumn) else {column.field.name}


def needs_approval(resource: BulkResource, verb: Verb) -> bool:
    """Whether another user has to agree to this: also to a delete that takes rows along of which that is so."""
    if resource.approval == Approval.BY_ANOTHER:
        return verb != Verb.EXPORT
    if verb != Verb.DELETE:
        return False
    others = (resource_of(model) for model, _ in cascading(resource.model))
    return any(other is not None and other.approval == Approval.BY_ANOTHER for other in others)


@cache
def cascading(model: type[models.Model]) -> list[tuple[type[models.Model], str]]:
    """The models whose rows go along with a model's, each with a lookup that leads back to it: toy__shelf.

    Each relation comes once, by a shortest way: all ways through a large project's models would be too many.
    """
    found: list[tuple[type[models.Model], str]] = []
    seen, waiting = {model}, deque([(model, "")])
    while waiting:
        parent, path = waiting.popleft()
        # Relations, which the stubs take for fields.
        relations: Any = get_candidate_relations_to_delete(parent._meta)
        for field in (relation.field for relation in relations):
            other = field.model
            # Links of lists go with their row: they are a part of it.
            if field.remote_field.on_delete is CASCADE and not other._meta.auto_created:
                back = f"{field.name}__{path}" if path else field.name
                found.append((other, back))
                if other not in seen:
                    seen.add(other)
                    waiting.append((other, back))
    return found


def check_permissions(user: User, verb: Verb, resource: BulkResource) -> None:
    """Whether the user may do this to the resource's rows; raises Forbidden."""
    for action in PERMISSIONS[verb]:
        if not may(user, action, resource.model):
            permission = permission_to(action, resource.model)
            raise Forbidden(f"{verb.title()} of {resource.name} needs the permission {permission}.")


def check_may_still(user: User, verb: Verb, resource: BulkResource) -> None:
    """What was allowed once may be so no more, or not to this user; raises BadInput, Forbidden."""
    if verb not in resource.operations:
        raise BadInput(f"{resource.name} no longer offers {verb}; see the operations of its BulkResource.")
    check_permissions(user, verb, resource)


def check_needs_no_plan(verb: Verb, resource: BulkResource) -> None:
    """Whether rows may be written as they are asked for; raises Forbidden where another user has to agree."""
    if needs_approval(resource, verb):
        raise Forbidden(
            f"{verb.title()} of {resource.name} needs the approval of another user: send it with dryRun: true, and let "
            f"somebody who has the permission {APPLY} apply that plan (applyOperation)."
        )


def check_writes_freely(resource: BulkResource) -> None:
    """A revert is no plan that somebody else could apply; raises Forbidden where rows are written by plans alone."""
    if needs_approval(resource, Verb.DELETE):
        raise Forbidden(
            f"Rows of {resource.name} are written by plans that another user applies, and a revert is none; make a "
            f"plan of the rows as they were (dryRun: true)."
        )


def check_may_apply(user: User) -> None:
    """Whether the user may apply plans at all; raises Forbidden."""
    if not user.has_perm(APPLY):
        raise Forbidden(f"Applying a plan needs the permission {APPLY}.")


def check_may_upload(user: User) -> None:
    """Whether there is anything that the user could do with a file; raises Forbidden."""
    for resource in registered():
        for verb in filter(lambda one: one.takes_rows, resource.operations):
            with suppress(Forbidden):
                check_permissions(user, verb, resource)
                return
    raise Forbidden("An upload needs a permission to write some resource's rows: its model's add_, change_ or delete_.")
