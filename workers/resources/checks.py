"""Wrong registrations and settings -> Django's system checks, each with its fix."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.db import DEFAULT_DB_ALIAS, models, router

from bulkql.workers.columns.column import graphql_name
from bulkql.workers.conf import Limits, setting_name
from bulkql.workers.enums import Approval
from bulkql.workers.resources.constraints import why_no_key
from bulkql.workers.resources.lane_checks import may_be_filled
from bulkql.workers.resources.registry import BulkResource, _registry, resource_of
from bulkql.workers.resources.scope import has_own_scope

#: The column of the frames of hooks that says which row is which.
NUMBER = "row"


@register("bulkql")
def check_resources(**_: Any) -> list[CheckMessage]:
    """All registered resources."""
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
                        hint=f"Give one of them another `{attribute}`.",
                        id="bulkql.E001",
                    )
                )
            seen[name] = resource
    return found


def resource_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """What is wrong with one resource."""
    yield from rules_errors(resource)
    yield from model_errors(resource)


def rules_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """What its BulkResource says and the model denies."""
    of_fields = (name_errors, field_errors, match_errors, list_errors, number_errors, homonym_errors, owed_errors)
    for errors in (*of_fields, scope_errors, password_errors, write_only_errors, approval_errors):
        yield from errors(resource)


def name_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """Names that no field of GraphQL can have."""
    if not re.fullmatch(NAME, resource.name):
        yield Error(
            f"{type(resource).__qualname__} has the name {resource.name!r}, which GraphQL does not take.",
            hint="Set `name` to ASCII letters and digits, such as financialTransactions.",
            id="bulkql.E011",
        )
    for name in dict.fromkeys((*resource.fields, resource.model._meta.pk.name)):
        if not re.fullmatch(NAME, graphql_name(name)):
            yield Error(
                f"{type(resource).__qualname__} names {name}, which GraphQL does not take.",
                hint=f"Rename the model's field to ASCII letters and digits (db_column={name!r} keeps the table as it "
                "is), or leave it out of `fields`.",
                id="bulkql.E083",
            )


#: A name of GraphQL: https://spec.graphql.org/October2021/#Name
NAME = r"(?!__)[_A-Za-z][_0-9A-Za-z]*"


def field_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """Fields that the model does not have, or that rows cannot give."""
    rules, meta = type(resource).__qualname__, resource.model._meta
    if not resource.fields:
        yield Error(f"{rules} has no fields.", hint="Name the model's fields that rows may give.", id="bulkql.E002")
    names = {field.name for field in meta.get_fields()}
    for name in (*resource.fields, *resource.match_fields):
        if name not in names:
            writable = sorted(field.name for field in meta.get_fields() if is_writable(field))
            yield Error(
                f"{rules} names {name}, which {resource.label} does not have.",
                hint=f"{resource.label} has {', '.join(writable)}.",
                id="bulkql.E003",
            )
        elif not is_writable(meta.get_field(name)):
            yield Error(
                f"{rules} names {name}, which rows cannot give: it is computed, or the other side of a relation.",
                hint="Leave it out of `fields`.",
                id="bulkql.E004",
            )
    for name in resource.export_fields:
        if name.partition(".")[0] not in {*resource.fields, resource.pk.name}:
            yield Error(
                f"{rules} exports {name}, which is none of its fields.",
                hint="Name fields in `export_fields`, the primary key, or what they lead to, such as account.name.",
                id="bulkql.E028",
            )


def match_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """Fields to match by, all of the model's, that are no unique key."""
    names = {field.name for field in resource.model._meta.get_fields()}
    keys = {frozenset(key.fields) for key in resource.unique_keys}
    if resource.match_fields and set(resource.match_fields) <= names and set(resource.match_fields) not in keys:
        yield Error(
            f"{type(resource).__qualname__} has match_fields {', '.join(resource.match_fields)}"
            f"{why_no_key(resource.model, resource.database, resource.match_fields)}.",
            hint="Name the fields of one unique key, or give the model a UniqueConstraint.",
            id="bulkql.E013",
        )


def number_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """A field called as the column of frames that numbers their rows."""
    if NUMBER in resource.fields and (hooks := frame_hooks(resource)):
        yield Error(
            f"{type(resource).__qualname__} names {NUMBER}, and its {' and '.join(hooks)} gets frames whose column "
            f"{NUMBER} is the number of a row.",
            hint=f"Leave {NUMBER} out of `fields`, rename the model's field (db_column keeps the table as it is), or "
            "use clean_row.",
            id="bulkql.E082",
        )


