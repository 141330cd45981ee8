"""Who may do and see what: over HTTP, over the websocket, with a token, with a session, with neither."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.sync.client import connect

from bulkql.server.client import BulkClient, RequestFailed
from tests.acceptance.rows import transactions
from tests.acceptance.service import CREATE, OPERATION, Service


def user(service: Service, name: str, *permissions: str) -> str:
    """A user without a staff's rights; gives a token."""
    service.sql(
        "DELETE FROM auth_user_user_permissions WHERE user_id = (SELECT id FROM auth_user WHERE username = %s)", name
    )
    service.sql(
        "INSERT INTO auth_user (username, password, is_superuser, is_staff, is_active, first_name, last_name, email,"
        " date_joined) VALUES (%s, '!', false, false, true, '', '', '', now()) ON CONFLICT DO NOTHING",
        name,
    )
    for permission in permissions:
        service.sql(
            "INSERT INTO auth_user_user_permissions (user_id, permission_id) SELECT u.id, p.id FROM auth_user u,"
            " auth_permission p WHERE u.username = %s AND p.codename = %s",
            name,
            permission,
        )
    command = [str(Path(sys.executable).with_name("bulkql")), "token", name, "--data", str(data_of(service))]
    return subprocess.check_output(command, text=True).strip()


def data_of(service: Service) -> Path:
    arguments = service.process.args
    assert isinstance(arguments, list)
    return Path(arguments[arguments.index("--data") + 1])


def codes(body: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in body.get("errors", [])]


def test_mutation_needs_the_models_permission(service):
    given = {"financialTransactions": {"rows": transactions(1)}}
    stranger, clerk = user(service, "stranger"), user(service, "clerk", "add_financialtransaction")

    refused = service.post(CREATE, token=stranger, input=given)
    allowed = service.post(CREATE, token=clerk, input=given)

    assert codes(refused) == ["FORBIDDEN"]
    assert refused["errors"][0]["message"] == (
        "Create of financialTransactions needs the permission ledger.add_financialtransaction."
    )
    assert allowed["data"]["bulkCreate"]["created"] == 1


def test_list_query_needs_the_view_permission(service):
    query = "{ financialTransactions { id amount financialAccount { name } } }"
    service.create({"mode": "SYNC"}, financialTransactions={"rows": transactions(2)})
    blind = user(service, "blind", "add_financialtransaction")
    half = user(service, "half", "view_financialtransaction")
    reader = user(service, "reader", "view_financialtransaction", "view_financialaccount")

    assert codes(service.post(query, token=blind)) == ["FORBIDDEN"]
    assert codes(service.post(query, token=half)) == ["FORBIDDEN", "FORBIDDEN"], "one for each row's account"
    assert service.post(query, token=reader)["data"]["financialTransactions"] == [
        {"id": "1", "amount": "0.00", "financialAccount": {"name": "Account 0"}},
        {"id": "2", "amount": "1.01", "financialAccount": {"name": "Account 1"}},
    ]


def test_list_query_filters_orders_and_pages(service):
    service.create({"mode": "SYNC"}, financialTransactions={"rows": transactions(30)})

    rows = service.post(
        """{ financialTransactions(filters: { amount: { gte: "10" } }, order: [{ amount: DESC }],
             pagination: { offset: 1, limit: 2 }) { amount } }"""
    )["data"]["financialTransactions"]

    assert rows == [{"amount": "28.28"}, {"amount": "27.27"}]


def test_operation_is_its_owners_and_staffs(service):
    owner = user(service, "owner", "add_financialtransaction")
    other = user(service, "other", "add_financialtransaction")
    given = {"financialTransactions": {"rows": transactions(1)}}
    operation_id = service.post(CREATE, token=owner, input=given)["data"]["bulkCreate"]["id"]

    assert service.post(OPERATION, token=owner, id=operation_id)["data"]["operation"]["created"] == 1
    assert service.operation(operation_id)["created"] == 1
    refused = service.post(OPERATION, token=other, id=operation_id)
    assert (codes(refused), refused["errors"][0]["message"]) == (
        ["NOT_FOUND"],
        f"There is no operation {operation_id} that you may see.",
    )
    assert service.post("{ operations { totalCount } }", token=other)["data"]["operations"]["totalCount"] == 0


