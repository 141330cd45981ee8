"""Images -> temporary tables, by which statements bring any number of rows back to what they were.

Of each kind of image there are two: the images with the keys of their rows, and one without rows, for its type: cast to
that, an image is a row of the table again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from django.db import connections

from bulkql.workers.columns.arrays import array
from bulkql.workers.columns.copying import copy
from bulkql.workers.frames import ROW, ROW_NUMBER
from bulkql.workers.images.literals import literal, mark
from bulkql.workers.images.taken import Images, Part

#: What is so of a row now. `is_done`: it is as it was; `is_as_left`: nobody changed it since.
STATES = {ROW: ROW_NUMBER, "pk": pl.String, "is_there": pl.Boolean, "is_done": pl.Boolean, "is_as_left": pl.Boolean}


@dataclass(frozen=True, slots=True)
class StagedImages:
    """Images in their temporary tables."""

    images: Images
    alias: str
    number: int

    @property
    def table(self) -> str:
        return f"bulkql_image_{self.number}"

    @property
    def type(self) -> str:
        return f"bulkql_image_row_{self.number}"

    @property
    def target(self) -> str:
        return self.quote(self.images.model._meta.db_table)

    @property
    def pk(self) -> str:
        return self.quote(str(self.images.model._meta.pk.column))

    @property
    def is_otherwise(self) -> str:
        """A row `t` of the table is not as in its image, of `x`."""
        return f"{literal(self.alias, self.images.columns)} IS DISTINCT FROM x.image"

    def quote(self, name: str) -> str:
        return connections[self.alias].ops.quote_name(name)

    def run(self, sql: str, rows: pl.Series | None = None) -> int:
        """Execute a statement, of which %s are these rows; gives how many rows it wrote."""
        with connections[self.alias].cursor() as cursor:
            cursor.execute(sql, None if rows is None else [array(rows)])
            return int(cursor.rowcount)

    def stage(self) -> None:
        """Make and fill the tables."""
        columns = ", ".join(map(self.quote, self.images.columns))
        self.run(
            f"DROP TABLE IF EXISTS {self.table}; DROP TABLE IF EXISTS {self.type};"  # noqa: S608
            f" CREATE TEMPORARY TABLE {self.type} ON COMMIT DROP AS SELECT {columns} FROM {self.target} WITH NO DATA;"
            f" CREATE TEMPORARY TABLE {self.table} ON COMMIT DROP AS SELECT 0 AS {self.quote(ROW)}, {self.pk} AS pk,"
            f" ''::text AS image, 0::bigint AS mark FROM {self.target} WITH NO DATA"
        )
        copy(self.alias, self.table, (ROW, "pk", "image", "mark"), self.images.rows)
        self.run(f"CREATE INDEX ON {self.table} (pk); ANALYZE {self.table}")

    def states(self) -> pl.DataFrame:
        """What is so of each row now, which is locked by that: STATES."""
        self.run(
            f"SELECT count(*) FROM (SELECT FROM {self.target} t JOIN {self.table} s ON t.{self.pk} = s.pk"  # noqa: S608
            f" ORDER BY s.pk FOR UPDATE OF t) locked"
        )
        is_there = f"t.{self.pk} IS NOT NULL"
        same = f"{literal(self.alias, self.images.columns)} = s.image"
        now = mark(self.alias, self.images.model, self.images.columns)
        with connections[self.alias].cursor() as cursor:
            cursor.execute(
                f"SELECT s.{self.quote(ROW)}, s.pk::text, {is_there},"  # noqa: S608
                f" CASE WHEN {is_there} THEN coalesce({same}, false) ELSE s.image IS NULL END,"
                f" CASE WHEN {is_there} THEN coalesce({now} = s.mark, false) ELSE s.mark IS NULL END"
                f" FROM {self.table} s LEFT JOIN {self.target} t ON t.{self.pk} = s.pk"
            )
            found = pl.DataFrame(cursor.fetchall(), schema=STATES, orient="row")
        if self.images.part == Part.POINTING:
            # Whoever pointed to a deleted row and is gone himself needs nothing back.
            found = found.with_columns(is_done=pl.col("is_done") | ~pl.col("is_there"))
        return found

    def wanted(self) -> str:
        """A table `x` of the images of some rows: pk, image, and `r`, the image as a row of the table."""
        return (
            f"x AS MATERIALIZED (SELECT s.pk, s.image, s.image::{self.type} AS r FROM {self.table} s"  # noqa: S608
            f" WHERE s.image IS NOT NULL AND s.{self.quote(ROW)} = ANY(%s::int[]))"
        )

    def insert(self, rows: pl.Series) -> int:
        """Put back the rows that are gone."""
        columns = ", ".join(map(self.quote, self.images.columns))
        values = ", ".join(f"(x.r).{self.quote(name)}" for name in self.images.columns)
        # A link that somebody made again has another key, and is as good.
        rest = " ON CONFLICT DO NOTHING" if self.images.part == Part.LINK or self.is_link else ""
        return self.run(
            f"WITH {self.wanted()} INSERT INTO {self.target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM x"  # noqa: S608
            f" WHERE NOT EXISTS (SELECT FROM {self.target} t WHERE t.{self.pk} = x.pk) ORDER BY x.pk{rest}",
            rows,
        )

    @property
    def is_link(self) -> bool:
        return bool(self.images.model._meta.auto_created)

    def update(self, rows: pl.Series, columns: Sequence[str] | None = None) -> int:
        """Set the columns of the rows that are there, where they are otherwise than they were."""
        pk = str(self.images.model._meta.pk.column)
        wanted = [name for name in columns or self.images.columns if name != pk]
        if not wanted:
            return 0
        sets = ", ".join(f"{self.quote(name)} = (x.r).{self.quote(name)}" for name in wanted)
        return self.run(
            f"WITH {self.wanted()} UPDATE {self.target} t SET {sets} FROM x WHERE t.{self.pk} = x.pk"  # noqa: S608
            f" AND {self.is_otherwise}",
            rows,
        )

    def delete(self, rows: pl.Series) -> int:
        """Take away the rows that were not there."""
        return self.run(
            f"DELETE FROM {self.target} t USING {self.table} s WHERE t.{self.pk} = s.pk AND s.image IS NULL"  # noqa: S608
            f" AND s.{self.quote(ROW)} = ANY(%s::int[])",
            rows,
        )


def staged_all(alias: str, images: Sequence[Images]) -> list[StagedImages]:
    """All images in tables of their own, those of the resource first, and parents before their children."""
    found = [StagedImages(one, alias, number) for number, one in enumerate(in_order(images))]
    for one in found:
        one.stage()
    return found


def in_order(images: Sequence[Images]) -> list[Images]:
    """Rows after those that they point to; a cycle keeps its order, for foreign keys are looked at last."""
    waiting = sorted(images, key=lambda one: list(Part).index(one.part))
    ordered: list[Images] = []
    while waiting:
        names = {one.model._meta.db_table for one in waiting}
        free = next((one for one in waiting if not (tables_pointed_to(one) & names)), waiting[0])
        waiting.remove(free)
        ordered.append(free)
    return ordered


def tables_pointed_to(images: Images) -> set[str]:
    """The tables to which the foreign keys of a model point, but for its own."""
    meta = images.model._meta
    found = {str(field.related_model._meta.db_table) for field in meta.concrete_fields if field.is_relation}  # type: ignore[union-attr]
    return found - {meta.db_table}
