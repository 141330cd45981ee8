"""An open websocket ends with what it signed in with: asked at each operation, and meanwhile every few seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import websockets
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.test import override_settings
from websockets.sync.client import ClientConnection, connect

from bulkql.server.auth import token_for
from tests.acceptance.rows import transactions
from tests.acceptance.service import CREATE, Service, wait_for

#: Seconds between two questions, by default.
AUTHORITY_SECONDS = 5
PASSWORD = make_password("secret")


@dataclass
class Person:
    """A user of the service, who may create transactions."""

    service: Service
    name: str
    pk: int

    @classmethod
    def of(cls, service: Service) -> Person:
        """A new one, who may sign in at the admin too."""
        name = f"person-{uuid4().hex[:8]}"
        service.sql(
            "INSERT INTO auth_user (username, password, is_superuser, is_staff, is_active, first_name, last_name,"
            " email, date_joined) VALUES (%s, %s, false, true, true, '', '', '', now())",
            name,
            PASSWORD,
        )
        ((pk,),) = service.sql("SELECT id FROM auth_user WHERE username = %s", name)
        for codename in ("add_financialtransaction", "view_financialtransaction"):
            service.sql(
                "INSERT INTO auth_user_user_permissions (user_id, permission_id)"
                " SELECT %s, id FROM auth_permission WHERE codename = %s",
                pk,
                codename,
            )
        return cls(service, name, pk)

    def token(self, days: float | None = None) -> str:
        with override_settings(SECRET_KEY=self.service.state["SECRET_KEY"]):
            return token_for(User(pk=self.pk, password=PASSWORD), days)

    def session(self) -> str:
        """The cookie of a browser that has signed in."""
        with httpx.Client(base_url=self.service.url) as browser:
            browser.get("/admin/login/")
            form = {"username": self.name, "password": "secret", "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
            browser.post("/admin/login/", data=form)
            return browser.cookies["sessionid"]


class Socket:
    """A signed-in websocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, query: str, **variables: Any) -> str:
        identifier = uuid4().hex
        payload = {"query": query, "variables": variables}
        self._connection.send(json.dumps({"type": "subscribe", "id": identifier, "payload": payload}))
        return identifier

    def receive(self, identifier: str, seconds: float = 20) -> Any:
        """The next thing that is said of an operation: data, errors or None for its end."""
        while True:
            message = json.loads(self._connection.recv(timeout=seconds))
            if message.get("id") == identifier:
                return None if message["type"] == "complete" else message["payload"]

    def ask(self, query: str, **variables: Any) -> Any:
        return self.receive(self.send(query, **variables))

    def create(self) -> Any:
        answer = self.ask(CREATE, input={"financialTransactions": {"rows": transactions(1)}})
        return answer[0]["extensions"]["code"] if isinstance(answer, list) else codes_or_data(answer)

    def closed(self, seconds: float) -> int | None:
        """The code with which it is closed, within so many seconds."""
        deadline = time.monotonic() + seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                self._connection.recv(timeout=left)
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else None
        except TimeoutError:
            pass
        return None


def codes_or_data(answer: dict[str, Any]) -> Any:
    errors = answer.get("errors")
    return errors[0]["extensions"]["code"] if errors else answer["data"]["bulkCreate"]["state"]


@contextmanager
def opened(service: Service, *, token: str | None = None, session: str | None = None) -> Iterator[Socket]:
    url = f"{service.url.replace('http', 'ws', 1)}/graphql"
    cookie = {"Cookie": f"sessionid={session}"} if session else {}
    protocol = websockets.Subprotocol("graphql-transport-ws")
    with connect(url, subprotocols=[protocol], additional_headers=cookie, max_size=None) as connection:
        payload = {"authorization": f"Bearer {token}"} if token else {}
        connection.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(connection.recv(timeout=20))["type"] == "connection_ack"
        yield Socket(connection)


def deactivated(person: Person) -> None:
    person.service.sql("UPDATE auth_user SET is_active = false WHERE id = %s", person.pk)


def password_changed(person: Person) -> None:
    person.service.sql("UPDATE auth_user SET password = %s WHERE id = %s", make_password("other"), person.pk)


def deleted(person: Person) -> None:
    for rows in ("auth_user_user_permissions WHERE user_id", "django_admin_log WHERE user_id", "auth_user WHERE id"):
        person.service.sql(f"DELETE FROM {rows} = %s", person.pk)


def session_deleted(person: Person) -> None:
    person.service.sql("DELETE FROM django_session")


def session_expired(person: Person) -> None:
    person.service.sql("UPDATE django_session SET expire_date = now() - interval '1 second'")


#: What ends a socket, by what it signed in with.
REVOCATIONS: list[tuple[str, Callable[[Person], None]]] = [
    ("token", deactivated),
    ("token", password_changed),
    ("token", deleted),
    ("session", deactivated),
    ("session", password_changed),
    ("session", deleted),
    ("session", session_deleted),
    ("session", session_expired),
]
NAMES = [f"{how}-{revoke.__name__}" for how, revoke in REVOCATIONS]


