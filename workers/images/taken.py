"""Rows that are about to be written -> their images, which stand in the ledger beside what became of the rows.

An image is a row of the table as PostgreSQL itself writes it, and it comes back to the byte. Beside it stands the mark
of what the row became, by which is known later whether somebody changed it since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import polars as pl
from cryptography.fernet import InvalidToken
from django.apps import apps
from django.db import models

from bulkql.workers.columns.copied import frame_of
from bulkql.workers.enums import Outcome
from bulkql.workers.errors import HookFailed
from bulkql.workers.frames import ROW, ROW_NUMBER, pack, unpack
from bulkql.workers.images.literals import image_columns, literal, tables_of
from bulkql.workers.images.marks import both, marks_of, rows_by_pk
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import resource_of
from bulkql.workers.validation.sealing import fernet

#: `__row`: the row of the chunk that did it; the primary key as text; and the image, null where there was no row.
IMAGES = {ROW: ROW_NUMBER, "pk": pl.String, "image": pl.String}


class Part(StrEnum):
    """Which part of what a row of the request did to the database."""

    #: To the row of the resource itself.
    OWN = "OWN"
    #: To a row that was deleted along with it.
    GONE = "GONE"
    #: To a foreign key of a row that pointed to it.
    POINTING = "POINTING"
    #: To a link of one of its lists.
    LINK = "LINK"


@dataclass(frozen=True, slots=True)
class Images:
    """Rows of one table before they were written. `columns` are those of the table that stand in the images.

    `rows`: `__row`, pk, image and, once all is written, mark: what the row is now, null where it is gone.
    """

    part: Part
    model: type[models.Model]
    columns: tuple[str, ...]
    rows: pl.DataFrame


def own_images(plan: Plan, there: pl.DataFrame) -> tuple[Images, ...]:
    """Those of rows that were matched with their images (`__row`, pk, image), if images are kept."""
    if not plan.keeps_images or there.is_empty():
        return ()
    # Those of a sync that are as they are sent have none.
    rows = there.select(*IMAGES).drop_nulls("image")
    return (Images(Part.OWN, plan.resource.model, image_columns(plan.resource.model), rows),)


def own_images_now(plan: Plan, there: pl.DataFrame) -> tuple[Images, ...]:
    """Those of rows that are there (`__row`, pk), asked for by a statement of their own, if images are kept."""
    if not plan.keeps_images or there.is_empty():
        return ()
    model = plan.resource.model
    return tuple(taken(Part.OWN, one, plan.resource.database, there) for one in tables_of(model))


def taken(
    part: Part,
    model: type[models.Model],
    alias: str,
    rows: pl.DataFrame,
    columns: Sequence[str] | None = None,
) -> Images:
    """The images of rows of a table (`__row`, pk), which are locked by that."""
    wanted = image_columns(model) if columns is None else tuple(columns)
    sql = (
        f"SELECT s.place - 1, {literal(alias, wanted)} FROM {rows_by_pk(model, alias)}"  # noqa: S608
        " ORDER BY s.pk FOR UPDATE OF t"
    )
    found = frame_of(alias, sql, both(rows["pk"]), {"place": pl.Int64, "image": pl.String})
    placed = rows.select(ROW, "pk").with_columns(place=pl.int_range(pl.len(), dtype=pl.Int64))
    return Images(part, model, wanted, placed.join(found, on="place", maintain_order="left").select(*IMAGES))


def image_sql(plan: Plan) -> str:
    """The image of a row `t` of the resource's table, for a statement that looks at it anyway; null if none is kept."""
    if not plan.keeps_images:
        return "NULL::text"
    return literal(plan.resource.database, image_columns(plan.resource.model))


