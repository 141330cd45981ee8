"""The database's clock: those of the processes' hosts may be hours off, and it alone is the same for all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import connections, models, router
from django.db.models.functions import Now


class StoredAt(models.DateTimeField):  # type: ignore[type-arg]  # Django's own takes no arguments
    """When a row was stored, by the database's clock, which tells it with the insert itself.

    Work whose beginning lay an hour ahead would not be looked for, should its message be lost.
    """

    db_returning = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "auto_now_add": True})

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        alias = model_instance._state.db or router.db_for_write(type(model_instance))
        if add and connections[alias].features.can_return_columns_from_insert:
            return Now()
        return super().pre_save(model_instance, add)

    def deconstruct(self) -> Any:
        """A column like any other: migrations need not know."""
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.DateTimeField", args, options


def utc_text(moment: datetime) -> str:
    """2026-01-02 03:04:05 UTC"""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
