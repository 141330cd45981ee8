"""Names in a chunk's rows -> the rows that they mean: in a plan, and the same ones when it is applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from bulkql.workers.columns.column import Column
from bulkql.workers.columns.sequences import key_sequence
from bulkql.workers.enums import Lane, Verb
from bulkql.workers.errors import Code
from bulkql.workers.frames import ROW, ROW_NUMBER, errors_in
from bulkql.workers.models import Operation
from bulkql.workers.resources.lanes import lane_of
from bulkql.workers.resources.plan import Plan, verb_of_rows
from bulkql.workers.resources.registry import BulkResource, resource_of
from bulkql.workers.validation.values import Validated, without

#: The keys of the rows that a row names, as text; null where it names none.
MEANT = {ROW: ROW_NUMBER, "meant": pl.String}


@dataclass(slots=True)
class Witness:
    """Sees what the names in rows mean. `expected`: what the plan saw; None while a plan is made."""

    operation: Operation
    expected: pl.DataFrame | None = None
    parts: list[pl.DataFrame] = field(default_factory=list)

    @property
    def seen(self) -> pl.DataFrame:
        """MEANT, of the rows that were looked at."""
        return pl.concat([pl.DataFrame(schema=MEANT), *self.parts])

    def look(self, plan: Plan, rows: pl.DataFrame, resolved: Validated) -> Validated:
        """Look at `resolved`, what became of `rows`; those whose names mean others than in the plan are CONFLICT."""
        names = [one.name for one in self.naming(plan, rows)]
        if not names:
            return resolved
        texts = [as_text(resolved.rows.schema[name], name) for name in names]
        found = resolved.rows.select(ROW, meant=pl.concat_str(texts, separator="|"))
        self.parts.append(found)
        if self.expected is None:
            return resolved
        now = found.join(self.expected, on=ROW, how="left", suffix="_then", maintain_order="left")
        others = now.filter(pl.col("meant").ne_missing(pl.col("meant_then")))
        message = "A name in this row now means another row than when the plan was made."
        return without(resolved, errors_in(others, None, Code.CONFLICT, pl.lit(message), pl.lit(None)))

    def naming(self, plan: Plan, rows: pl.DataFrame) -> Iterator[Column]:
        """The foreign keys and lists that some of these rows give by names.

        But for rows that the same operation may create without reserved keys: a plan's come again with other ones.
        """
        given = set(rows.columns)
        keys = ((plan.columns[name], columns) for name, columns in plan.naming_columns.items())
        found = [one for one, names in (*keys, *lists_with_names(plan)) if given & {name.name for name in names}]
        if not found:
            return
        together = set(self.operation.inputs.values_list("resource", flat=True))
        for one in found:
            target = resource_of(one.target) if one.target is not None else None
            if target is None or target.name not in together or reserves_keys(target, self.operation):
                yield one


def reserves_keys(resource: BulkResource, operation: Operation) -> bool:
    """Whether rows that a plan creates have had their primary keys since they were stored."""
    is_counted = key_sequence(resource.model, resource.database) is not None
    return is_counted and lane_of(resource, verb_of_rows(Verb(operation.verb))) == Lane.COPY


def lists_with_names(plan: Plan) -> Iterator[tuple[Column, list[Column]]]:
    """Each list, and the columns in which rows name its targets."""
    for by_pk, *by_keys in plan.lists.values():
        yield by_pk, [*by_keys]


def as_text(kind: pl.DataType, name: str) -> pl.Expr:
    """A column as text, of a list too."""
    is_list = isinstance(kind, pl.List)
    text = pl.col(name).list.sort().list.join(",") if is_list else pl.col(name).cast(pl.String)
    return text.fill_null("")
