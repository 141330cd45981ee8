"""What Django's collector is about to delete or to change along with rows -> its images, each under the row that it
goes along with.

Foreign keys tell which row took which along: those who point to a deleted row went because of it, or because of that
which took it along in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
from django.db import connections, models
from django.db.models.deletion import Collector

from bulkql.workers.columns.copied import frame_of
from bulkql.workers.conf import limits
from bulkql.workers.frames import ROW, ROW_NUMBER
from bulkql.workers.images.literals import image_columns, literal
from bulkql.workers.images.marks import both, rows_by_pk
from bulkql.workers.images.taken import IMAGES, Images, Part, gone

#: Values of a column of a table, as text, and the row of the chunk that their rows go along with.
OWNERS = {"value": pl.String, ROW: ROW_NUMBER}


@dataclass(frozen=True, slots=True)
class Fellows:
    """Rows of a model that go along: pk, image, and the columns that point or are pointed to, as text."""

    model: type[models.Model]
    rows: pl.DataFrame


def images_along(collector: Collector, model: type[models.Model], there: pl.DataFrame) -> list[Images] | None:
    """The images of all rows that go along with those of a model (`__row`, pk); None where they are too many to keep.

    The rows are locked by that. Those of the model itself are not among them.
    """
    if there.is_empty():
        return []
    alias = collector.using
    going = keys_of_fellows(collector, model, there)
    pointing = list(fields_updated(collector, alias))
    if sum(map(len, going.values())) + sum(len(pks) for _, pks in pointing) > limits().image_rows:
        return None
    fellows = [fellows_of(one, alias, pks) for one, pks in going.items()]
    owners = Owners(model, there, alias)
    owned = owners.settle(fellows)
    found = [
        gone(Images(Part.GONE, one.model, image_columns(one.model), rows.select(*IMAGES)))
        for one, rows in zip(fellows, owned, strict=True)
    ]
    for field, pks in pointing:
        column = str(field.column)
        pointers = fellows_of(field.model, alias, pks, (column,))
        (rows,) = owners.settle([pointers])
        # What is deleted after all has all of its columns in its image.
        stays = ~pl.col("pk").is_in(list(going.get(concrete(field.model), ())))
        found.append(Images(Part.POINTING, field.model, (column,), rows.filter(stays).select(*IMAGES)))
    return [one for one in found if not one.rows.is_empty()]


def concrete(model: type[models.Model]) -> type[models.Model]:
    """The model that has the table."""
    found = model._meta.concrete_model
    assert found is not None
    return found


def keys_of_fellows(
    collector: Collector, model: type[models.Model], there: pl.DataFrame
) -> dict[type[models.Model], list[str]]:
    """The primary keys, as text, of all rows that go along, by their model."""
    found: dict[type[models.Model], dict[str, None]] = {}
    for one, instances in collector.data.items():
        found.setdefault(concrete(one), {}).update({str(instance.pk): None for instance in instances})
    # Private to Django, so not in the stubs: querysets of rows that need no look.
    for rows in collector.fast_deletes:  # type: ignore[attr-defined,unused-ignore]
        pks = rows.values_list("pk", flat=True)
        found.setdefault(concrete(rows.model), {}).update({str(pk): None for pk in pks})
    # The tables from which a model inherits have a part of the row itself.
    for one in (concrete(model), *model._meta.all_parents):
        for pk in there["pk"] if one in found else ():
            found[one].pop(pk, None)
    return {one: list(pks) for one, pks in found.items() if pks}


def fields_updated(collector: Collector, alias: str) -> Iterator[tuple[Any, list[str]]]:
    """The foreign keys that are set to something else (SET_NULL, SET_DEFAULT), each with the rows that have it."""
    updates: Any = collector.field_updates
    for (field, _), groups in updates.items():
        pks = {str(one.pk): None for group in groups for one in group}
        if pks:
            yield field, list(pks)


def fellows_of(
    model: type[models.Model], alias: str, pks: list[str], columns: tuple[str, ...] | None = None
) -> Fellows:
    """Rows by their primary keys, with their images, locked."""
    quote = connections[alias].ops.quote_name
    keys = keys_in(model)
    shown = ", ".join(f"t.{quote(name)}::text" for name in keys)
    sql = (
        f"SELECT s.pk, {literal(alias, columns or image_columns(model))}, {shown}"  # noqa: S608
        f" FROM {rows_by_pk(model, alias)} ORDER BY s.pk FOR UPDATE OF t"
    )
    schema = dict.fromkeys(["pk", "image", *map(key_name, keys)], pl.String)
    return Fellows(model, frame_of(alias, sql, both(pks), schema))


def key_name(column: str) -> str:
    return f"key:{column}"


def keys_in(model: type[models.Model]) -> list[str]:
    """The columns of a model's own table that point, or may be pointed to."""
    fields = concrete(model)._meta.local_concrete_fields
    return [str(field.column) for field in fields if field.is_relation or field.unique]


class Owners:
    """Knows with which row of the chunk other rows go along."""

    def __init__(self, model: type[models.Model], there: pl.DataFrame, alias: str) -> None:
        self._known: dict[tuple[str, str], pl.DataFrame] = {}
        self._first = there[ROW][0]
        roots = fellows_of(model, alias, there["pk"].to_list())
        self._learn(model, roots.rows.join(there.select(ROW, "pk"), on="pk"))
        for parent in model._meta.all_parents:
            self._know(parent._meta.db_table, str(parent._meta.pk.column), there.select(ROW, value="pk"))

    def settle(self, fellows: list[Fellows]) -> list[pl.DataFrame]:
        """The rows of each with their `__row`. Whose way nobody knows go along with the first one."""
        found = [one.rows.with_columns(pl.lit(None, dtype=ROW_NUMBER).alias(ROW)) for one in fellows]
        is_new = True
        while is_new:
            is_new = False
            for place, one in enumerate(fellows):
                before = found[place][ROW].null_count()
                if before:
                    found[place] = self._look(one.model, found[place])
                    if found[place][ROW].null_count() < before:
                        is_new = True
                        self._learn(one.model, found[place].drop_nulls(ROW))
        return [rows.with_columns(pl.col(ROW).fill_null(self._first)) for rows in found]

    def _look(self, model: type[models.Model], rows: pl.DataFrame) -> pl.DataFrame:
        """Follow each of a model's foreign keys by one step."""
        for field in concrete(model)._meta.local_concrete_fields:
            if isinstance(field, models.ForeignKey):
                target = field.target_field
                known = self._known.get((target.model._meta.db_table, str(target.column)))
                if known is not None:
                    key = key_name(str(field.column))
                    rows = (
                        rows.join(known.rename({"value": key, ROW: "found"}), on=key, how="left", maintain_order="left")
                        .with_columns(pl.coalesce(ROW, "found").alias(ROW))
                        .drop("found")
                    )
        return rows

    def _learn(self, model: type[models.Model], rows: pl.DataFrame) -> None:
        """Whoever points to one of these rows goes along with it."""
        for column in keys_in(model):
            self._know(concrete(model)._meta.db_table, column, rows.select(ROW, value=key_name(column)))

    def _know(self, table: str, column: str, rows: pl.DataFrame) -> None:
        new = rows.drop_nulls("value").select(*OWNERS)
        old = self._known.get((table, column))
        self._known[table, column] = (new if old is None else pl.concat([old, new])).unique("value", keep="first")
