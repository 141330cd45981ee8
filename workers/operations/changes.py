"""Rows that a dry run would change -> what they were and what they would be, for some of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import models

from bulkql.workers.conf import limits
from bulkql.workers.enums import Outcome
from bulkql.workers.ledger.entries import Entry
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.rights import unreadable_fields
from bulkql.workers.resources.scope import batches
from bulkql.workers.writers.links import lists_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: A row's fields as text, by their names in GraphQL.
Image = dict[str, str | None]


class Changes:
    """Looks at the rows after they are written, and once more after they are rolled back."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Look, dict[str, Image]]] = {}

    def look(self, chunk_id: int, plan: Plan, entry: Entry, user: User | None) -> None:
        """Remember what a chunk's changed rows are now; of all chunks, BULKQL_DRY_RUN_CHANGES of them.

        What the user may not read is left out: a change that is not carried out is no way around a list query.
        """
        self._seen.pop(chunk_id, None)
        look = Look(plan, user, unreadable_fields(plan.resource, user))
        if look.unreadable >= {*plan.columns, *plan.lists}:
            return
        room = limits().dry_run_changes - sum(len(images) for _, images in self._seen.values())
        updated = entry.outcomes.filter(pl.col("outcome") == Outcome.UPDATED.value)["pk"].head(max(room, 0))
        if not updated.is_empty():
            self._seen[chunk_id] = look, images_of(look, updated.to_list())

    def told(self, chunk_id: int, entry: Entry) -> Entry:
        """The chunk's entry with `changes`: JSON [[field, before, after], ...] of the rows that were looked at."""
        if chunk_id not in self._seen:
            return entry
        look, after = self._seen[chunk_id]
        before = images_of(look, list(after))
        told = {pk: json.dumps(differences(before.get(pk, {}), image)) for pk, image in after.items()}
        column = pl.col("pk").replace_strict(told, default=None, return_dtype=pl.String)
        is_updated = pl.col("outcome") == Outcome.UPDATED.value
        outcomes = entry.outcomes.with_columns(changes=pl.when(is_updated).then(column))
        return replace(entry, outcomes=outcomes)


@dataclass(frozen=True, slots=True)
class Look:
    """Whose look at rows it is."""

    plan: Plan
    user: User | None
    unreadable: frozenset[str]


def images_of(look: Look, pks: list[str]) -> dict[str, Image]:
    """What the user may read of these rows of the table as they are now, by their primary key as text."""
    plan = look.plan
    rows = plan.resource.model._base_manager.using(plan.resource.database)
    columns = [one for one in plan.columns.values() if one.name not in look.unreadable]
    images = {
        str(row.pk): {one.graphql_name: field_text(one.field, row) for one in columns}
        for some in batches([plan.resource.pk.value_field.to_python(pk) for pk in pks])
        for row in rows.filter(pk__in=some)
    }
    for column in (one for one, *_ in plan.lists.values() if one.name not in look.unreadable):
        lists = lists_of(plan, column, list(images), look.user)
        for pk, image in images.items():
            image[column.graphql_name] = json.dumps(lists.get(pk, []))
    return images


def field_text(field: models.Field[Any, Any], row: models.Model) -> str | None:
    """A field's value as Django serialises it."""
    value = getattr(row, field.attname)
    if value is None:
        return None
    try:
        text: Any = field.value_to_string(row)
    except Exception:  # a field's code may raise anything: a BinaryField that decrypts to a text has one for bytes
        text = str(value)
    return text if isinstance(text, str) else json.dumps(text, default=str)


def differences(before: Image, after: Image) -> list[tuple[str, str | None, str | None]]:
    return [(name, before.get(name), text) for name, text in after.items() if before.get(name) != text]
