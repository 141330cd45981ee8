"""Rows of the request -> instances that are deleted, each by the model's own delete()."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import IntegrityError, models
from django.db.models import ProtectedError
from django.db.models.deletion import Collector

from bulkql.workers.enums import Verb
from bulkql.workers.errors import Code
from bulkql.workers.frames import ROW
from bulkql.workers.images.along import images_along
from bulkql.workers.images.taken import Images, own_images_now
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.saving.faults import Refused
from bulkql.workers.saving.instances import fresh
from bulkql.workers.writers import orm
from bulkql.workers.writers.cascades import check_cascades, with_others_rows
from bulkql.workers.writers.deletion import check_now, match_by_orm
from bulkql.workers.writers.missing import not_there
from bulkql.workers.writers.triggers import dropped, may_drop
from bulkql.workers.writers.violations import chains_told, violation_of
from bulkql.workers.writers.written import Written, together

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class FoundRows:
    """`pks`: the primary key, as text, of each row that may go; `refused`: what is wrong with the others."""

    pks: dict[int, str]
    refused: Written
    images: tuple[Images, ...] = ()


def find_removable(plan: Plan, rows: pl.DataFrame, user: User | None) -> FoundRows:
    """The rows that are there, locked, and with which nothing goes that the user may not delete."""
    there = rows.select(ROW).join(match_by_orm(plan, rows, user), on=ROW, maintain_order="left")
    absent = rows.join(there, on=ROW, how="anti", maintain_order="left")
    kept = with_others_rows(plan, there, user)
    free = there.filter(~pl.col(ROW).is_in(kept.errors[ROW].implode()))
    pks = dict(free.select(ROW, "pk").iter_rows())
    return FoundRows(pks, together([not_there(plan, absent), kept]), own_images_now(plan, free))


class Remover:
    """Deletes rows, and counts what goes along."""

    def __init__(self, plan: Plan, user: User | None) -> None:
        self._plan, self._user = plan, user
        self._own = plan.resource.model._meta.label
        self._counts: Counter[str] = Counter()
        self._images: list[Images] = []
        self._lost: list[int] = []
        self._drops = may_drop(plan.resource, Verb.DELETE)

    def remove(self, row: int, pk: str) -> str:
        """Delete a row, unless it went along with one before it; gives its key. Raises whatever refuses it."""
        instance = fresh(self._plan, pk)
        if instance is None:
            self._counts[self._own] -= 1
            return pk
        alias = self._plan.resource.database
        if not self._plan.resource.is_deleted_alone:
            collector = Collector(using=alias, origin=instance)
            with chains_told():
                collector.collect([instance])
            check_cascades(self._plan, collector, self._user)
            self._take(row, pk, collector)
        with protected_by_foreign_keys(self._plan.resource), chains_told():
            counts = counts_in(deleted_by_its_model(instance))
            # Foreign keys that nobody told Django of are asked now, where the row can still be named.
            check_now(alias)
        # A delete() of the model's own may keep the row, and mark it.
        if self._drops and not counts.get(self._own) and has_stock_delete(type(instance)):
            raise Refused(dropped(self._plan.resource, "delete"))
        parents = [parent._meta.label for parent in type(instance)._meta.all_parents]
        self._counts.update({label: count for label, count in counts.items() if label not in parents})
        self._counts[self._own] -= counts.get(self._own, 0) > 0
        return pk

    def _take(self, row: int, pk: str, collector: Collector) -> None:
        """What is about to go along with a row, if that is kept."""
        if self._plan.keeps_images:
            there = orm.with_pks({row: pk})
            found = images_along(collector, self._plan.resource.model, there)
            # A delete() of the model's own may leave them: their marks are to be asked for.
            self._images += [replace(one, rows=one.rows.drop("mark", strict=False)) for one in found or ()]
            if found is None:
                self._lost.append(row)

    def images(self, own: tuple[Images, ...]) -> tuple[Images, ...]:
        """What the rows were, and what went along; neither of rows with which too many others went."""
        is_kept = ~pl.col(ROW).is_in(self._lost)
        return (*(replace(one, rows=one.rows.filter(is_kept)) for one in own), *self._images)

    def cascades(self) -> dict[str, int]:
        """How many rows went along, by model."""
        return {label: count for label, count in self._counts.items() if count > 0}


@contextmanager
def protected_by_foreign_keys(resource: BulkResource) -> Iterator[None]:
    """What still refers to a row that is deleted protects it; the database's words would be those for an insert."""
    try:
        yield
    except IntegrityError as error:
        if violation_of(resource, error).code != Code.REFERENCE_NOT_FOUND:
            raise
        raise ProtectedError("rows refer to this one", set()) from error


def deleted_by_its_model(instance: models.Model) -> Any:
    """What delete() gives: the model's own, or that of its manager's querysets where only they have one."""
    model = type(instance)
    querysets = model._default_manager.using(instance._state.db)
    is_own = model.delete is not models.Model.delete
    if is_own or type(querysets).delete is models.QuerySet.delete:
        return instance.delete()
    return querysets.filter(pk=instance.pk).delete()


def has_stock_delete(model: type[models.Model]) -> bool:
    """Whether neither the model nor its manager's querysets have a delete() of their own."""
    querysets = type(model._default_manager.all())
    return model.delete is models.Model.delete and querysets.delete is models.QuerySet.delete


def counts_in(answer: Any) -> dict[str, int]:
    """The counts by model in what delete() gave; one that only marks its row may give anything."""
    match answer:
        case (int(), dict() as counts):
            return counts
    return {}
