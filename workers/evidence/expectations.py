"""What a plan says of a chunk's rows, and what is so no more: those rows are CONFLICT, and not written."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.errors import Code
from bulkql.workers.evidence.sightings import SIGHTINGS
from bulkql.workers.frames import NO_RECORDED_ERRORS, ROW, ROW_NUMBER, errors_in, unpack
from bulkql.workers.ledger.entries import Entry
from bulkql.workers.models import Chunk
from bulkql.workers.resources.plan import Plan
from bulkql.workers.validation.values import Validated, without

FAILED = Outcome.FAILED.value


def evidence_of(entry: Entry, sightings: pl.DataFrame, meant: pl.DataFrame) -> pl.DataFrame:
    """What a dry run records of a chunk beside its entry: outcome, pk, mark, along, meant of each row, in order."""
    rows = entry.outcomes.select(pl.int_range(pl.len(), dtype=ROW_NUMBER).alias(ROW), "outcome")
    seen = rows.join(sightings, on=ROW, how="left", maintain_order="left")
    return seen.join(meant, on=ROW, how="left", maintain_order="left").drop(ROW)


@dataclass(frozen=True, slots=True)
class Expectation:
    """`rows`: `__row`, outcome, pk, mark, along, meant of each row of a chunk; `errors`: what the plan tells."""

    rows: pl.DataFrame
    errors: pl.DataFrame

    @classmethod
    def of(cls, chunk: Chunk) -> Expectation:
        """What the plan that a chunk's operation applies says of its rows."""
        planned = Chunk.objects.only("evidence", "errors").get(
            operation=chunk.operation.applied_from_id, input__position=chunk.input.position, number=chunk.number
        )
        assert planned.evidence is not None
        errors = NO_RECORDED_ERRORS.clone() if planned.errors is None else unpack(planned.errors)
        return cls(unpack(planned.evidence).with_row_index(ROW).cast({ROW: ROW_NUMBER}), errors)

    @property
    def bad(self) -> pl.Series:
        """The rows that failed in the plan."""
        return self.rows.filter(pl.col("outcome") == FAILED)[ROW]

    @property
    def to_lock(self) -> pl.Series:
        """The rows that the plan finds in the table, and changes."""
        return self.rows.filter(pl.col("outcome").is_in([Outcome.UPDATED.value, Outcome.DELETED.value]))[ROW]

    def due(self, plan: Plan, validated: Validated, sightings: pl.DataFrame) -> Validated:
        """The rows that may be written: those that did not fail in the plan, and find what they found then."""
        good = validated.rows.filter(~pl.col(ROW).is_in(self.bad.implode()))
        now = (
            good.select(ROW)
            .join(self.rows, on=ROW, maintain_order="left")
            .join(sightings, on=ROW, how="left", suffix="_now", maintain_order="left")
        )
        seen = [name for name in SIGHTINGS if name != ROW]
        changed = now.filter(pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_now")) for name in seen))
        return without(Validated(good, validated.errors), conflict_errors(plan, changed))

    def strays(self, plan: Plan, due: Validated, outcomes: pl.DataFrame) -> pl.DataFrame:
        """The errors of rows that became something else than planned: `__row`, path, code, message, data."""
        became = self.rows.with_columns(became=outcomes["outcome"]).join(due.rows, on=ROW, how="semi")
        strays = became.filter((pl.col("became") != FAILED) & (pl.col("became") != pl.col("outcome")))
        name = plan.resource.model._meta.verbose_name
        message = pl.format(f"This {name} would be {{}} now, and the plan says {{}}.", "became", "outcome")
        return errors_in(strays, None, Code.CONFLICT, message, pl.lit(None))

    def told(self, entry: Entry, row_start: int) -> Entry:
        """The entry of the chunk: what failed in the plan has failed as told there; all else that failed is CONFLICT.

        But what the user may not do is told so.
        """
        bad = (self.bad + row_start).implode()
        errors = entry.errors.filter(~pl.col("index").is_in(bad))
        is_told = pl.col("code").is_in([Code.CONFLICT.value, Code.FORBIDDEN.value])
        errors = errors.with_columns(
            code=pl.when(is_told).then("code").otherwise(pl.lit(Code.CONFLICT.value)),
            message=pl.when(is_told).then("message").otherwise(pl.format("Not as planned: {}", "message")),
        )
        together = pl.concat([errors, self.errors]).sort("index", "path", maintain_order=True, nulls_last=False)
        return replace(entry, errors=together)


def conflict_errors(plan: Plan, changed: pl.DataFrame) -> pl.DataFrame:
    """The errors of rows that find another row of the table than before: `__row`, path, code, message, data."""
    name = plan.resource.model._meta.verbose_name
    is_delete = plan.verb == Verb.DELETE
    along = f"Rows that would be deleted along with this {name} have" if is_delete else f"A list of this {name} has"
    message = (
        pl.when(pl.col("pk").is_null())
        .then(pl.lit(f"The plan found no {name} with this key, and now there is one."))
        .when(pl.col("pk_now").is_null())
        .then(pl.lit(f"The {name} that the plan found no longer exists, or you may not see it."))
        .when(pl.col("pk") != pl.col("pk_now"))
        .then(pl.lit(f"Another {name} has this key now than when the plan was made."))
        .when(pl.col("mark").ne_missing(pl.col("mark_now")))
        .then(pl.lit(f"This {name} has changed since the plan was made."))
        .otherwise(pl.lit(f"{along} changed since the plan was made."))
    )
    return errors_in(changed, None, Code.CONFLICT, message, pl.lit(None))
