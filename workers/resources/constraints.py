"""A model -> all that is unique in its table, those constraints too that only the database can tell of, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import connections, models
from django.db.models.sql import Query

from bulkql.workers.columns.column import graphql_name
from bulkql.workers.resources.keys import UniqueKey, is_generated, keys_of_fields, names_only_fields, unique_keys

#: What a model declares, and its database keeps.
Rule = UniqueKey | models.UniqueConstraint | ExclusionConstraint


@dataclass(frozen=True, slots=True)
class Constraint:
    """What no two rows of a table share: unique fields together, or values of expressions, of the rows that count.

    The SQL is that of one row: columns have no table before them.
    """

    #: The fields whose values are compared, alone or in expressions.
    fields: tuple[str, ...]
    #: The fields that say whether a row counts.
    conditional_on: tuple[str, ...]
    values: tuple[str, ...]
    #: Which rows count; all, where it is None.
    condition: str | None
    nulls_distinct: bool
    #: It is a key of plain fields, which rows give themselves.
    key: UniqueKey | None
    #: How values are compared, each in its own way; by = where none is told.
    operators: tuple[str, ...] = ()

    @property
    def looks_at(self) -> tuple[str, ...]:
        """All fields that it depends on."""
        return tuple(dict.fromkeys((*self.fields, *self.conditional_on)))

    @property
    def label(self) -> str:
        """The fields as clients know them."""
        return ", ".join(map(graphql_name, self.fields))


@cache
def constraints_of(model: type[models.Model], alias: str) -> tuple[Constraint, ...]:
    """All that is unique but the primary key, plain keys first."""
    keys = [key for key in unique_keys(model) if key.fields != (model._meta.pk.name,)]
    unique = (rule for rule in told_by_database(model) if not isinstance(rule, ExclusionConstraint))
    return (*(plain(model, alias, key) for key in keys), *(in_sql(model, alias, rule) for rule in unique))


def why_no_key(model: type[models.Model], alias: str, fields: Collection[str]) -> str:
    """Why rows cannot be found by these fields, which are no key of theirs, and what helps if the database has one."""
    if set(fields) == {model._meta.pk.name}:
        return ": it is the primary key, which new rows cannot give, for it is not among the resource's `fields`"
    for one in constraints_of(model, alias):
        if one.key is None and set(one.fields) == set(fields):
            where = f" where {one.condition}" if one.condition is not None else ""
            return (
                f": only {', '.join(one.values)} is unique{where}. Make {' and '.join(fields)} unique as it stands, "
                "and let prepare_rows bring rows into its spelling, or take another key"
            )
    return ", of which several rows may have the same"


def plain(model: type[models.Model], alias: str, key: UniqueKey) -> Constraint:
    quote = connections[alias].ops.quote_name
    columns = tuple(quote(str(model._meta.get_field(name).column)) for name in key.fields)  # type: ignore[union-attr]
    return Constraint(key.fields, (), columns, None, key.nulls_distinct, key)


def told_by_database(model: type[models.Model]) -> Iterator[Rule]:
    """What only the database can tell of: keys with fields that it makes, and constraints that are no plain keys."""
    yield from (key for key in keys_of_fields(model) if is_generated(model, key))
    for constraint in model._meta.constraints:
        if isinstance(constraint, ExclusionConstraint) or (
            isinstance(constraint, models.UniqueConstraint) and not is_plain(constraint)
        ):
            yield constraint


def in_sql(model: type[models.Model], alias: str, rule: Rule) -> Constraint:
    """What told_by_database gives, as the database is asked of it."""
    if isinstance(rule, UniqueKey):
        return of_generated(model, alias, rule)
    if isinstance(rule, ExclusionConstraint):
        return of_exclusion(model, alias, rule)
    return of_unique(model, alias, rule)


def is_plain(constraint: models.UniqueConstraint) -> bool:
    return constraint.condition is None and names_only_fields(constraint)


def of_generated(model: type[models.Model], alias: str, key: UniqueKey) -> Constraint:
    """A key with fields that the database makes."""
    return on_expressions(model, alias, [made_by(model, name) for name in key.fields], None, key.nulls_distinct)


def of_unique(model: type[models.Model], alias: str, constraint: models.UniqueConstraint) -> Constraint:
    """One on expressions, or for some of the rows."""
    expressions: list[Any] = [bare(one) for one in constraint.expressions]
    expressions += [made_by(model, name) for name in constraint.fields]
    return on_expressions(model, alias, expressions, constraint.condition, constraint.nulls_distinct is not False)


def of_exclusion(model: type[models.Model], alias: str, constraint: ExclusionConstraint) -> Constraint:
    """One of rows that may not overlap, say."""
    values, operators = zip(*constraint.expressions, strict=True)
    expressions = [models.F(one) if isinstance(one, str) else bare(one) for one in values]
    found = on_expressions(model, alias, expressions, constraint.condition, nulls_distinct=True)
    return replace(found, operators=operators)


def held_by_another(constraint: Constraint, table: str, source: str, row: str, pk: str | None) -> str:
    """The rows of a source that cannot have what a row of the table has; in SQL that an index answers.

    `row`: the source's column with their numbers. `pk`: the column of the primary key, if they are rows of the table
    themselves.
    """
    places = range(len(constraint.values))
    operators = constraint.operators or ("=",) * len(places)
    # What rows of the source have now, they may leave: whether one of them is in the way, only writing it tells.
    others = [] if pk is None else [f"{pk} NOT IN (SELECT {pk} FROM {source})"]  # noqa: S608
    ways = []
    for nulls in product(*([False] if constraint.nulls_distinct else [False, True] for _ in places)):
        same = [
            f"({value}) IS NULL AND s.value{place} IS NULL" if null else f"({value}) {operator} s.value{place}"
            for place, value, operator, null in zip(places, constraint.values, operators, nulls, strict=True)
        ]
        counts = [] if constraint.condition is None else [f"({constraint.condition})"]
        ways.append(f"EXISTS (SELECT FROM {table} WHERE {' AND '.join([*same, *others, *counts])})")
    values = [f"({value}) AS value{place}" for place, value in zip(places, constraint.values, strict=True)]
    return (
        f"SELECT s.{row} FROM (SELECT {', '.join([row, *values])} FROM {source}"  # noqa: S608
        f" WHERE {constraint.condition or 'true'}) s WHERE {' OR '.join(ways)}"
    )


def on_expressions(
    model: type[models.Model], alias: str, expressions: list[Any], condition: Any, nulls_distinct: bool
) -> Constraint:
    return Constraint(
        fields=fields_named_in(model, *expressions),
        conditional_on=() if condition is None else fields_named_in(model, condition),
        values=tuple(sql_of(model, alias, one) for one in expressions),
        condition=None if condition is None else sql_of(model, alias, condition),
        nulls_distinct=nulls_distinct,
        key=None,
    )


def made_by(model: type[models.Model], name: str) -> Any:
    """What a field's values are made by: itself, or the expression of a generated one, which rows do not have yet."""
    field = model._meta.get_field(name)
    # The stubs do not know a generated field's expression.
    return field.expression if isinstance(field, models.GeneratedField) else models.F(field.name)  # type: ignore[attr-defined]


