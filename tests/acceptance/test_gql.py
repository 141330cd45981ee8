"""gql, the Python client on PyPI: it knows the schema, uploads, sends back what it read, and watches."""

from __future__ import annotations

import asyncio

import pytest
from gql import Client, FileVar, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXTransport
from gql.transport.websockets import WebsocketsTransport


@pytest.fixture
def client(service):
    """A client that has fetched the schema, and checks each document against it before it is sent."""
    headers = {"Authorization": f"Bearer {service.token}"}
    transport = HTTPXTransport(url=f"{service.url}/graphql", headers=headers, timeout=60)
    with Client(transport=transport, fetch_schema_from_transport=True) as session:
        yield session


def test_rows_that_were_read_are_sent_back(client):
    accounts = gql("""
      query ($filters: FinancialAccountFilter) {
        financialAccounts(filters: $filters, order: [{name: ASC}]) { __typename id name }
      }
    """)
    update = gql("""
      mutation ($rows: [FinancialAccountUpdateRow!]) {
        bulkUpdate(input: {financialAccounts: {rows: $rows}}) { state unchanged failed }
      }
    """)
    accounts.variable_values = {"filters": {"name": {"inList": ["Account 1", "Account 2"]}}}
    read = client.execute(accounts)["financialAccounts"]
    update.variable_values = {"rows": read}

    done = client.execute(update)["bulkUpdate"]

    assert [row["name"] for row in read] == ["Account 1", "Account 2"]
    assert done == {"state": "COMPLETED", "unchanged": 2, "failed": 0}


def test_a_file_is_uploaded_and_its_operation_watched(client, service, tmp_path):
    path = tmp_path / "transactions.csv"
    path.write_text("amount,datetime,financial_account.name\n1.50,2026-01-31T12:00:00Z,Account 1\n")
    create = gql("""
      mutation ($file: Upload!) {
        bulkCreate(input: {financialTransactions: {file: {upload: $file}}}) { id }
      }
    """)
    create.variable_values = {"file": FileVar(str(path))}
    operation = client.execute(create, upload_files=True)["bulkCreate"]

    events = asyncio.run(watched(service, operation["id"]))

    assert (events[-1]["state"], events[-1]["processed"]) == ("COMPLETED", 1)


async def watched(service, operation_id):
    """The events of an operation, to the last."""
    url = f"{service.url.replace('http', 'ws', 1)}/graphql"
    init = {"authorization": f"Bearer {service.token}"}
    watch = gql("subscription ($id: ID!) { operation(id: $id) { state processed } }")
    watch.variable_values = {"id": operation_id}
    transport = WebsocketsTransport(url=url, init_payload=init, subprotocols=["graphql-transport-ws"])
    async with Client(transport=transport) as session:
        return [event["operation"] async for event in session.subscribe(watch)]


def test_an_error_has_its_code(client):
    wanted = gql('{ operation(id: "1") { id } }')

    with pytest.raises(TransportQueryError) as refused:
        client.execute(wanted)

    assert refused.value.errors[0]["extensions"]["code"] == "NOT_FOUND"
