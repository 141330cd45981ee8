"""A resource and a verb -> the lane of its rows, and why.

COPY writes what rows give, and nothing else happens. A model that does more in save() or delete(), that listens to
Django's signals, or whose fields look after themselves, gets SAVE: each row is an instance that is cleaned and saved.
This module alone decides. Methods and receivers are looked up when a plan is made: they may come late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from inspect import getattr_static, unwrap
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models import signals
from django.db.models.query import QuerySet

from bulkql.workers.enums import Lane, Verb

if TYPE_CHECKING:
    from bulkql.workers.resources.registry import BulkResource

WRITES = frozenset(Verb) - {Verb.DELETE, Verb.EXPORT}
DELETES = frozenset({Verb.DELETE, Verb.REVERT})

#: What a model may have of its own between a row and the table.
METHODS = {
    **dict.fromkeys(
        (
            "__init__",
            "save",
            "save_base",
            "_save_parents",
            "_save_table",
            "_do_insert",
            "_do_update",
            "full_clean",
            "clean_fields",
            "clean",
            "validate_unique",
            "validate_constraints",
        ),
        WRITES,
    ),
    "delete": DELETES,
}
#: Methods that do nothing to a row that comes from outside: this one looks at what set_password left behind.
HARMLESS: frozenset[Any] = frozenset({AbstractBaseUser.save})

SIGNALS = {
    "pre_init": (signals.pre_init, WRITES),
    "post_init": (signals.post_init, WRITES),
    "pre_save": (signals.pre_save, WRITES),
    "post_save": (signals.post_save, WRITES),
    "pre_delete": (signals.pre_delete, DELETES),
    "post_delete": (signals.post_delete, DELETES),
}

#: Stock ways to prepare a value for saving: clocks, and files whose content is stored already.
STOCK_PRE_SAVE = {
    models.Field.pre_save,
    models.DateField.pre_save,
    models.DateTimeField.pre_save,
    models.TimeField.pre_save,
    models.FileField.pre_save,
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why COPY would not do what save() does: for these verbs, in words that name who does it."""

    words: str
    verbs: frozenset[Verb]


def lane_of(resource: BulkResource, verb: Verb) -> Lane:
    """How a verb's rows reach the table."""
    if resource.writes != Lane.AUTO:
        return Lane(resource.writes)
    return Lane.SAVE if any(verb in one.verbs for one in reasons(resource)) else Lane.COPY


def reasons(resource: BulkResource) -> Iterator[Reason]:
    """All that COPY would skip; nothing where COPY does what save() and delete() would do."""
    model = resource.model
    yield from own_methods(model)
    yield from own_fields(model)
    yield from receivers(model)
    yield from list_receivers(resource)


def own_methods(model: type[models.Model]) -> Iterator[Reason]:
    """Methods of Django's models that this one has its own way with, and so its manager's querysets."""
    for name, verbs in METHODS.items():
        method = getattr(model, name)
        if method is not getattr(models.Model, name) and method not in HARMLESS:
            yield Reason(f"{owner(model, name)} has its own {name}()", verbs)
    querysets = type(model._default_manager.all())
    if querysets.delete is not QuerySet.delete:
        yield Reason(f"{owner(querysets, 'delete')}, of its manager, has its own delete()", DELETES)


def owner(kind: type, name: str) -> str:
    """The class that a method comes from: shop.models.Product."""
    found = next(one for one in kind.__mro__ if name in vars(one))
    return f"{found.__module__}.{found.__qualname__}"


@cache
def own_fields(model: type[models.Model]) -> tuple[Reason, ...]:
    """What its fields do beyond holding a value. They do not change once models are loaded."""
    found = [Reason(words, WRITES) for field in fields_to_write(model) for words in habits_of(model, field)]
    if has_several_tables(model):
        found.append(Reason("its rows are in several tables (it inherits from another model)", WRITES | DELETES))
    if model._meta.order_with_respect_to:
        found.append(Reason("order_with_respect_to numbers its rows", WRITES))
    return tuple(found)


def habits_of(model: type[models.Model], field: models.Field[Any, Any]) -> Iterator[str]:
    """What one field does when its value is set or saved, and what Django checks of it row by row."""
    kind = f"{type(field).__module__}.{type(field).__qualname__}"
    if not has_stock_pre_save(field):
        yield f"{field.name} makes its own value when it is saved ({kind})"
    descriptor = descriptor_of(model, field)
    if not is_djangos(descriptor):
        yield f"{field.name} looks at what it is set to ({descriptor.__module__}.{descriptor.__qualname__})"
    for name in ("unique_for_date", "unique_for_month", "unique_for_year"):
        if getattr(field, name, None):
            yield f"{field.name} has {name}"


def descriptor_of(model: type[models.Model], field: models.Field[Any, Any]) -> type:
    """The class of the attribute that holds a field's value."""
    return type(getattr_static(model, field.attname))


def is_djangos(kind: type) -> bool:
    """Whether a descriptor or a field is one of Django's own."""
    return kind.__module__.startswith(("django.db.", "django.contrib."))


@cache
def watched_fields(model: type[models.Model]) -> tuple[models.Field[Any, Any], ...]:
    """The fields that look at what they are set to."""
    return tuple(one for one in model._meta.concrete_fields if not is_djangos(descriptor_of(model, one)))


def has_stock_pre_save(field: models.Field[Any, Any]) -> bool:
    return type(field).pre_save in STOCK_PRE_SAVE


def fields_to_write(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """The fields that an INSERT gives values for."""
    return [field for field in model._meta.concrete_fields if not getattr(field, "generated", False)]


def has_several_tables(model: type[models.Model]) -> bool:
    """Multi-table inheritance. A proxy has a parent too, and no table of its own."""
    return any(link is not None for link in model._meta.parents.values())


def receivers(model: type[models.Model]) -> Iterator[Reason]:
    """Who listens to what happens to the model's rows, or to those of all models."""
    for name, (signal, verbs) in SIGNALS.items():
        for receiver in listening(signal, model):
            yield Reason(f"{receiver_name(receiver)} receives {name}", verbs)


def list_receivers(resource: BulkResource) -> Iterator[Reason]:
    """Who listens to changes of the lists that rows give."""
    for columns in resource.lists.values():
        field: Any = columns[0].field
        for receiver in listening(signals.m2m_changed, field.remote_field.through):
            yield Reason(f"{receiver_name(receiver)} receives m2m_changed of {field.name}", WRITES)


def listening(signal: Any, sender: type[models.Model]) -> list[Callable[..., Any]]:
    """The receivers of a sender's signals. Django has no public way to ask; it keeps them by sender itself."""
    live, live_async = signal._live_receivers(sender)
    return [*live, *live_async]


def receiver_name(receiver: Callable[..., Any]) -> str:
    """Where a receiver is written: shop.receivers.reindex."""
    code = unwrap(receiver)
    name = getattr(code, "__qualname__", type(code).__qualname__)
    return f"{getattr(code, '__module__', type(code).__module__)}.{name}"
