"""Rows that go -> what Django's on_delete rules say of it: its own collector, which asks for rows by arrays of keys.

Where nobody listens to signals, instances have no more than the keys that others point to, and the rows that were asked
for go by one statement. All else (cascades, nulls, protection, restriction, signals) is Django's.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Model, QuerySet
from django.db.models.deletion import Collector, get_candidate_relations_to_delete
from django.db.models.signals import post_delete, pre_delete

from bulkql.workers.resources.scope import among, batches, evaluates_itself


class KeyCollector(Collector):
    """What goes along with rows of one model, by their primary keys; raises ProtectedError, RestrictedError."""

    def __init__(self, using: str, model: type[Model], pks: list[Any]) -> None:
        super().__init__(using=using)
        self._model = model
        is_heard = any(signal.has_listeners(model) for signal in (pre_delete, post_delete))
        has_own_way = bool(model._meta.parents) or evaluates_itself(model._base_manager.using(using))
        self._is_silent = not is_heard and not has_own_way
        self.collect([one for some in batches(pks) for one in among(self._rows(), model._meta.pk.name, some)])

    def _rows(self) -> QuerySet[Any]:
        """The model's rows; without the fields that nobody would look at."""
        rows = self._model._base_manager.using(self.using)
        if not self._is_silent:
            return rows.all()
        relations: Any = get_candidate_relations_to_delete(self._model._meta)
        return rows.only("pk", *(key.attname for one in relations for key in one.field.foreign_related_fields))

    def related_objects(self, related_model: Any, related_fields: Any, objs: Any) -> QuerySet[Any]:
        """The rows that point to some of these; asked for by Django's collector."""
        if len(related_fields) > 1:
            return super().related_objects(related_model, related_fields, objs)
        (field,) = related_fields
        rows = related_model._base_manager.using(self.using)
        return among(rows, field.attname, [getattr(one, field.target_field.attname) for one in objs])

    def delete_rows(self) -> Counter[str]:
        """Delete all of it; gives how many rows of which model went."""
        own = self.data.pop(self._model, ()) if self._is_silent else ()
        counts = Counter(self.delete()[1])
        for some in batches([one.pk for one in own]):
            rows = among(self._model._base_manager.using(self.using), self._model._meta.pk.name, some)
            counts[self._model._meta.label] += rows._raw_delete(self.using)
        return counts
