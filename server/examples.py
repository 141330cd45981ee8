"""Registered resources -> GraphiQL's first tabs: a bulkCreate, and the subscription that watches it."""

from __future__ import annotations

from typing import Any

from workers.resources import BulkResource, registered

LEDGER = """# Create two accounts, a status and three transactions, as one operation. One row is wrong: see rowErrors.
mutation Create {
  bulkCreate(
    input: {
      financialAccounts: { rows: [{ name: "Cash" }, { name: "Bank" }] }
      classificationStatuses: { rows: [{ name: "Open" }] }
    }
    options: { mode: ASYNC, label: "From GraphiQL" }
  ) {
    id
    state
    total
    created
    failed
  }
}
"""

WATCH = """# Paste the id of an operation into the variables below, and run: every event, to the last.
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


def default_tabs() -> list[dict[str, str]]:
    """GraphiQL's defaultTabs."""
    resources = registered()
    create = LEDGER if any(one.name == "financialAccounts" for one in resources) else create_example(resources)
    return [{"query": create}, {"query": WATCH, "variables": '{ "id": "" }'}]


def create_example(resources: list[BulkResource]) -> str:
    """A bulkCreate of the first resource."""
    if not resources:
        return "# No resource is registered yet: add a bulk.py to one of your apps.\n{ bulkResources { name } }\n"
    resource = resources[0]
    fields: Any = " ".join(f'{column.graphql_name}: ""' for column in resource.columns.values() if column.is_required)
    return (
        f"mutation Create {{\n  bulkCreate(input: {{ {resource.name}: {{ rows: [{{ {fields} }}] }} }}) {{\n"
        "    id\n    state\n    created\n    failed\n  }\n}\n"
    )