@pytest.fixture
def free(service: Service) -> Service:
    """The service; and no operation is left that refers to a user who is then deleted by SQL."""
    service.sql("DELETE FROM bulkql_chunk")
    service.sql("DELETE FROM bulkql_input")
    service.sql("DELETE FROM bulkql_operation")
    return service


@pytest.mark.parametrize(("how", "revoke"), REVOCATIONS, ids=NAMES)
def test_revoked_user_writes_nothing_more_on_an_open_websocket(free, how, revoke):
    person = Person.of(free)
    with opened(free, **{how: getattr(person, how)()}) as socket:
        revoke(person)
        refused = None
        # The service's own look at open sockets may come between, and close this one unasked.
        with suppress(websockets.ConnectionClosed):
            refused = socket.create()

        assert refused in ("UNAUTHENTICATED", None)
        assert socket.closed(5) == 4403
    assert free.sql("SELECT count(*) FROM ledger_financialtransaction") == [(0,)]


def test_idle_websockets_of_revoked_users_are_closed_and_the_others_stay(free):
    with ExitStack() as stack:
        bystander = stack.enter_context(opened(free, token=Person.of(free).token()))
        sockets = {}
        # Sessions that go all together come last.
        for name, (how, revoke) in zip(NAMES, REVOCATIONS, strict=True):
            person = Person.of(free)
            sockets[name] = stack.enter_context(opened(free, **{how: getattr(person, how)()}))
            sockets[name].send("subscription { operations { id } }")
            revoke(person)
        expiring = Person.of(free).token(days=3 / 86400)
        sockets["token-expired"] = stack.enter_context(opened(free, token=expiring))

        closed = {name: socket.closed(3 * AUTHORITY_SECONDS) for name, socket in sockets.items()}

        assert closed == dict.fromkeys(sockets, 4403)
        assert bystander.create() == "COMPLETED"


def test_permission_that_is_taken_is_missed_by_the_next_mutation_on_the_same_websocket(service):
    person = Person.of(service)
    with opened(service, token=person.token()) as socket:
        assert socket.create() == "COMPLETED"

        service.sql("DELETE FROM auth_user_user_permissions WHERE user_id = %s", person.pk)

        assert socket.create() == "FORBIDDEN"


def test_staff_that_is_staff_no_more_hears_no_more_of_others(service):
    person = Person.of(service)
    rows = [{**row, "description": "slow"} for row in transactions(2000)]
    with opened(service, token=person.token()) as socket:
        others = service.create({"mode": "ASYNC", "chunkSize": 1}, financialTransactions={"rows": rows})["id"]
        watching = socket.send("subscription ($id: ID!) { operation(id: $id) { state } }", id=others)
        assert socket.receive(watching)["data"]["operation"]["state"]

        service.sql("UPDATE auth_user SET is_staff = false WHERE id = %s", person.pk)
        answer = wait_for(lambda: until_errors(socket, watching), 60, "the end of the subscription")
        service.post("mutation ($id: ID!) { cancelOperation(id: $id) { id } }", id=others)

        assert answer[0]["extensions"]["code"] == "NOT_FOUND"


def until_errors(socket: Socket, identifier: str) -> Any:
    answer = socket.receive(identifier, 60)
    assert answer is not None, "the operation was told to its end"
    return answer.get("errors") if isinstance(answer, dict) else answer


def test_mutations_side_by_side_on_one_websocket_write_each_its_own_rows(service):
    amounts = [f"{number}.00" for number in range(40)]
    with opened(service, token=Person.of(service).token()) as socket:
        given = [
            {"financialTransactions": {"rows": [{**row, "amount": amount}]}}
            for row, amount in zip(transactions(40), amounts, strict=True)
        ]
        for one in given:
            socket.send(CREATE, input=one)
        wait_for(lambda: len(service.sql("SELECT 1 FROM ledger_financialtransaction")) >= 40, 20, "forty rows")

    written = service.sql("SELECT amount::text FROM ledger_financialtransaction t ORDER BY t.amount")
    assert [amount for (amount,) in written] == amounts


def test_queued_work_of_a_user_whose_permission_is_taken_fails_in_the_workers(service):
    person = Person.of(service)
    rows = transactions(3000)
    given = {"financialTransactions": {"rows": rows}}
    options = {"mode": "ASYNC", "chunkSize": 1}
    started = service.post(CREATE, token=person.token(), input=given, options=options)["data"]["bulkCreate"]

    service.sql("DELETE FROM auth_user_user_permissions WHERE user_id = %s", person.pk)
    over = service.finished(started["id"])

    assert over["state"] == "FAILED"
    assert "needs the permission ledger.add_financialtransaction" in over["message"]
    assert over["created"] + over["skipped"] == 3000
    assert over["skipped"] > 0
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(over["created"],)]
