"""What the API tells of an operation's rows: their errors and results, a page at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import strawberry
from strawberry.relay import PageInfo

from bulkql.schema.enums import Code, Outcome
from bulkql.workers.conf import documentation_of
from bulkql.workers.ledger.results import Page

First = Annotated[int | None, strawberry.argument(description="The most to return; the limit is BULKQL_PAGE_ROWS.")]
After = Annotated[str | None, strawberry.argument(description="The cursor after which the page begins.")]


#: The row errors or results of a page where nobody says how many.
ENTRIES = 100


def given(first: int | None, default: int) -> int:
    """What a page's `first` says; null says no more than nothing."""
    return default if first is None else first


@strawberry.type(description="Why a row was not written.")
class RowError:
    index: int = strawberry.field(description="The row's index among those of its resource, from 0.")
    line: int | None = strawberry.field(
        description="The line of the file on which the row begins, or its row in the sheet, from 1; null otherwise."
    )
    resource: str = strawberry.field(description="The resource's name.")
    path: str | None = strawberry.field(description="The field, or null if the error is about the whole row.")
    code: Code = strawberry.field(description="What is wrong, as a code.")
    message: str = strawberry.field(description="What is wrong, in words.")
    data: str | None = strawberry.field(
        description="The value that the row gave; for reverts and deletions of a sync, the primary key of the row."
    )

    @strawberry.field(description="Where the code is explained, with an example and what to do.")
    def documentation(self) -> str:
        return documentation_of("row", self.code)


@strawberry.type(description="Row errors of one field and one code.")
class ErrorGroup:
    resource: str = strawberry.field(description="The resource's name.")
    path: str | None = strawberry.field(description="The field, or null if the errors are about whole rows.")
    code: Code = strawberry.field(description="What is wrong, as a code.")
    message: str = strawberry.field(description="What is wrong with the first of the rows, in words.")
    count: int = strawberry.field(description="How many there are.")
    example: str | None = strawberry.field(description="The value that the first of the rows gave.")


@strawberry.type(description="How a dry run would change a field.")
class Change:
    field: str = strawberry.field(description="The field.")
    before: str | None = strawberry.field(description="Its value, as text.")
    after: str | None = strawberry.field(description="Its value after the operation is carried out.")


@strawberry.type(description="What became of a row.")
class RowResult:
    index: int = strawberry.field(description="The row's index among those of its resource, from 0.")
    resource: str = strawberry.field(description="The resource's name.")
    outcome: Outcome = strawberry.field(description="What became of it.")
    pk: strawberry.ID | None = strawberry.field(description="The primary key of the row in the table.")
    changes: list[Change] | None = strawberry.field(
        default=None,
        description="What a dry run would change in the row; only for the first rows that it would change.",
    )


@strawberry.type(description="A row error and its cursor.")
class RowErrorEdge:
    cursor: str = strawberry.field(description="The cursor, for `after`.")
    node: RowError = strawberry.field(description="The row error.")


@strawberry.type(description="A page of row errors, in input order.")
class RowErrorConnection:
    edges: list[RowErrorEdge] = strawberry.field(description="The row errors with their cursors.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends, and whether there are others.")
    total_count: int = strawberry.field(description="The number of row errors so far; a row may have several.")


@strawberry.type(description="A row's result and its cursor.")
class RowResultEdge:
    cursor: str = strawberry.field(description="The cursor, for `after`.")
    node: RowResult = strawberry.field(description="The row's result.")


@strawberry.type(description="A page of results, in input order.")
class RowResultConnection:
    edges: list[RowResultEdge] = strawberry.field(description="The results with their cursors.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends, and whether there are others.")
    total_count: int = strawberry.field(description="The number of rows that have their outcome so far.")


def row_error(row: dict[str, Any], hidden: Mapping[str, str]) -> RowError:
    """A row error as the ledger has it: index, line, resource, path, code, message, data; without what is hidden."""
    return RowError(**{"line": None, **shown(row, hidden)})


def error_group(group: dict[str, Any], hidden: Mapping[str, str]) -> ErrorGroup:
    """A group as the ledger counts it: resource, path, code, count, message, data; without what is hidden."""
    told = shown(group, hidden)
    return ErrorGroup(example=told.pop("data"), **told)


def shown(error: dict[str, Any], hidden: Mapping[str, str]) -> dict[str, Any]:
    """A row error or a group without what is hidden."""
    if (permission := hidden.get(error["resource"])) is not None:
        error = {**error, "message": f"Reading this needs the permission {permission}.", "data": None}
    return {**error, "code": Code(error["code"])}


def row_result(row: dict[str, Any], hidden: Mapping[str, str]) -> RowResult:
    """A row's result as the ledger has it: index, resource, outcome, pk, changes; without what is hidden."""
    if row["resource"] in hidden:
        row = {**row, "pk": None, "changes": None}
    told = row.pop("changes", None)
    changes = told and [Change(field=name, before=old, after=new) for name, old, new in json.loads(told)]
    return RowResult(**{**row, "outcome": Outcome(row["outcome"])}, changes=changes or None)


def page_info(page: Page, after: str | None) -> PageInfo:
    """Relay's page info: where the page begins and ends, and what is beyond."""
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=after is not None,
        start_cursor=page.entries[0][0].cursor() if page.entries else None,
        end_cursor=page.entries[-1][0].cursor() if page.entries else None,
    )
