"""Wrong registrations and settings -> Django's system checks, each with its fix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import FieldDoesNotExist
from django.db import DEFAULT_DB_ALIAS, models

from workers.conf import Limits, setting_name
from workers.resources import BulkResource, registered


@register("bulkql")
def check_resources(**_: Any) -> list[CheckMessage]:
    """All registered resources."""
    try:
        resources = registered()
    except FieldDoesNotExist:
        from workers.resources import _registry

        resources = list(_registry.values())
    found = [message for resource in resources for message in resource_errors(resource)]
    for attribute in ("name", "type_name"):
        seen: dict[str, BulkResource] = {}
        for resource in resources:
            name = getattr(resource, attribute)
            if name in seen:
                found.append(
                    Error(
                        f"{resource.label} and {seen[name].label} share the GraphQL name {name}.",
                        hint="Give one of them another `name`." if attribute == "name" else "Rename one of the models.",
                        id="bulkql.E001",
                    )
                )
            seen[name] = resource
    return found


def resource_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """What is wrong with one resource."""
    rules, meta = type(resource).__qualname__, resource.model._meta
    names = {field.name for field in meta.get_fields()}
    if not resource.fields:
        yield Error(f"{rules} has no fields.", hint="Name the model's fields that rows may give.", id="bulkql.E002")
    for name in (*resource.fields, *resource.match_fields):
        if name not in names:
            yield Error(
                f"{rules} names {name}, which {resource.label} does not have.",
                hint=f"{resource.label} has {', '.join(sorted(names))}.",
                id="bulkql.E003",
            )
        elif not is_writable(meta.get_field(name)):
            yield Error(
                f"{rules} names {name}, which rows cannot give: it is computed, or a relation to many.",
                hint="Leave it out of `fields`.",
                id="bulkql.E004",
            )
    for field in meta.concrete_fields:
        if field.name not in resource.fields and owes_a_value(field):
            yield Error(
                f"{rules} leaves out {field.name}, which every new row of {resource.label} needs.",
                hint="Add it to `fields`, or give the model's field a default.",
                id="bulkql.E005",
            )
    if meta.parents:
        yield Error(
            f"{resource.label} inherits from another table, which bulk writes cannot fill.",
            hint="Register the parent model, or make it abstract.",
            id="bulkql.E006",
        )
    if type(meta.pk).__name__ == "CompositePrimaryKey":
        yield Error(
            f"{resource.label} has a composite primary key, which bulkql does not support.",
            hint="Give the model a primary key of one field, and a UniqueConstraint.",
            id="bulkql.E007",
        )
    if resource.database != DEFAULT_DB_ALIAS:
        yield Error(
            f"{resource.label} lives in the database {resource.database}, apart from bulkql's own tables.",
            hint="Rows and their ledger commit together, so they must share the database `default`.",
            id="bulkql.E008",
        )


def is_writable(field: Any) -> bool:
    return bool(getattr(field, "concrete", False)) and not field.many_to_many and not getattr(field, "generated", False)


def owes_a_value(field: models.Field[Any, Any]) -> bool:
    """A new row needs it, and nobody else gives it."""
    if isinstance(field, models.AutoField) or getattr(field, "generated", False) or not field.concrete:
        return False
    has_clock = getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    is_optional = field.null or (field.blank and field.empty_strings_allowed)
    return not (field.has_default() or field.has_db_default() or has_clock or is_optional)


@register("bulkql")
def check_limits(**_: Any) -> list[CheckMessage]:
    """All limits are positive numbers, and the lease outlasts a statement."""
    found: list[CheckMessage] = []
    values = {}
    for field in fields(Limits):
        value = getattr(settings, setting_name(field.name), None)
        values[field.name] = field.default if value is None else value
        if not isinstance(values[field.name], int) or values[field.name] < 1:
            hint = f"It is a whole number; by default {field.default}."
            found.append(Error(f"{setting_name(field.name)} is {value!r}.", hint=hint, id="bulkql.E009"))
    if not found and values["statement_seconds"] >= values["lease_seconds"]:
        found.append(
            Error(
                f"BULKQL_STATEMENT_SECONDS ({values['statement_seconds']}) is not less than "
                f"BULKQL_LEASE_SECONDS ({values['lease_seconds']}).",
                hint="A worker must give up a statement before its chunk is given to another.",
                id="bulkql.E010",
            )
        )
    return found

