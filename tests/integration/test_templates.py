"""resourceTemplate: a workbook to fill in, which is sent as it is."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from urllib.parse import urlsplit

import openpyxl
import pytest
from django.contrib.auth.models import Permission
from django.db import models

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.schema.templates import columns as template_columns
from bulkql.workers.enums import Outcome
from bulkql.workers.ledger.results import result_page
from bulkql.workers.operations.running import run
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from tests.integration.conftest import Refused
from tests.integration.downloads import file, get, refusal, request
from tests.zoo.models import Animal

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

XLSX = FileOptions(format=FileFormat.XLSX)
LINK = "query ($resource: String!, $verb: OperationKind!) { resourceTemplate(resource: $resource, verb: $verb) { %s } }"


@pytest.fixture
def template(ask):
    """The workbook that a user is given."""

    def fetch(user, resource, verb="CREATE"):
        link = ask(user, LINK % "name format url expiresAt", resource=resource, verb=verb)["resourceTemplate"]
        assert (link["name"], link["format"]) == (f"{resource}-{verb.lower()}.xlsx", "XLSX")
        answer, body = get(urlsplit(link["url"]).path, user)
        assert answer.status_code == 200
        assert answer["Content-Type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        return openpyxl.load_workbook(io.BytesIO(body))

    return fetch


def lines(book):
    return [[cell.value for cell in row] for row in book.worksheets[0].iter_rows()]


def offered(book):
    """What the drop-downs of each column offer."""
    found = {}
    for rule in book.worksheets[0].data_validations.dataValidation:
        if rule.type == "list":
            area = rule.formula1.removeprefix("choices!").replace("$", "")
            place = openpyxl.utils.range_boundaries(str(rule.sqref))[0]
            name = book.worksheets[0].cell(1, place).value
            found[name] = [cell.value for row in book["choices"][area] for cell in row] if ":" in area else []
    return found


def sent(user, book, resource):
    content = io.BytesIO()
    book.save(content)
    operation = run(request(user, file(user, content.getvalue(), XLSX, resource)))
    return [row["outcome"] for _, row in result_page(operation, 100, None).entries]


def test_a_template_that_is_filled_in_is_sent_as_it_is(user, template):
    cash = FinancialAccount.objects.create(name="Cash")
    FinancialAccount.objects.create(name="007")
    ClassificationStatus.objects.create(name="Open")

    book = template(user, "financialTransactions")

    names = ["amount", "description", "datetime", "financial_account.name", "classification_status.name"]
    assert lines(book) == [
        names,
        [
            "ⓘ Negative for money that leaves. At most 12 digits, 2 of them after the point. A number. Required.",
            "ⓘ What the bank wrote. Required.",
            "ⓘ When the money moved. A date and a time, such as 2024-12-31 18:30:00. Required.",
            "ⓘ Financial account: the name of one that is there. Required.",
            "ⓘ Classification status: the name of one that is there. Required.",
        ],
    ]
    assert offered(book) == {"financial_account.name": ["007", "Cash"], "classification_status.name": ["Open"]}
    assert book["choices"].sheet_state == "hidden"
    sheet = book.worksheets[0]
    for place, value in zip("ABCDE", [1.5, "=x", dt.datetime(2024, 2, 29, 12), "Cash", "Open"], strict=True):
        sheet[f"{place}3"] = value
    sheet["B3"].data_type = "s"

    assert sent(user, book, "financialTransactions") == [Outcome.CREATED]
    stored = FinancialTransaction.objects.get()
    assert (stored.amount, stored.description, stored.financial_account) == (Decimal("1.50"), "=x", cash)
    assert stored.datetime == dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)


def test_an_empty_template_has_no_rows(user, template):
    book = template(user, "keepers")
    content = io.BytesIO()
    book.save(content)

    operation = run(request(user, file(user, content.getvalue(), XLSX, "keepers")))

    operation.refresh_from_db()
    assert (operation.state, operation.message) == ("FAILED", "The file has no rows.")


def test_columns_say_what_they_take(user, template):
    book = template(user, "animals")

    help_of = dict(zip(*lines(book), strict=True))
    assert help_of["char"] == "ⓘ Char. At most 10 characters. Required."
    assert help_of["size"] == f"ⓘ Size. One of {', '.join(offered(book)['size'])}."
    assert help_of["boolean"] == "ⓘ Boolean. TRUE or FALSE."
    assert help_of["date"] == "ⓘ Date. A date, such as 2024-12-31."
    assert offered(book)["boolean"] == ["TRUE", "FALSE"]
    sheet = book.worksheets[0]
    places = {cell.value: cell.column_letter for cell in sheet[1]}
    for name, value in {
        "char": "007",
        "size": offered(book)["size"][1],
        "boolean": "FALSE",
        "date": "2024-02-29",
    }.items():
        sheet[f"{places[name]}3"] = value

    assert sent(user, book, "animals") == [Outcome.CREATED]
    animal = Animal.objects.get()
    assert (animal.char, animal.size, animal.boolean, animal.date) == ("007", 2, False, dt.date(2024, 2, 29))
    lengths = [rule for rule in sheet.data_validations.dataValidation if rule.type == "textLength"]
    assert {str(rule.sqref).split(":")[0]: rule.formula1 for rule in lengths}[f"{places['char']}3"] == "10"


@pytest.mark.parametrize(
    ("verb", "names"),
    [("UPDATE", ["id", "name"]), ("UPSERT", ["name"]), ("DELETE", ["name"]), ("REPLACE", ["id", "name"])],
)
def test_the_columns_are_those_of_the_verb(user, template, verb, names):
    assert lines(template(user, "financialAccounts", verb))[0] == names


def test_who_may_not_read_the_targets_gets_no_drop_down_of_them(django_user_model, template):
    FinancialAccount.objects.create(name="Secret")
    ClassificationStatus.objects.create(name="Open")
    ann = django_user_model.objects.create_user("ann")
    for codename in ("add_financialtransaction", "view_classificationstatus"):
        ann.user_permissions.add(Permission.objects.get(codename=codename))

    assert offered(template(ann, "financialTransactions")) == {"classification_status.name": ["Open"]}


def test_many_targets_are_not_offered(user, template, monkeypatch):
    monkeypatch.setattr(template_columns, "REFERENCES", 2)
    for name in "abc":
        FinancialAccount.objects.create(name=name)

    assert "financial_account.name" not in offered(template(user, "financialTransactions"))


def test_targets_are_those_that_the_user_may_point_to(user, template, monkeypatch):
    rules = resource_named("financialAccounts")
    FinancialAccount.objects.create(name="Mine")
    FinancialAccount.objects.create(name="Theirs")
    monkeypatch.setattr(
        type(rules), "get_queryset", lambda self, user: FinancialAccount.objects.filter(name="Mine"), raising=False
    )

    assert offered(template(user, "financialTransactions"))["financial_account.name"] == ["Mine"]


def test_fields_that_a_user_may_not_write_are_no_columns(user, template, monkeypatch):
    rules = resource_named("financialTransactions")
    monkeypatch.setattr(type(rules), "writable_fields", lambda self, user: ("amount",), raising=False)

    # What rows are found by is no field that they write.
    assert lines(template(user, "financialTransactions", "UPDATE"))[0] == [
        "amount",
        "datetime",
        "financial_account.name",
    ]


def test_a_link_is_for_those_who_may_write_the_rows(user, ask, django_user_model):
    ann = django_user_model.objects.create_user("ann")
    link = ask(user, LINK % "url", resource="keepers", verb="CREATE")["resourceTemplate"]["url"]
    path = urlsplit(link).path

    with pytest.raises(Refused) as refused:
        ask(ann, LINK % "url", resource="keepers", verb="CREATE")
    assert refused.value.args[0] == [("FORBIDDEN", "Create of keepers needs the permission zoo.add_keeper.")]
    assert refusal(path, ann) == (403, "FORBIDDEN")
    assert refusal(path) == (401, "UNAUTHENTICATED")
    assert refusal(path.replace("keepers-create", "keepers-update"), user) == (404, "NOT_FOUND")
    with pytest.raises(Refused) as unknown:
        ask(user, LINK % "url", resource="x", verb="CREATE")
    assert unknown.value.args[0][0][0] == "BAD_INPUT"


#: A value of each field that is as long as its kind has them.
LONGEST = {"token": "12345678-1234-5678-1234-567812345678", "address": "1111:2222:3333:4444:5555:6666:7777:8888"}


def test_no_column_refuses_a_value_that_its_field_takes(user, template):
    book = template(user, "animals")
    names = [cell.value for cell in book.worksheets[0][1]]

    lengths = {
        names[openpyxl.utils.range_boundaries(str(rule.sqref))[0] - 1]: int(rule.formula1)
        for rule in book.worksheets[0].data_validations.dataValidation
        if rule.type == "textLength"
    }

    texts = {field.name: field.max_length for field in Animal._meta.fields if isinstance(field, models.CharField)}
    assert lengths == {name: texts[name] for name in names if texts.get(name)} | {"keeper.code": 50}
    book.worksheets[0].append([{**LONGEST, "char": "ab"}.get(name) for name in names])
    assert sent(user, book, "animals") == [Outcome.CREATED]
