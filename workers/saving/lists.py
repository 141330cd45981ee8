"""A row's list -> the links of its instance, by Django's own manager: receivers of m2m_changed hear of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import IntegrityError, OperationalError, models

from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.frames import ROW
from bulkql.workers.images.taken import IMAGES, Images, Part, gone, taken
from bulkql.workers.resources.plan import Plan
from bulkql.workers.writers.links import in_sight, links, through

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class ListsBefore:
    """The lists of rows that are there, before their instances are saved, and what has become of them then."""

    def __init__(self, plan: Plan, there: pl.DataFrame) -> None:
        self._plan, self._there = plan, there
        self._images: dict[str, Images] = {}
        for column, *_ in plan.lists.values() if plan.keeps_images and not there.is_empty() else ():
            self._images[column.name] = taken(Part.LINK, through(column), plan.resource.database, self._links(column))

    def _links(self, column: ListColumn) -> pl.DataFrame:
        """The links of the rows as they are now: `__row`, pk (of the link)."""
        found = links(self._plan, column, self._there["pk"].to_list()).join(self._there, on="pk")
        return found.select(ROW, pk=pl.col("link").cast(pl.String))

    def images(self) -> tuple[Images, ...]:
        """What links were that are gone, and that there were none of the new ones."""
        found: list[Images] = []
        for column, *_ in self._plan.lists.values() if self._images else ():
            before, now = self._images[column.name], self._links(column)
            removed = before.rows.join(now, on="pk", how="anti")
            added = now.join(before.rows, on="pk", how="anti").with_columns(image=pl.lit(None, dtype=pl.String))
            found += [gone(replace(before, rows=removed)), replace(before, rows=added.select(*IMAGES))]
        return tuple(found)


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