def bare(expression: Any) -> Any:
    """An expression without the order of its index, and without its operators: -F("name"), OpClass("name", ...)."""
    while isinstance(expression, models.expressions.OrderBy) or type(expression).__name__ == "OpClass":
        (expression,) = expression.get_source_expressions()
    return expression


def fields_named_in(model: type[models.Model], *expressions: Any) -> tuple[str, ...]:
    """The fields that expressions and conditions name."""
    # Private to Django, so not in the stubs; its own checks of constraints use it.
    names = [reference[0] for one in expressions for reference in model._get_expr_references(one)]  # type: ignore[attr-defined]
    fields = (model._meta.pk if name == "pk" else model._meta.get_field(name) for name in names)
    return tuple(dict.fromkeys(field.name for field in fields))


def sql_of(model: type[models.Model], alias: str, expression: Any) -> str:
    """An expression or a condition, with its values in it, as Django writes it into an index."""
    connection = connections[alias]
    query = Query(model, alias_cols=False)
    is_condition = isinstance(expression, models.Q)
    resolved = query.build_where(expression) if is_condition else expression.resolve_expression(query)
    sql, params = query.get_compiler(connection=connection).compile(resolved)
    # Not entered: SQLite's editor cannot be within a transaction, and nothing is changed by it.
    editor = connection.schema_editor(collect_sql=True, atomic=False)
    return str(sql) % tuple(editor.quote_value(value) for value in params)
