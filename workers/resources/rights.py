"""A resource and a user -> what of it this user may read and write."""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import CASCADE
from django.db.models.deletion import get_candidate_relations_to_delete

from bulkql.workers.columns.column import Column
from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.enums import Approval, Verb
from bulkql.workers.resources.registry import BulkResource, resource_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


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
