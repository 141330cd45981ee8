"""A schema whose mutations tell the rows that they got."""

from __future__ import annotations

import asyncio
from enum import Enum

import strawberry
from strawberry.scalars import JSON

from bulkql.schema.context import Context
from bulkql.schema.rows.lane import RowLane


@strawberry.enum
class Colour(Enum):
    RED = "RED"


@strawberry.input
class Row:
    name: str
    size: int | None = None
    weight: float | None = None
    colour: Colour | None = None
    tags: list[str] | None = None
    extra: Row | None = None


@strawberry.input
class File:
    name: str = "a.csv"


@strawberry.input
class Create:
    rows: list[Row] | None = strawberry.UNSET
    file: File | None = strawberry.UNSET


@strawberry.input
class BulkInput:
    cats: Create | None = strawberry.UNSET
    dogs: Create | None = strawberry.UNSET


@strawberry.type
class Answer:
    rows: JSON
    mode: str
    files: list[str]


@strawberry.type
class Query:
    @strawberry.field
    def ok(self) -> bool:
        return True


@strawberry.type
class Mutation:
    @strawberry.mutation
    def bulk_create(self, info: strawberry.Info, input: BulkInput, mode: str = "AUTO") -> Answer:
        """The rows that the lane carried past coercion, and what coercion made of the rest."""
        given = {name: item for name, item in vars(input).items() if item}
        assert all(item.rows in ([], None, strawberry.UNSET) for item in given.values())
        key = info.path.key
        rows = {name: found["rows"] for (mutation, name), found in info.context.rows.items() if mutation == key}
        return Answer(rows=rows, mode=mode, files=[item.file.name for item in given.values() if item.file])

    @strawberry.mutation
    def rename(self, name: str) -> str:
        return name


SCHEMA = strawberry.Schema(query=Query, mutation=Mutation, extensions=[RowLane])


def execute(query, variables=None, operation_name=None):
    """The answer's data; fails on errors."""
    context = Context(request=None)
    result = asyncio.run(
        SCHEMA.execute(query, variable_values=variables, context_value=context, operation_name=operation_name)
    )
    assert result.errors is None
    return result.data


def refusal(query, variables=None):
    """The messages of a request that is not carried out."""
    context = Context(request=None)
    result = asyncio.run(SCHEMA.execute(query, variable_values=variables, context_value=context))
    assert result.data is None
    return [error.message for error in result.errors]


def rows_of(query, variables=None, **options):
    """The rows of the request's one mutation."""
    (answer,) = execute(query, variables, **options).values()
    return answer["rows"]