def homonym_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """Fields that are one in GraphQL."""
    for name, others in homonyms(resource.fields):
        yield Error(
            f"{type(resource).__qualname__} names {' and '.join(others)}, which are both {name} in GraphQL.",
            hint="Leave one of them out of `fields`, or rename the model's field.",
            id="bulkql.E012",
        )


def owed_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """Fields that new rows need and nobody gives."""
    rules = type(resource).__qualname__
    for field in resource.model._meta.concrete_fields:
        if field.name not in resource.fields and owes_a_value(field) and not may_be_filled(resource, field):
            yield Error(
                f"{rules} leaves out {field.name}, which every new row of {resource.label} needs.",
                hint="Add it to `fields`, or give the model's field a default.",
                id="bulkql.E005",
            )


def approval_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """An approval that nobody knows would be taken for none."""
    if resource.approval not in list(Approval):
        yield Error(
            f"{type(resource).__qualname__} has the approval {resource.approval!r}, which is none.",
            hint="Set approval = bulkql.BY_ANOTHER, or leave it out.",
            id="bulkql.E052",
        )


def frame_hooks(resource: BulkResource) -> list[str]:
    """The hooks of a resource that get rows as frames."""
    names = ("prepare_rows", "clean_rows", "before_write")
    return [name for name in names if getattr(type(resource), name) is not getattr(BulkResource, name)]


def list_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """Many-to-many fields that cannot be set as lists."""
    rules, meta = type(resource).__qualname__, resource.model._meta
    lists = {field.name: field for field in meta.many_to_many}
    for field in (lists[name] for name in dict.fromkeys(resource.fields) if name in lists):
        through: Any = field.remote_field.through
        target = field.related_model
        database = router.db_for_write(target)
        if not through._meta.auto_created:
            yield Error(
                f"{rules} names {field.name}, whose table between is {through._meta.label}, with fields of its own.",
                hint=f"Leave it out of `fields`, and register {through._meta.label}: its rows are the links.",
                id="bulkql.E014",
            )
        elif target is resource.model:
            yield Error(
                f"{rules} names {field.name}, whose lists hold rows of {resource.label} itself.",
                hint="Leave it out of `fields`, or give it a `through` model and register that.",
                id="bulkql.E015",
            )
        elif database != resource.database:
            yield Error(
                f"{rules} names {field.name}, which points to {target._meta.label} in the database {database}.",
                hint=f"Leave it out of `fields`: lists are set where both tables are in {resource.database}.",
                id="bulkql.E016",
            )


def scope_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """Relations to rows of which nobody says whose they are, in a resource that says so of its own."""
    rules = type(resource)
    if not has_own_scope(resource) or rules.get_targets is not BulkResource.get_targets:
        return
    relations = [one for one in resource.model._meta.get_fields() if one.name in resource.fields and is_writable(one)]
    for field in relations:
        target: Any = field.related_model
        if field.is_relation and target not in (None, resource.model) and resource_of(target) is None:
            name = target.__name__
            yield Error(
                f"{rules.__qualname__} has a get_queryset, and {field.name} may point to all rows of "
                f"{target._meta.label}, which has no resource.",
                hint=f"Register {target._meta.label} with a get_queryset, or add to {rules.__qualname__}: "
                f"def get_targets(self, field, user): return {name}.objects.filter(...); {name}.objects.all() says "
                f"that all users may point to all of them.",
                id="bulkql.E017",
            )


def password_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """Passwords that would be stored as they come, and shown; and ways to write fields that are no texts of rows."""
    rules, meta = type(resource).__qualname__, resource.model._meta
    fields = {field.name: field for field in meta.concrete_fields if field.name in resource.fields}
    for name, field in fields.items():
        is_made = name in resource.write_only_fields and resource.makes_values
        if holds_password(field) and name not in resource.written_as and not is_made:
            yield Error(
                f"{rules} names {name}, which holds passwords: they would be stored and shown in plain text.",
                hint=f"Leave it out of `fields`, or say how it is written: "
                f'written_as = {{"{name}": make_password}} (django.contrib.auth.hashers), or '
                f'write_only_fields = ("{name}",) and a before_write that hashes it.',
                id="bulkql.E018",
            )
    for name in resource.written_as:
        if not isinstance(fields.get(name), models.CharField | models.TextField):
            yield Error(
                f"{rules} says how {name} is written, which is no text among its fields.",
                hint=f"Take {name} out of `written_as`, or add it to `fields`.",
                id="bulkql.E019",
            )


