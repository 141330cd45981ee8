"""A list that cannot be read -> the same list with `Unreadable` in the place of each value that stood in the way.

PostgreSQL has dates that Python has not (infinity, the year 10000, 24:00), SQLite keeps any text in any column, and a
field's own code may raise over what somebody else wrote. Nobody pays for this but who asks for such a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import psycopg
from django.db import connections, models
from django.db.models import Prefetch
from psycopg.adapt import Loader
from psycopg.pq import Format

from bulkql.workers.backends import backend


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What could not be read of a row, and why."""

    reason: str


@contextmanager
def tolerated(rows: models.QuerySet[Any]) -> Iterator[None]:
    """While this lasts, reading the queryset and its prefetches fails over no value."""
    # What was read before another of its queries failed is read again.
    rows._result_cache = None
    make_tolerant(rows)
    if not backend(rows.db).is_read_by_psycopg:
        yield
        return
    connection: Any = connections[rows.db]
    connection.create_cursor = partial(tolerant_cursor, connection.create_cursor)
    try:
        yield
    finally:
        # The class's own method comes to light again.
        del connection.create_cursor


def make_tolerant(rows: models.QuerySet[Any]) -> None:
    """Django makes Python's values in a query's compiler."""
    kind: Any = type(rows.query)
    rows.query.__class__ = tolerant_query(kind)
    for lookup in rows._prefetch_related_lookups:  # type: ignore[attr-defined]  # private to Django
        if isinstance(lookup, Prefetch) and lookup.queryset is not None:
            make_tolerant(lookup.queryset)


@cache
def tolerant_query(kind: Any) -> Any:
    def get_compiler(self: Any, *args: Any, **options: Any) -> Any:
        compiler = kind.get_compiler(self, *args, **options)
        compiler.get_converters = partial(tolerant_converters, compiler.get_converters)
        return compiler

    return type(kind.__name__, (kind,), {"get_compiler": get_compiler})


def tolerant_converters(get_converters: Callable[[Any], dict[int, Any]], expressions: Iterable[Any]) -> Any:
    """Django's own: for each column of the answer its functions, and the expression."""
    return {
        place: ([partial(attempt, convert) for convert in converters], expression)
        for place, (converters, expression) in get_converters(expressions).items()
    }


def attempt(convert: Callable[..., Any], value: Any, *args: Any) -> Any:
    if isinstance(value, Unreadable):
        return value
    try:
        return convert(value, *args)
    except Exception as error:  # a field's own code, which may raise anything
        return Unreadable(type(error).__name__)


def tolerant_cursor(create_cursor: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """A cursor whose loaders give Unreadable where psycopg's, or Django's in their place, raise."""
    cursor = create_cursor(*args, **options)
    for name in ("date", "time", "timetz", "timestamp", "timestamptz", "interval"):
        oid = cursor.adapters.types[name].oid
        for form in (Format.TEXT, Format.BINARY):
            if (loader := cursor.adapters.get_loader(oid, form)) is not None:
                cursor.adapters.register_loader(oid, tolerant_loader(loader))
    return cursor


@cache
def tolerant_loader(kind: Any) -> type[Loader]:
    # Around, and not beneath: psycopg's C code calls the methods of its own loaders past Python's.
    class Tolerant(Loader):
        format = kind.format

        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._strict = kind(oid, context)

        def load(self, data: Any) -> Any:
            try:
                return self._strict.load(data)
            except psycopg.DataError as error:
                return Unreadable(str(error))

    return Tolerant
