"""A row of a PostgreSQL table -> SQL of a text that holds all of it, and of a number that tells whether it changed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import connections, models
from django.utils.crypto import salted_hmac

from bulkql.workers.resources.lanes import fields_to_write
from bulkql.workers.resources.registry import resource_of

#: Fields whose values are equal only if they are the same to the byte: hashing those takes a third of hashing texts.
#: Others, such as texts that ignore case, are compared as they are written.
EXACT = (
    models.BinaryField,
    models.BooleanField,
    models.CharField,
    models.DateField,
    models.DecimalField,
    models.DurationField,
    models.IntegerField,
    models.TextField,
    models.TimeField,
    models.UUIDField,
)


@cache
def image_fields(model: type[models.Model]) -> tuple[models.Field[Any, Any], ...]:
    """The fields of a model's own table that hold something of their own; of a proxy, those of its model."""
    concrete = model._meta.concrete_model
    assert concrete is not None
    own = set(concrete._meta.local_concrete_fields)
    return tuple(field for field in fields_to_write(concrete) if field in own)


def image_columns(model: type[models.Model]) -> tuple[str, ...]:
    """Their columns, as they are now: an image names those that it has."""
    return tuple(str(field.column) for field in image_fields(model))


def tables_of(model: type[models.Model]) -> list[type[models.Model]]:
    """The model and those from whose tables it inherits: a row of it has a part in each."""
    return [model, *(parent for parent in model._meta.all_parents if not parent._meta.proxy)]


def pk_of(model: type[models.Model], alias: str) -> str:
    """The primary key of a row `t` of its table."""
    return f"t.{connections[alias].ops.quote_name(str(model._meta.pk.column))}"


def literal(alias: str, columns: Sequence[str]) -> str:
    """A row `t` of a table as PostgreSQL writes it: `(1,Cash,)`; its columns' types read that again, to the byte."""
    return f"{row(alias, columns)}::text"


def mark(alias: str, model: type[models.Model], columns: Sequence[str]) -> str:
    """64 bits of a row `t`: another row of the table hardly ever has the same.

    Where some of it may never be read, nobody who does not know SECRET_KEY can try out what it may be.
    """
    resource = resource_of(model)
    secret = salted_hmac("bulkql: marks", model._meta.label).digest()[:8] if resource and resource.write_only else b""
    seed = int.from_bytes(secret, signed=True)
    fields = {str(field.column): field for field in image_fields(model)}
    if all(is_exact(fields.get(column)) for column in columns):
        return f"hash_record_extended({row(alias, columns)}, {seed})"
    return f'hashtextextended({literal(alias, columns)} COLLATE "C", {seed})'


def row(alias: str, columns: Sequence[str]) -> str:
    """A row of some of `t`'s columns."""
    quote = connections[alias].ops.quote_name
    return f"ROW({', '.join(f't.{quote(column)}' for column in columns)})"


def is_exact(field: Any) -> bool:
    """Whether no two values of a field pass for one; what a custom field stores, nobody knows."""
    if isinstance(field, models.ForeignKey):
        return is_exact(field.target_field)
    is_djangos = type(field).__module__.startswith("django.db.models.")
    return is_djangos and isinstance(field, EXACT) and not getattr(field, "db_collation", None)