def write_only_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """Write-only fields that are no values of their own, or that would have to be read to find rows."""
    rules, meta = type(resource).__qualname__, resource.model._meta
    values = {one.name for one in meta.concrete_fields if one.name in resource.fields and not one.is_relation}
    for name in resource.write_only_fields:
        if name not in values:
            yield Error(
                f"{rules} has the write-only field {name}, which is no value among its fields.",
                hint=f"Take {name} out of `write_only_fields`, or add it to `fields`. Relations are hidden by "
                "readable_fields.",
                id="bulkql.E050",
            )
        elif name in resource.match_fields or name == resource.pk.name:
            yield Error(
                f"{rules} has the write-only field {name}, by which rows are found.",
                hint=f"Take {name} out of `write_only_fields`, or out of `match_fields`; primary keys are shown.",
                id="bulkql.E051",
            )


def holds_password(field: models.Field[Any, Any]) -> bool:
    """A user's password, or what is called so."""
    is_text = isinstance(field, models.CharField | models.TextField)
    return is_text and re.search(PASSWORDS, field.name) is not None


#: What fields of passwords and of their hashes are called. That of AbstractBaseUser is `password`.
PASSWORDS = r"(^|_)(password|passwd|passphrase)(_hash|_digest)?\d*$"


def model_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """What no BulkResource could make of this model."""
    meta = resource.model._meta
    if type(meta.pk).__name__ == "CompositePrimaryKey":
        yield Error(
            f"{resource.label} has a composite primary key, which bulkql does not support.",
            hint="Give the model a primary key of one field, and a UniqueConstraint.",
            id="bulkql.E007",
        )
    if resource.database != DEFAULT_DB_ALIAS:
        yield Error(
            f"{resource.label} is in the database {resource.database}, and bulkql's own tables are not.",
            hint="Rows and their ledger entries are committed together, so they must be in the database `default`.",
            id="bulkql.E008",
        )


def homonyms(fields: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Names in GraphQL that several fields would have, and those fields: area1 for area1 and area_1."""
    names = dict.fromkeys(fields)
    for graphql, count in Counter(map(graphql_name, names)).items():
        if count > 1:
            yield graphql, [name for name in names if graphql_name(name) == graphql]


def is_writable(field: Any) -> bool:
    return bool(getattr(field, "concrete", False)) and not getattr(field, "generated", False)


def owes_a_value(field: models.Field[Any, Any]) -> bool:
    """A new row needs it, and nobody else gives it."""
    if isinstance(field, models.AutoField) or getattr(field, "generated", False) or not field.concrete:
        return False
    has_clock = getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    is_optional = field.null or (field.blank and field.empty_strings_allowed)
    return not (field.has_default() or field.has_db_default() or has_clock or is_optional)


@register("bulkql")
def check_limits(**_: Any) -> list[CheckMessage]:
    """All limits are positive numbers, or none, and the lease outlasts a statement."""
    found: list[CheckMessage] = []
    values: dict[str, Any] = {}
    for field in fields(Limits):
        given = getattr(settings, setting_name(field.name), None)
        default: Any = field.default
        value = values[field.name] = default if given is None else given
        if isinstance(default, bool):
            if not isinstance(value, bool):
                hint = f"It is True or False; by default {default}."
                found.append(Error(f"{setting_name(field.name)} is {value!r}.", hint=hint, id="bulkql.E009"))
            continue
        least = min(1, default)  # 0 is no limit, where that is the default
        if not isinstance(value, int) or value < least:
            hint = f"It is a whole number of at least {least}; by default {field.default}."
            found.append(Error(f"{setting_name(field.name)} is {value!r}.", hint=hint, id="bulkql.E009"))
    if not found and values["statement_seconds"] >= values["chunk_seconds"]:
        found.append(
            Error(
                f"BULKQL_STATEMENT_SECONDS ({values['statement_seconds']}) is not less than "
                f"BULKQL_CHUNK_SECONDS ({values['chunk_seconds']}).",
                hint="A worker must give up a statement before its chunk is given to another.",
                id="bulkql.E010",
            )
        )
    return found
