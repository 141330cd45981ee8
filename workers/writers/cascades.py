"""Rows that go -> the rows of other models that would go along, and that the user may not delete.

Django's admin refuses to delete a row whose cascade takes rows of models that the user may not delete; so do we.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from django.db import models
from django.db.models.deletion import Collector

from bulkql.workers.frames import ROW, errors_at, no_errors
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.rights import cascading, may
from bulkql.workers.resources.scope import batches
from bulkql.workers.writers.violations import CascadeForbidden, cascade_violation
from bulkql.workers.writers.written import Written, nothing

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def with_others_rows(plan: Plan, there: pl.DataFrame, user: User | None) -> Written:
    """The rows with which such rows would go, found by a query for each way to a model that the user may not delete.

    What goes along in another way, check_cascades sees when it is about to.
    """
    if plan.resource.is_deleted_alone or there.is_empty():
        return nothing()
    held: dict[str, set[type[models.Model]]] = {}
    pks = [plan.resource.pk.value_field.to_python(text) for text in there["pk"]]
    for model, path in cascading(plan.resource.model):
        if not is_permitted(plan, model, user):
            rows = model._base_manager.using(plan.resource.database)
            for some in batches(pks):
                found = rows.filter(**{f"{path}__pk__in": some}).values_list(f"{path}__pk", flat=True).distinct()
                for pk in found.order_by():
                    held.setdefault(str(pk), set()).add(model)
    errors = [no_errors()]
    for others in {frozenset(others) for others in held.values()}:
        rows_held = there.filter(pl.col("pk").is_in([pk for pk, found in held.items() if found == others]))
        errors.append(errors_at(rows_held[ROW], cascade_violation(plan.resource, others)))
    return Written(errors=pl.concat(errors))


def check_cascades(plan: Plan, collector: Collector, user: User | None) -> None:
    """Whether the user may delete all that was collected, whatever led there; raises CascadeForbidden."""
    own = {model for model, rows in collector.data.items() if rows}
    # Private to Django, so not in the stubs: querysets of rows that need no look.
    at_once = {
        rows.model for rows in collector.fast_deletes if not is_permitted(plan, rows.model, user) and rows.exists()
    }
    forbidden = {model for model in own | at_once if not is_permitted(plan, model, user)}
    if forbidden:
        raise CascadeForbidden(forbidden)


def is_permitted(plan: Plan, model: type[models.Model], user: User | None) -> bool:
    """Rows of the resource itself were asked for; links of lists go with their row."""
    is_own = model._meta.concrete_model is plan.resource.model._meta.concrete_model
    return is_own or bool(model._meta.auto_created) or may(user, "delete", model)
