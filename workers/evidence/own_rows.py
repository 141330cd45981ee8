"""Rows of the table -> those of them that the operation itself has written so far.

A sync deletes last, and what it has just written may go along. Nobody else changed that: each such row was as its plan
says, or it was not written. It cannot be compared either: its key and what rules compute may be others each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from django.db import models

from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.frames import unpack
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.resources.registry import resource_named

NOTHING_WRITTEN = pl.DataFrame(schema={"outcome": pl.String, "pk": pl.String})
WRITTEN = (Outcome.CREATED.value, Outcome.UPDATED.value)


@dataclass(frozen=True, slots=True)
class OwnRows:
    """`unrecorded`: the outcomes of a chunk, by its id, of which the ledger will know at the end of the transaction."""

    operation: Operation
    unrecorded: Callable[[int], pl.DataFrame | None] = lambda _: None

    def among(self, model: type[models.Model], pks: pl.Series) -> pl.Series:
        """Those of a model's rows, by their primary keys as text, that are the operation's own."""
        # All other verbs either write or delete.
        if pks.is_empty() or self.operation.verb != Verb.SYNC:
            return pks.clear()
        found = [pks.clear()]
        for chunk_id in self._chunks_of(model):
            written = self._outcomes(chunk_id).filter(pl.col("outcome").is_in(WRITTEN))["pk"]
            found.append(written.filter(written.is_in(pks.implode())))
        return pl.concat(found)

    def _chunks_of(self, model: type[models.Model]) -> list[int]:
        """The chunks that write rows of a model, or of one that has a part of the same rows under the same keys."""
        inputs = self.operation.inputs.filter(removes=False)
        own = [one.pk for one in inputs if is_kin(resource_named(one.resource).model, model)]
        return list(Chunk.objects.filter(input__in=own).order_by("pk").values_list("pk", flat=True))

    def _outcomes(self, chunk_id: int) -> pl.DataFrame:
        """What became of a chunk's rows so far: outcome, pk."""
        outcomes = self.unrecorded(chunk_id)
        if outcomes is not None:
            return outcomes
        results = Chunk.objects.values_list("results", flat=True).get(pk=chunk_id)
        return NOTHING_WRITTEN if results is None else unpack(results)


def is_kin(one: type[models.Model], other: type[models.Model]) -> bool:
    """Whether a row of one may be, or be a part of, a row of the other: by inheritance their keys are the same."""
    return issubclass(one, other) or issubclass(other, one)