def test_subscription_to_anothers_operation_is_refused(service):
    owner = user(service, "owner", "add_financialtransaction")
    other = user(service, "other", "add_financialtransaction")
    given = {"financialTransactions": {"rows": transactions(1)}}
    operation_id = service.post(CREATE, token=owner, input=given)["data"]["bulkCreate"]["id"]

    assert [event["state"] for event in BulkClient(service.url, owner).watch(operation_id)] == ["COMPLETED"]
    with pytest.raises(RequestFailed) as refused:
        list(BulkClient(service.url, other).watch(operation_id))
    assert refused.value.errors[0]["extensions"]["code"] == "NOT_FOUND"


def test_upload_is_its_owners(service):
    other = user(service, "other", "add_financialtransaction")
    place = service.post('mutation { createUpload(name: "t.csv") { id url } }')["data"]["createUpload"]

    answer = httpx.put(place["url"], content=b"amount\n1\n", headers={"Authorization": f"Bearer {other}"})

    assert (answer.status_code, codes(answer.json())) == (404, ["NOT_FOUND"])


def test_websocket_without_a_user_is_closed(service):
    with pytest.raises(websockets.ConnectionClosedError) as closed:
        list(BulkClient(service.url, "no token").watch("00000000-0000-0000-0000-000000000000"))
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4403, "Forbidden")


def test_websocket_from_a_foreign_page_is_refused(service):
    url = f"{service.url.replace('http', 'ws', 1)}/graphql"

    def visit(origin: str) -> None:
        protocol = websockets.Subprotocol("graphql-transport-ws")
        with connect(url, origin=websockets.Origin(origin), subprotocols=[protocol]):
            pass

    visit(service.url)
    with pytest.raises(websockets.InvalidStatus) as refused:
        visit("https://evil.example")
    assert refused.value.response.status_code == 403


def test_session_needs_its_csrf_token(service):
    link = service.sign_in_link()
    body = {"query": "{ bulkResources { name } }"}
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(link)
        assert page.status_code == 200
        assert page.url.path == "/graphiql"

        ridden_on = browser.post(f"{service.url}/graphql", json=body)
        own = browser.post(f"{service.url}/graphql", json=body, headers={"X-CSRFToken": browser.cookies["csrftoken"]})

    assert (ridden_on.status_code, codes(ridden_on.json())) == (403, ["FORBIDDEN"])
    assert {"name": "financialTransactions"} in own.json()["data"]["bulkResources"]


def test_sign_in_link_is_no_bearer_token_and_a_token_is_no_sign_in_link(service):
    link = service.sign_in_link()

    assert codes(service.post("{ bulkResources { name } }", token=link.split("token=")[1])) == ["UNAUTHENTICATED"]
    assert httpx.get(f"{service.url}/sign-in?user=1&token={service.token}").status_code == 403


def test_sign_in_link_works_once(service):
    printed = (data_of(service).parent / "up.log").read_text().split("Sign in a browser: ")[1].split()[0]
    fresh = service.sign_in_link()

    answers = [httpx.get(link).status_code for link in (fresh, fresh, printed)]

    assert answers == [302, 403, 403]


def test_row_contents_stay_out_of_the_logs(service):
    marker = "A very private description"
    rows = [row | {"description": marker, "datetime": marker} for row in transactions(3)]

    service.create({"mode": "ASYNC"}, financialTransactions={"rows": rows})
    service.post(f'mutation {{ bulkCreate(input: {{ nothing: "{marker}" }}) {{ id }} }}')
    service.post(CREATE, input={"financialTransactions": marker})
    service.create({"mode": "SYNC"}, financialTransactions={"rows": rows})

    for log in (data_of(service) / "log").iterdir():
        assert marker not in log.read_text(), log


def test_idempotency_key_returns_the_first_operation(service):
    given = {"financialTransactions": {"rows": transactions(3)}}
    options = {"idempotencyKey": "once", "mode": "SYNC"}

    first, second = service.create(options, **given), service.create(options, **given)
    conflict = service.post(CREATE, input={"financialTransactions": {"rows": transactions(4)}}, options=options)

    assert first == second
    assert codes(conflict) == ["IDEMPOTENCY_CONFLICT"]
    assert json.dumps(conflict).count(first["id"]) == 1
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(3,)]
