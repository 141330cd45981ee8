"""A filter as it came -> nothing, or the part of it that says nothing or that the database does not take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import strawberry_django
from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import models
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.where import WhereNode
from django.utils import timezone
from strawberry import UNSET
from strawberry.types import Info, get_object_definition
from strawberry_django.fields.filter_types import RangeLookup
from strawberry_django.filters import lookup_name_conversion_map, resolve_value

from bulkql.schema.context import Context
from bulkql.schema.lists.lookups import FOR_NOBODY
from bulkql.schema.options import is_given
from bulkql.schema.permissions import JUNCTIONS
from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput, refusals_named
from bulkql.workers.intake.checks import exceeds
from bulkql.workers.resources.registry import BulkResource


def check_filter(resource: BulkResource, given: object, path: str, info: Info[Context, None]) -> None:
    """Look at each lookup of a filter before the database does; raises BadInput with its path."""
    if is_given(given):
        for _ in Walk(resource, info).lookups(given, "", path):
            pass


def check_where(verb: Verb, resource: BulkResource, where: object, info: Info[Context, None]) -> None:
    """The same for a filter by which rows are deleted: each part of it, and the whole, has to leave rows out."""
    path, way_out = f"{resource.name}.where", whole_table(verb)
    for part, lookups in Walk(resource, info).lookups(where, "", path):
        if not lookups:
            raise BadInput(f"{part} is empty, and filters nothing. Give it a lookup, or leave it out. {way_out}")
    # The rows of all users, and of no manager: what the filter itself says is judged, and nothing else.
    everything: models.QuerySet[Any] = models.QuerySet(resource.model)
    chosen = strawberry_django.filters.apply(where, everything, FOR_NOBODY)
    compiler = chosen.query.get_compiler(using=resource.database)
    if lets_through(chosen.query.where, compiler):
        effect = ", and would delete all rows." if verb == Verb.DELETE else ": all rows would be in scope."
        raise BadInput(f"{path} filters nothing{effect} {way_out}")


def whole_table(verb: Verb) -> str:
    """How a mutation says that it means all rows."""
    if verb == Verb.DELETE:
        return "To delete all rows, give all: true in place of where."
    return "To sync the whole table, leave `where` out."


@dataclass(frozen=True, slots=True)
class Walk:
    """Through one filter."""

    resource: BulkResource
    info: Info[Context, None]

    def lookups(self, given: object, prefix: str, path: str) -> Iterator[tuple[str, int]]:
        """The path of each part of a filter, and how much is in it; raises BadInput, LimitExceeded."""
        if isinstance(given, RangeLookup):
            check_range(given, path)
            with refusals_named(path):
                given.start, given.end = moment(given.start), moment(given.end)
            self.check_lookup(prefix.removesuffix("__"), [given.start, given.end], path)
            yield path, 2
            return
        found = 0
        for name, value, here in self.fields(given, path):
            found += 1
            if get_object_definition(value) is not None:
                yield from self.lookups(value, prefix if name in JUNCTIONS else f"{prefix}{name}__", here)
            elif name != "DISTINCT":
                with refusals_named(here):
                    setattr(given, name, moments(value))
                self.check_lookup(f"{prefix}{lookup_name_conversion_map.get(name, name)}", getattr(given, name), here)
        yield path, found

    def fields(self, given: object, path: str) -> Iterator[tuple[str, Any, str]]:
        """The fields that a part of a filter gives: Python's name, the value, the path; raises BadInput for null."""
        definition = get_object_definition(given, strict=True)
        for field in definition.fields:
            value = getattr(given, field.name)
            if value is UNSET:
                continue
            here = f"{path}.{self.info.schema.config.name_converter.from_field(field)}"
            if value is None:
                raise BadInput(
                    f"{here} is null, and would filter nothing. Leave it out, or give it a value; "
                    f"{{isNull: true}} finds the rows that have none."
                )
            yield field.name, value, here

    def check_lookup(self, lookup: str, value: Any, path: str) -> None:
        """Have Django make SQL of one lookup, as it will of all of them together."""
        if isinstance(value, list):
            exceeds("inline_rows", f"values of {path}", len(value), "ask in several requests")
        if isinstance(value, time) and value.tzinfo is not None:
            raise BadInput(f"{path}: A time of day has no offset here; leave it out.")
        with suppress(EmptyResultSet), refusals_named(path):
            rows: models.QuerySet[Any] = models.QuerySet(self.resource.model)
            one = rows.filter(**{lookup: resolve_value(value)})
            one.query.get_compiler(using=self.resource.database).as_sql()


def check_range(given: RangeLookup[Any], path: str) -> None:
    if given.start is None or given.end is None:
        raise BadInput(f"{path} needs both start and end; give gte or lte for one of them.")


def moments(value: Any) -> Any:
    """Times without an offset are of the service's time zone; Django would say so too, with a warning."""
    return [moment(one) for one in value] if isinstance(value, list) else moment(value)


def moment(value: Any) -> Any:
    is_local = isinstance(value, datetime) and timezone.is_naive(value)
    return timezone.make_aware(value) if is_local else value


def lets_through(node: Any, compiler: SQLCompiler) -> bool | None:
    """Whether a condition lets all rows through (True), none (False), or some of them, as their values are (None)."""
    if not isinstance(node, WhereNode):
        return verdict_of(node, compiler)
    verdicts = {lets_through(child, compiler) for child in node.children}
    # Whatever stands beside it, one of these decides: false among ANDs, true among ORs.
    decisive = node.connector == models.Q.OR
    if node.children and decisive in verdicts:
        verdict: bool | None = decisive
    else:
        verdict = None if None in verdicts else not decisive or not node.children
    return not verdict if verdict is not None and node.negated else verdict


def verdict_of(lookup: Any, compiler: SQLCompiler) -> bool | None:
    """The same of one lookup."""
    try:
        compiler.compile(lookup)
    except EmptyResultSet:
        return False
    except FullResultSet:
        return True
    name, value = getattr(lookup, "lookup_name", ""), getattr(lookup, "rhs", None)
    if name == "isnull":
        field = getattr(lookup.lhs, "target", None)
        return None if field is None or field.null else not value
    # A variable that is empty, as likely as not. Rows without a value are not what anybody means by it.
    return True if name in PARTS_OF_TEXTS and value == "" else None


PARTS_OF_TEXTS = frozenset(
    {
        "contains",
        "icontains",
        "startswith",
        "istartswith",
        "endswith",
        "iendswith",
        "regex",
        "iregex",
    }
)
