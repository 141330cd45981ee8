"""A many-to-many field of an export -> the rows of its table, as far as the user may see whom they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import QuerySet

from bulkql.workers.exports.fields import ExportField
from bulkql.workers.resources.registry import resource_of
from bulkql.workers.resources.scope import is_all, pks_of, targets_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class ListMembers:
    """Who is in which list, by the lists' own order: that of the members' primary keys."""

    #: Rows of the table between the two.
    rows: QuerySet[Any]
    #: Its foreign key to the row that has the list, and the path from there to what tells a member.
    owner: str
    member: str
    #: The path from an exported row to the one that has the list.
    way: str


def members_of(model: type[models.Model], field: ExportField, user: User | None) -> ListMembers:
    """The members of a field's lists, for rows of a model."""
    *way, name = field.path.split("__")
    owner: Any = model
    for step in way:
        owner = owner._meta.get_field(step).related_model
    relation, resource = owner._meta.get_field(name), resource_of(owner)
    assert resource is not None
    assert field.member is not None
    here, there = relation.m2m_field_name(), relation.m2m_reverse_field_name()
    rows = relation.remote_field.through._base_manager.using(resource.database).order_by(f"{there}__pk")
    seen = targets_of(resource, relation, user)
    if not is_all(seen):
        rows = rows.filter(**{f"{there}__pk__in": pks_of(seen)})
    return ListMembers(rows, here, f"{there}__{field.member}", "__".join([*way, "pk"]))
