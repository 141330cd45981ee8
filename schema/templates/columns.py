"""A resource, a verb and a user -> the columns of a workbook to fill in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from django.db import models

from bulkql.schema.scalars import describe
from bulkql.workers.columns.column import Column
from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.columns.spelling import TEXTS
from bulkql.workers.downloads.download import Download
from bulkql.workers.downloads.templates import TemplateColumn, as_template
from bulkql.workers.downloads.workbook import DAY, MOMENT, format_of_column
from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput, NotFound
from bulkql.workers.readers.options import FileFormat
from bulkql.workers.resources.plan import Plan, plan_for
from bulkql.workers.resources.registry import BulkResource, resource_of
from bulkql.workers.resources.rights import check_permissions, unreadable_fields
from bulkql.workers.resources.scope import targets_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Rows that a foreign key may point to which are offered in a drop-down; of more, none are.
REFERENCES = 200
#: Choices that the line of help names.
NAMED_CHOICES = 8

EXAMPLES = {DAY: "A date, such as 2024-12-31", MOMENT: "A date and a time, such as 2024-12-31 18:30:00"}
KINDS_OF_NUMBERS: tuple[tuple[type[models.Field[object, object]], str], ...] = (
    (models.IntegerField, "A whole number"),
    (models.FloatField, "A number"),
    (models.DecimalField, "A number"),
    (models.TimeField, "A time, such as 18:30:00"),
    (models.DurationField, "A duration, such as 1 06:30:00"),
)


def template_name(resource: BulkResource, verb: Verb) -> str:
    return f"{resource.name}-{verb.lower()}.xlsx"


def template_of(resource: BulkResource, verb: Verb, user: User) -> Download:
    """A template of the columns that the user may give; raises BadInput, Forbidden."""
    if not verb.takes_rows:
        raise BadInput(f"{verb} takes no rows; a template is for those that bring some.")
    if verb not in resource.operations:
        raise BadInput(f"{resource.name} does not offer {verb}; it has {', '.join(sorted(resource.operations))}.")
    check_permissions(user, verb, resource)
    columns = list(template_columns(plan_for(verb, resource, None, None, key_to_give(resource, verb), user), user))
    return Download(
        name=template_name(resource, verb),
        format=FileFormat.XLSX,
        rows=0,
        pieces=partial(as_template, resource.name, columns),
    )


def key_to_give(resource: BulkResource, verb: Verb) -> tuple[str, ...]:
    """The primary key, where rows that are found by the resource's own key would have nothing left to change."""
    is_all = set(resource.fields) <= set(resource.match_fields)
    return (resource.pk.name,) if verb in (Verb.UPDATE, Verb.REPLACE) and is_all else ()


def named_template(name: str, resources: list[BulkResource]) -> tuple[BulkResource, Verb]:
    """What a template's name says; raises NotFound."""
    for resource in resources:
        for verb in Verb:
            if template_name(resource, verb) == name:
                return resource, verb
    raise NotFound(f"There is no template {name}.")


def template_columns(plan: Plan, user: User) -> Iterator[TemplateColumn]:
    """One column for each field: a foreign key by its target's name, where one field is a key of that."""
    refused = {column.name for column in plan.refused}
    for column in plan.columns.values():
        if (named := naming_column(plan, column, refused)) is not None:
            yield reference(plan, column, named, user)
        elif column.name not in refused:
            yield plain_column(plan, column)
    for by_pk, *others in plan.lists.values():
        if by_pk.name not in refused:
            named_lists = (one for one in others if not one.has_objects and one.name not in refused)
            yield list_column(by_pk, next(named_lists, by_pk))


def naming_column(plan: Plan, column: Column, refused: set[str]) -> Column | None:
    """The column that names a foreign key's target by the one field of a key of it."""
    target = resource_of(column.target) if column.target is not None else None
    single = {key.fields[0] for key in target.given_keys if len(key.fields) == 1} if target is not None else set()
    named = plan.naming_columns.get(column.name, [])
    return next((one for one in named if one.field.name in single and one.name not in refused), None)


def plain_column(plan: Plan, column: Column) -> TemplateColumn:
    is_boolean = isinstance(column.value_field, models.BooleanField)
    return TemplateColumn(
        name=column.name,
        help=help_of(column, is_required=plan.requires(column)),
        form=format_of_column(column),
        is_required=plan.requires(column),
        choices=tuple(column.choice_names) or (("TRUE", "FALSE") if is_boolean else ()),
        max_length=longest(column.field) if column.target is None else None,
    )


def longest(field: models.Field[object, object]) -> int | None:
    """Characters that a value may have. A UUID has 36, whatever Django calls the length of its column."""
    return field.max_length if isinstance(field, TEXTS) else None


def reference(plan: Plan, column: Column, named: Column, user: User) -> TemplateColumn:
    """A foreign key by the name of its target, with a drop-down of the targets where they are few."""
    found = plain_column(plan, replace(named, choice_names={}))
    title = str(column.field.verbose_name).capitalize()
    is_required = plan.requires(column)
    return replace(
        found,
        help=f"{title}: the {named.field.verbose_name} of one that is there.{' Required.' if is_required else ''}",
        is_required=is_required,
        choices=targets(plan.resource, column, named, user),
        is_closed=False,
    )


def targets(resource: BulkResource, column: Column, named: Column, user: User) -> tuple[str, ...]:
    """The names of what a foreign key may point to; none where there are many, or the user may not read them."""
    target = resource_of(named.field.model)
    if target is None or named.field.name in unreadable_fields(target, user):
        return ()
    rows = targets_of(resource, column.field, user).order_by(named.field.name)
    names = list(rows.values_list(named.field.name, flat=True).distinct()[: REFERENCES + 1])
    return tuple(str(name) for name in names if name not in (None, "")) if len(names) <= REFERENCES else ()


def list_column(by_pk: ListColumn, chosen: ListColumn) -> TemplateColumn:
    """A list of targets, by their names where those are known."""
    by = "ids" if chosen is by_pk else f"values of {chosen.graphql_name.rpartition('.')[2]}"
    title = str(by_pk.field.verbose_name).capitalize()
    return TemplateColumn(
        name=chosen.name, help=f"{title}: {by}, with commas between them.", form="@", is_required=False
    )


def help_of(column: Column, *, is_required: bool) -> str:
    """A line that says what a column is for, and what it takes."""
    sentences = [describe(column, is_required=False).rstrip(".")]
    if column.choice_names:
        names = list(column.choice_names)
        sentences.append(
            f"One of {', '.join(names)}" if len(names) <= NAMED_CHOICES else f"One of {len(names)} choices"
        )
    elif column.target is None:
        sentences += [words] if (words := kind_in_words(column)) else []
    return ". ".join([*sentences, *(["Required"] if is_required else [])]) + "."


def kind_in_words(column: Column) -> str:
    if isinstance(column.value_field, models.BooleanField):
        return "TRUE or FALSE"
    words = next((words for field, words in KINDS_OF_NUMBERS if isinstance(column.value_field, field)), "")
    return EXAMPLES.get(format_of_column(column), words)
