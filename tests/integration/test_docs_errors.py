"""docs/errors.md has a section for each code, and the examples' answers are the service's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection
from django.test import AsyncClient

import bulkql
from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.server.auth import token_for
from bulkql.workers import errors
from bulkql.workers.conf import documentation_of
from bulkql.workers.errors import BulkError, Code
from bulkql.workers.resources.registry import resource_of
from bulkql.workers.uploads.uploads import announce, fill

pytestmark = pytest.mark.django_db(transaction=True, reset_sequences=True)

PAGE = (Path(__file__).parents[2] / "docs/errors.md").read_text()
SECTIONS = dict(re.findall(r"^### (\w+ [A-Z_]+)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))
#: Sections whose example is a request that can be sent to any service.
SENT = [name for name, text in SECTIONS.items() if "```graphql" in text]


def blocks(language, text):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def request_codes():
    """The codes of all request-level errors, and those that graphql-core's become."""
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, BulkError)]
    return {one.code for one in kinds}


def test_each_code_has_its_section_and_each_section_its_code():
    expected = {f"Request {code}" for code in request_codes()} | {f"Row {code}" for code in Code}

    assert set(SECTIONS) == expected
    for text in SECTIONS.values():
        assert blocks("json", text)


@pytest.mark.parametrize(("name", "text"), SECTIONS.items(), ids=SECTIONS)
def test_links_lead_to_their_sections(name, text):
    level, code = name.split()

    # As GitHub, and Python's own Markdown, make an anchor of a heading.
    assert documentation_of(level.lower(), code) == f"docs/errors.md#{name.lower().replace(' ', '-')}"


@pytest.fixture
def _ledger(user):
    cash, _ = (FinancialAccount.objects.create(name=name) for name in ("Cash", "Bank"))
    status = ClassificationStatus.objects.create(name="Open")
    FinancialTransaction.objects.create(
        amount="1.50",
        description="coffee",
        datetime="2026-01-01T00:00:00Z",
        financial_account=cash,
        classification_status=status,
    )


@pytest.fixture
def post(user):
    """Send a document as ada, as somebody without permissions, or as nobody."""
    User.objects.create_user("bob")

    def perform(name, **body):
        asking = {"Request UNAUTHENTICATED": None, "Request FORBIDDEN": User.objects.get(username="bob")}.get(
            name, user
        )
        headers = {"Authorization": f"Bearer {token_for(asking)}"} if asking else {}
        send = async_to_sync(AsyncClient().post)
        return send("/graphql", json.dumps(body), content_type="application/json", headers=headers).json()

    return perform


@pytest.mark.usefixtures("_ledger")
def test_the_answers_are_the_services_own(post):
    shown, answered = {}, {}
    for name in SENT:
        (query,), found = blocks("graphql", SECTIONS[name]), blocks("json", SECTIONS[name])
        variables = json.loads(found[0]) if len(found) == 2 else {}
        shown[name] = without_ids(found[-1])
        answered[name] = without_ids(json.dumps(told(post(name, query=query, variables=variables))))

    assert answered == shown


@pytest.mark.postgresql
@pytest.mark.usefixtures("_ledger")
def test_the_conflict_is_what_a_revert_tells(user):
    (shown,) = blocks("json", SECTIONS["Row CONFLICT"])
    changed = bulkql.update(FinancialAccount, [{"id": 1, "name": "Till"}], user=user)
    FinancialAccount.objects.filter(pk=1).update(name="Safe")

    (error,) = bulkql.revert(changed, user=user).row_errors()

    assert {name: error[name] for name in json.loads(shown)} == json.loads(shown)


@pytest.mark.usefixtures("_ledger")
def test_a_row_outside_of_the_queryset_is_forbidden_as_shown(user, monkeypatch):
    rows = FinancialAccount.objects.exclude(name="Cash")
    monkeypatch.setattr(type(resource_of(FinancialAccount)), "get_queryset", lambda self, user: rows)

    (error,) = bulkql.upsert(FinancialAccount, [{"name": "Cash"}], user=user).row_errors()

    assert_shown("Row FORBIDDEN", error)


@pytest.mark.postgresql
def test_a_row_that_a_trigger_prevents_is_rejected_as_shown(user):
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION prevent() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        cursor.execute(
            "CREATE TRIGGER prevent BEFORE INSERT ON ledger_financialaccount FOR EACH ROW EXECUTE FUNCTION prevent()"
        )
    try:
        (error,) = bulkql.create(FinancialAccount, [{"name": "Cash"}], user=user).row_errors()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION prevent CASCADE")

    assert_shown("Row REJECTED", error)


@pytest.mark.usefixtures("_ledger")
def test_a_record_with_a_surplus_cell_is_malformed_as_shown(post, user):
    header = "amount,description,datetime,financial_account.name,classification_status.name"
    records = [f"{n}.00,row {n},2026-02-0{n}T00:00:00Z,Cash,Open" for n in range(1, 8)]
    records.append("12,x,row 7,2026-01-01T00:00:00Z,Cash,Open")
    data = ContentFile("\n".join([header, *records]).encode())
    upload = fill(announce(user, "transactions.csv", None), data)
    query = """mutation ($id: ID!) {
        bulkCreate(input: { financialTransactions: { file: { uploadId: $id } } }, options: { mode: SYNC }) {
            created rowErrors { edges { node { index line path code message data } } }
    } }"""

    made = post("Row MALFORMED", query=query, variables={"id": str(upload.pk)})["data"]["bulkCreate"]

    assert made["created"] == 7
    assert_shown("Row MALFORMED", made["rowErrors"]["edges"][0]["node"])


def assert_shown(section, error):
    (shown,) = map(json.loads, blocks("json", SECTIONS[section]))
    assert {name: error[name] for name in shown} == shown


def without_ids(text):
    """An answer but for the ids that operations were given."""
    return json.loads(re.sub(r"operation [0-9a-f-]{36}", "operation ID", text))


def told(body):
    """What the page shows: the error, or the nodes of the row errors."""
    if "errors" in body:
        return {key: body["errors"][0][key] for key in ("message", "extensions")}
    (operation,) = body["data"].values()
    nodes = [edge["node"] for edge in operation["rowErrors"]["edges"]]
    return nodes[0] if len(nodes) == 1 else nodes


def test_a_page_that_is_published_elsewhere(settings, post):
    settings.BULKQL_DOCUMENTATION_URL = "https://bulk.example.org/errors"

    body = post("Request NOT_FOUND", query='{ operation(id: "1") { id } }')

    assert told(body)["extensions"]["documentation"] == "https://bulk.example.org/errors#request-not_found"
