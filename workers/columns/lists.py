"""A many-to-many field -> the columns in which rows give its list.

`tags` holds primary keys, `tags_by` objects that name the targets by their keys, and `tags.name`, in files, the values
of a key of one field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
from django.db import models

from bulkql.workers.columns.column import Column, by_name, column_for, graphql_name, spelled
from bulkql.workers.columns.spelling import Spelling


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListColumn(Column):
    """A list of targets, as rows give it: a cell is a JSON list, or has commas between the list's members.

    `value_field` and `dtype` are those of the targets' primary keys.
    """

    #: The ways to name one target: the columns of each key.
    keys: tuple[tuple[Column, ...], ...]
    #: The list's members are objects, each with the fields of one key.
    has_objects: bool = False

    @property
    def parts(self) -> list[Column]:
        """The columns of all keys, each once."""
        return list({one.name: one for key in self.keys for one in key}.values())

    def python(self, values: pl.Series) -> list[Any]:
        """Lists of a frame -> primary keys as the model has them."""
        return [
            None if texts is None else [self.value_field.to_python(text) for text in texts]
            for texts in values.to_list()
        ]

    def expected(self) -> str:
        """What the field wants, in words, with its article."""
        return "A list"


def spelled_list(column: ListColumn, spelling: Spelling | None) -> ListColumn:
    """A list whose members are spelled as a file's options say."""
    keys = tuple(tuple(spelled(one, spelling) for one in key) for key in column.keys)
    return replace(column, spelling=spelling, keys=keys)


def list_columns(
    field: models.ManyToManyField[Any, Any], keys: Sequence[Sequence[models.Field[Any, Any]]]
) -> tuple[ListColumn, ...]:
    """The columns of a field: first the one of primary keys, then those for `keys`, by which targets may be named."""
    pk = column_for(field.related_model._meta.pk)
    by_pk = ListColumn(
        name=field.name,
        graphql_name=graphql_name(field.name),
        field=field,
        value_field=pk.value_field,
        target=field.related_model,
        dtype=pk.dtype,
        parse=(),
        accepts=frozenset({list}),
        is_plain=pk.is_plain,
        choice_names={},
        keys=((replace(pk, graphql_name=graphql_name(field.name)),),),
    )
    named = tuple(tuple(part(field, one) for one in key) for key in keys)
    if not named:
        return (by_pk,)
    by_objects = replace(
        by_pk,
        name=f"{field.name}_by",
        graphql_name=by_name(field.name),
        names=field.name,
        keys=named,
        has_objects=True,
    )
    by_values = (
        replace(
            by_pk,
            name=f"{field.name}.{one.name}",
            graphql_name=one.graphql_name,
            names=field.name,
            keys=((one,),),
        )
        for one, *others in named
        if not others
    )
    return (by_pk, by_objects, *by_values)


def part(field: models.ManyToManyField[Any, Any], of_key: models.Field[Any, Any]) -> Column:
    """A field of a target's key; errors call it tagsBy.name."""
    column = column_for(of_key)
    return replace(column, graphql_name=f"{by_name(field.name)}.{column.graphql_name}")
