"""Registered resources -> GraphiQL's first tabs: a bulkCreate, and the subscription that watches it."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from typing import Any

import strawberry
from strawberry.scalars import Base64

from bulkql.schema.scalars import BigInt, Duration, type_of
from bulkql.workers.columns.column import Column
from bulkql.workers.enums import Verb
from bulkql.workers.resources.registry import BulkResource, registered

CREATE = """\
# 1. The rows are in the variables below: edit them,
#    and run this.
# 2. Copy the id of the answer into the variables of
#    the tab Watch, and run that.
mutation Create(
  $input: BulkCreateInput!
  $options: BulkOptions
) {
  bulkCreate(input: $input, options: $options) {
    id
    state
    total
  }
}
"""

#: One row a line, for people to edit. One account has no name, to show what becomes of it and of its neighbours.
LEDGER = """\
{
  "input": {
    "financialAccounts": {
      "rows": [
        { "name": "Cash" },
        { "name": "Bank" },
        { "name": "" },
        { "name": "Savings" }
      ]
    },
    "classificationStatuses": {
      "rows": [
        { "name": "Open" },
        { "name": "Reviewed" }
      ]
    }
  },
  "options": { "mode": "ASYNC", "label": "From GraphiQL" }
}
"""

#: The id of the file comes from the panel on the left (server/web/static/bulkql/upload.js).
FILE = """\
# 1. Drop a file on "Upload a file", the arrow on the
#    left: its id is put into the variables below.
# 2. Name its resource there, and run this.
# 3. Copy the id of the answer into the variables of
#    the tab Watch, and run that.
mutation File(
  $input: BulkCreateInput!
  $options: BulkOptions
) {
  bulkCreate(input: $input, options: $options) {
    id
    state
    total
  }
}
"""

#: A second run of rows that are there already would puzzle people, hence its hint.
WATCH = """\
# Copy an operation's id into the variables below, and
# run this: its totals as they grow, to the last.
# ALREADY_EXISTS? Then a run before has created them:
# change the rows in Create, and run it again.
subscription Watch($id: ID!) {
  operation(id: $id) {
    state
    total
    processed
    created
    failed
    percentage
    rowsPerSecond
    rowErrors(first: 10) {
      edges {
        node {
          index
          resource
          path
          code
          message
        }
      }
    }
  }
}
"""

EMPTY = """\
# No resource is registered for bulkCreate yet: add a bulk.py to one of your apps.
{
  bulkResources {
    name
    operations
  }
}
"""

#: A value of each GraphQL type, as JSON; anything else is JSON itself.
SAMPLES: dict[Any, Any] = {
    strawberry.ID: "1",
    BigInt: "1",
    Duration: "P1DT02H03M04S",
    Base64: "AA==",
    bool: True,
    decimal.Decimal: "1",
    float: 1.5,
    int: 1,
    datetime.datetime: "2026-01-31T12:00:00Z",
    datetime.date: "2026-01-31",
    datetime.time: "12:00:00",
    uuid.UUID: "00000000-0000-4000-8000-000000000001",
    str: "text",
}


def default_tabs() -> list[dict[str, str]]:
    """GraphiQL's defaultTabs."""
    resources = registered()
    return [create_tab(resources), {"query": WATCH, "variables": '{ "id": "" }'}, *file_tabs(resources)]


def create_tab(resources: list[BulkResource]) -> dict[str, str]:
    """A bulkCreate: the ledger's where it is served, or else one row of the first resource."""
    creatable = [one for one in resources if Verb.CREATE in one.operations]
    if not creatable:
        return {"query": EMPTY, "variables": "{}"}
    if {"financialAccounts", "classificationStatuses"} <= {one.name for one in creatable if is_ledger(one)}:
        return {"query": CREATE, "variables": LEDGER}
    first = creatable[0]
    variables = {
        "input": {first.name: {"rows": [example_row(first)]}},
        "options": {"mode": "ASYNC", "label": "From GraphiQL"},
    }
    return {"query": CREATE, "variables": json.dumps(variables, indent=2)}


def file_tabs(resources: list[BulkResource]) -> list[dict[str, str]]:
    """A bulkCreate of a file that was uploaded, where a resource can be created."""
    names = [one.name for one in resources if Verb.CREATE in one.operations]
    if not names:
        return []
    # Files hold what there is much of: the last of the resources points to the others.
    name = "financialTransactions" if "financialTransactions" in names else names[-1]
    variables = {
        "input": {name: {"file": {"uploadId": ""}}},
        "options": {"mode": "ASYNC", "label": "From GraphiQL"},
    }
    return [{"query": FILE, "variables": json.dumps(variables, indent=2)}]


def is_ledger(resource: BulkResource) -> bool:
    """Whether it is the example's: a user's app may have accounts of another kind."""
    return resource.model.__module__ == "bulkql.examples.ledger.models"


def example_row(resource: BulkResource) -> dict[str, Any]:
    """The required fields, or else the first three, with values of their types."""
    columns = list(resource.columns.values())
    shown = [column for column in columns if column.is_required] or columns[:3]
    return {column.graphql_name: example_value(column, resource) for column in shown}


def example_value(column: Column, resource: BulkResource) -> Any:
    """A value that the column's GraphQL type takes."""
    if column.choice_names:
        return next(iter(column.choice_names))
    value = SAMPLES.get(type_of(column, resource.type_name), {})
    return value[: column.field.max_length] if isinstance(value, str) and column.field.max_length else value