def of_written(plan: Plan, outcomes: pl.DataFrame, images: Sequence[Images], earlier: Sequence[Images]) -> list[Images]:
    """The images of a chunk, once all of it is written: with the marks of what its rows are now.

    `outcomes`: `__row`, outcome, pk; `earlier` are images that were taken before the others, and count where a row has
    both.
    """
    if not plan.keeps_images:
        return []
    alias, model = plan.resource.database, plan.resource.model
    found: list[Images] = []
    if images:
        is_touched = pl.col("outcome").is_in([Outcome.UPDATED.value, Outcome.DELETED.value])
        touched = outcomes.filter(is_touched)[ROW]
        found = [replace(one, rows=one.rows.filter(pl.col(ROW).is_in(touched.implode()))) for one in images]
        found = [with_earlier(one, earlier) for one in found]
    created = outcomes.filter(pl.col("outcome") == Outcome.CREATED.value)
    if not created.is_empty():
        new = created.select(ROW, "pk", image=pl.lit(None, dtype=pl.String))
        found += [Images(Part.OWN, one, image_columns(one), new) for one in tables_of(model)]
    return [marked(one, alias) for one in gathered(found) if not one.rows.is_empty()]


def gathered(images: Sequence[Images]) -> list[Images]:
    """Those of one kind as one, so that one statement marks them all."""
    groups: dict[object, list[Images]] = {}
    for one in images:
        groups.setdefault((one.part, one.model, one.columns, tuple(one.rows.columns)), []).append(one)
    return [
        some[0] if len(some) == 1 else replace(some[0], rows=pl.concat([one.rows for one in some]))
        for some in groups.values()
    ]


def with_earlier(images: Images, earlier: Sequence[Images]) -> Images:
    """The images that were taken first: a row may have been changed twice."""
    for one in earlier:
        if (one.part, one.model) == (images.part, images.model):
            first = one.rows.select("pk", first="image")
            rows = images.rows.join(first, on="pk", how="left", maintain_order="left")
            images = replace(images, rows=rows.with_columns(pl.coalesce("first", "image").alias("image")).drop("first"))
    return images


def marked(images: Images, alias: str) -> Images:
    """With the marks of what the rows are now, unless it is known that they are gone."""
    if "mark" in images.rows.columns:
        return images
    marks = marks_of(images.model, alias, images.rows["pk"], images.columns)
    return replace(images, rows=images.rows.with_columns(marks))


def gone(images: Images) -> Images:
    """The images of rows that are deleted for certain."""
    return replace(images, rows=images.rows.with_columns(mark=pl.lit(None, dtype=pl.Int64)))


def packed(images: Sequence[Images]) -> bytes | None:
    """Images as a column of the ledger; None for none. What nobody may read is encrypted."""
    if not images:
        return None
    frame = pl.DataFrame(
        {
            "part": [one.part.value for one in images],
            "model": [one.model._meta.label for one in images],
            "columns": [list(one.columns) for one in images],
            "is_sealed": [has_secrets(one.model) for one in images],
            "rows": [rows_packed(one) for one in images],
        }
    )
    return pack(frame)


def rows_packed(images: Images) -> bytes:
    data = pack(images.rows)
    return fernet().encrypt(data) if has_secrets(images.model) else data


def has_secrets(model: type[models.Model]) -> bool:
    """Whether its resource has fields that nobody reads."""
    resource = resource_of(model)
    return resource is not None and bool(resource.write_only)


def unpacked(data: bytes | memoryview) -> list[Images]:
    """What packed made; without those of models that are there no more. Raises HookFailed after a change of secret."""
    found = []
    for part, label, columns, is_sealed, rows in unpack(data).iter_rows():
        try:
            model = apps.get_model(label)
            found.append(
                Images(Part(part), model, tuple(columns), unpack(fernet().decrypt(rows) if is_sealed else rows))
            )
        except LookupError:
            continue
        except InvalidToken:
            raise HookFailed(
                f"What rows of {label} were was stored under another SECRET_KEY. Add that one to "
                "SECRET_KEY_FALLBACKS and try again."
            ) from None
    return found
