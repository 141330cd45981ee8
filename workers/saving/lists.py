"""A row's list -> the links of its instance, by Django's own manager: receivers of m2m_changed hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import IntegrityError, OperationalError, models

from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.resources.plan import Plan
from bulkql.workers.writers.links import in_sight, links

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def list_changed(
    plan: Plan, column: ListColumn, instance: models.Model, targets: Any, outcome: Outcome, user: User | None
) -> bool:
    """Set one list of a row, if it is to be set; whether that changed it. Targets out of the user's sight stay.

    Raises OperationalError where a target went since it was resolved: the next try will see.
    """
    if not is_to_set(plan, column, targets, outcome):
        return False
    wanted = {str(key): key for key in (() if targets in (..., None) else targets)}
    found = links(plan, column, [str(instance.pk)])
    old = set(found["target"])
    superfluous = in_sight(plan, column, found.filter(~pl.col("target").is_in(list(wanted))), user)["target"]
    removed = [column.value_field.to_python(text) for text in superfluous]
    added = [key for text, key in wanted.items() if text not in old]
    manager: Any = getattr(instance, column.field.name)
    if removed:
        manager.remove(*removed)
    try:
        if added:
            manager.add(*added)
    except IntegrityError as error:
        raise OperationalError("a target of a list is gone") from error.__cause__
    return bool(removed or added)


def is_to_set(plan: Plan, column: ListColumn, targets: Any, outcome: Outcome) -> bool:
    """Rows that give the list; a replacement that does not empties it."""
    is_given = targets is not ... or (plan.verb == Verb.REPLACE and column.name not in plan.read_only)
    is_meant = plan.update_fields is None or column.name in plan.update_fields
    return is_given and (is_meant or outcome == Outcome.CREATED)
