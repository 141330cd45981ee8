"""bulkExport: rows of the table become files."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import zstandard
from django.db import connection
from django.db.models import Count, F, Q

import bulkql
from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.errors import BadInput
from bulkql.workers.models import Chunk, Export, Input, Operation, StoredFile
from bulkql.workers.operations import steps
from tests.integration.conftest import Refused
from tests.zoo.models import Item, Note, Tag

pytestmark = pytest.mark.django_db

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def ten() -> list[FinancialTransaction]:
    """Five transactions of each of two accounts."""
    status = ClassificationStatus.objects.create(name="open")
    accounts = FinancialAccount.objects.bulk_create(FinancialAccount(name=name) for name in ("Cash", "Bank"))
    return FinancialTransaction.objects.bulk_create(
        FinancialTransaction(
            amount=Decimal(f"{n}.50"),
            description=f"number {n}",
            datetime=datetime(2026, 1, 1 + n, 12, 0, 0, n % 2 * 250_000, tzinfo=UTC),
            financial_account=accounts[n % 2],
            classification_status=status,
        )
        for n in range(10)
    )


def text_of(operation) -> str:
    (file,) = operation.files
    return file.read().decode()


def rows_of(operation) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(operation), newline=""), strict=True))


@pytest.mark.parametrize("where", [Q(pk__in=[]), FinancialTransaction.objects.none()], ids=["an empty list", "none()"])
def test_a_filter_that_lets_no_row_through_makes_a_file_without_rows(user, ten, where):
    operation = bulkql.export(FinancialTransaction, user=user, where=where, fields=["id", "amount"])

    assert (operation.state, operation.exported, text_of(operation)) == ("COMPLETED", 0, "id,amount\n")


def test_an_export_is_an_operation_with_a_file(user, ten):
    operation = bulkql.export(FinancialTransaction, user=user, label="for the auditor")

    assert repr(operation) == f"<BulkOperation {operation.id} COMPLETED: 10 exported>"
    assert (operation.total, operation.exported, operation.failed) == (10, 10, 0)
    (file,) = operation.files
    assert (file.name, file.format, file.rows) == ("financialTransactions.csv", "CSV", 10)
    assert text_of(operation).splitlines()[:3] == [
        "amount,description,datetime,financial_account,classification_status",
        f"0.50,number 0,2026-01-01T12:00:00Z,{ten[0].financial_account_id},{ten[0].classification_status_id}",
        f"1.50,number 1,2026-01-02T12:00:00.25Z,{ten[1].financial_account_id},{ten[1].classification_status_id}",
    ]


def test_fields_are_called_as_they_were_asked_for_and_lead_through_foreign_keys(user, ten):
    operation = bulkql.export(
        FinancialTransaction, user=user, fields=["id", "financialAccount.name", "classification_status.name"],
        where=Q(amount__lt=2), order_by=["-amount"],
    )  # fmt: skip

    assert text_of(operation).splitlines() == [
        "id,financialAccount.name,classification_status.name",
        f"{ten[1].pk},Bank,open",
        f"{ten[0].pk},Cash,open",
    ]


def test_a_condition_on_other_tables_gives_each_row_once(user):
    tags = Tag.objects.bulk_create(Tag(name=name, number=n) for n, name in enumerate(("a", "b")))
    note = Note.objects.create(title="n")
    note.tags.set(tags)

    operation = bulkql.export(
        Note, user=user, where=Q(tags__name__in=["a", "b"]), fields=["title", "tags", "tags.name"]
    )

    (row,) = rows_of(operation)
    assert json.loads(row["tags"]) == [one.pk for one in tags]
    assert json.loads(row["tags.name"]) == ["a", "b"]


@pytest.mark.parametrize("mode", ["SYNC", "ASYNC"])
def test_a_slice_of_a_queryset_is_what_it_is(user, ten, mode):
    latest = FinancialTransaction.objects.order_by("-datetime")[2:5]

    first = bulkql.export(FinancialTransaction, user=user, where=latest, fields=["description"])
    again = bulkql.export(
        FinancialTransaction, user=user, where=latest, order_by=["datetime"], fields=["description"], mode=mode
    )

    assert [row["description"] for row in rows_of(first)] == ["number 7", "number 6", "number 5"]
    for one in Input.objects.filter(operation=again.id, read_at=None):
        steps.read_input(one.pk)
    again.refresh()
    assert [row["description"] for row in rows_of(again)] == ["number 5", "number 6", "number 7"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            {"order_by": ["tags__name"]},
            "notes cannot be ordered by zoo_note_tags, of which a row may have several; order by fields of which it "
            "has one.",
        ),
        (
            {"where": Note.objects.order_by(F("tags__name").desc())},
            "notes cannot be ordered by zoo_note_tags, of which a row may have several; order by fields of which it "
            "has one.",
        ),
        (
            {"where": Note.objects.annotate(n=Count("tags")).order_by("n")},
            "where: Cannot resolve keyword 'n' into field. Choices are: changed, id, keepers, tags, text, title",
        ),
    ],
    ids=["order_by", "an expression", "an annotation"],
)
def test_an_order_in_which_rows_have_no_place_is_refused(user, how, message):
    with pytest.raises(BadInput) as refused:
        bulkql.export(Note, user=user, **how)

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("compression", "ending", "opened"),
    [("GZIP", ".gz", gzip.decompress), ("ZSTD", ".zst", lambda data: zstandard.decompress(data, 10_000))],
    ids=["gzip", "zstd"],
)
def test_a_file_is_compressed_as_asked(user, ten, compression, ending, opened):
    (file,) = bulkql.export(FinancialTransaction, user=user, compression=compression).files

    assert file.name == f"financialTransactions.csv{ending}"
    assert opened(file.read()) == bulkql.export(FinancialTransaction, user=user).files[0].read()


def test_parquet_has_types(user, ten):
    (file,) = bulkql.export(FinancialTransaction, user=user, format="PARQUET").files

    frame = pl.read_parquet(file.read())

    assert frame.schema == {
        "amount": pl.Decimal(38, 2),
        "description": pl.String(),
        "datetime": pl.Datetime("us", "UTC"),
        "financial_account": pl.Int64(),
        "classification_status": pl.Int64(),
    }
    assert frame["amount"].to_list() == [one.amount for one in ten]
    assert frame["datetime"].to_list() == [one.datetime for one in ten]


def test_ndjson_has_numbers_texts_and_nulls(user):
    Item.objects.create(code='a "quoted"\nline\t\\', qty=3, price=Decimal("1.50"), ratio=0.1, active=True, note=None)

    (file,) = bulkql.export(Item, user=user, format="NDJSON").files

    (line,) = file.read().decode().splitlines()
    assert json.loads(line) == {
        "code": 'a "quoted"\nline\t\\',
        "name": "",
        "qty": 3,
        "big": None,
        "price": "1.50",
        "ratio": 0.1,
        "active": True,
        "day": None,
        "at": None,
        "note": None,
        "colour": None,
    }


@pytest.mark.parametrize("form", ["CSV", "NDJSON", "PARQUET", "XLSX"])
def test_a_table_without_rows_gives_a_file_without_rows(user, form):
    operation = bulkql.export(Item, user=user, format=form)

    (file,) = operation.files
    assert (operation.state, operation.total, file.rows) == ("COMPLETED", 0, 0)
    assert bool(file.read()) == (form != "NDJSON")


def test_several_resources_are_one_operation_of_one_moment(user, ten):
    operation = bulkql.export([FinancialTransaction, FinancialAccount], user=user, format="NDJSON")

    assert [(file.name, file.rows) for file in operation.files] == [
        ("financialAccounts.ndjson", 2),
        ("financialTransactions.ndjson", 10),
    ]
    assert (operation.total, operation.exported) == (12, 12)


def test_a_dry_run_counts(user, ten):
    operation = bulkql.export(FinancialTransaction, user=user, where=Q(amount__lt=3), dry_run=True)

    assert (operation.state, operation.total, operation.exported, operation.files) == ("COMPLETED", 3, 3, [])
    assert not StoredFile.objects.exists()


def test_few_rows_come_at_once_and_more_are_queued(user, ten, settings):
    few = bulkql.export(FinancialTransaction, user=user, mode="AUTO")
    FinancialTransaction.objects.bulk_create(
        FinancialTransaction(
            amount=1, description="", datetime=datetime(2027, 1, 1, 0, n, tzinfo=UTC),
            financial_account=ten[0].financial_account, classification_status=ten[0].classification_status,
        )
        for n in range(41)
    )  # fmt: skip
    many = bulkql.export(FinancialTransaction, user=user, mode="AUTO")

    assert (few.state, len(few.files)) == ("COMPLETED", 1)
    assert (many.state, many.total, many.files) == ("QUEUED", None, [])


def test_the_same_key_and_the_same_export_are_one_operation(user, ten):
    first = bulkql.export(FinancialTransaction, user=user, idempotency_key="k")

    assert bulkql.export(FinancialTransaction, user=user, idempotency_key="k").id == first.id
    with pytest.raises(bulkql.IdempotencyConflict):
        bulkql.export(FinancialTransaction, user=user, idempotency_key="k", fields=["amount"])


def test_the_connection_is_as_it_was(user, ten):
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        before = cursor.fetchone()
        bulkql.export(FinancialTransaction, user=user, mode="AUTO")
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == before


def test_the_examples_of_the_docs_run(user, ask, ten, tmp_path):
    page = (DOCS / "export.md").read_text()
    (document,) = re.findall(r"```graphql\n(.*?)```", page, re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)

    told = ask(user, document, account=str(ten[0].financial_account_id))["bulkExport"]
    exec(code, {"ada": user, "directory": tmp_path})

    assert [(file["name"], file["rows"]) for file in told["files"]] == [
        ("financialAccounts.csv", "2"),
        ("financialTransactions.csv.gz", "5"),
    ]
    assert pl.read_parquet(tmp_path / "financialTransactions.parquet").columns == [
        "datetime", "financial_account.name", "amount",
    ]  # fmt: skip


DOCUMENT = """mutation ($input: BulkExportInput!, $options: BulkOptions) {
    bulkExport(input: $input, options: $options) {
        kind state total processed exported percentage
        resources { resource exported }
        files { name format rows bytes url }
    }
}"""


def test_over_graphql_with_a_filter_and_an_order(user, ask, ten):
    given = {
        "financialTransactions": {
            "where": {"amount": {"lt": "2"}},
            "order": [{"amount": "DESC"}],
            "fields": ["amount", "financialAccount.name"],
        }
    }

    told = ask(user, DOCUMENT, input=given)["bulkExport"]

    (file,) = told.pop("files")
    assert told == {
        "kind": "EXPORT",
        "state": "COMPLETED",
        "total": 2,
        "processed": 2,
        "exported": 2,
        "percentage": 100.0,
        "resources": [{"resource": "financialTransactions", "exported": 2}],
    }
    assert file["rows"] == "2"
    assert file["bytes"] == str(len("amount,financialAccount.name\n1.50,Bank\n0.50,Cash\n"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "The input names no resource; give one an object, {} for all of its rows."),
        ({"items": {"fields": []}}, "fields of items is empty; name some, or leave it out."),
        ({"items": {"fields": ["code", "code"]}}, "fields of items names one field twice: code, code."),
        ({"items": {"format": "XLSX", "compression": "GZIP"}},
         "A workbook is compressed by itself; leave `compression` out."),
        ({"items": {"fields": ["nam"]}},
         "items has no field 'nam'. Its fields are id, code, name, qty, big, price, ratio, active, day, at, note, "
         "colour."),
        ({"items": {"fields": ["code.name"]}}, "code.name is not valid: code of items does not refer to a resource."),
        ({"notes": {"fields": ["tags.name.x"]}},
         "tags.name.x is not valid: after a list there can be only one field of its targets."),
        ({"items": {"where": {"code": {"exact": None}}}},
         "items.where.code.exact is null, and would filter nothing. Leave it out, or give it a value; "
         "{isNull: true} finds the rows that have none."),
    ],
    ids=["nothing", "no-fields", "twice", "packed", "unknown", "nowhere", "behind-list", "null"],
)  # fmt: skip
def test_what_cannot_be_is_refused(user, ask, given, message):
    with pytest.raises(Refused) as refused:
        ask(user, DOCUMENT, input=given)

    assert refused.value.args[0] == [("BAD_INPUT", message)]
    assert not Chunk.objects.exists()
    assert not Export.objects.exists()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["AUTO", "SYNC", "ASYNC"])
def test_a_filter_that_the_database_does_not_take_is_told_at_once(user, ask, mode):
    given = {"financialTransactions": {"where": {"description": {"regex": "("}}}}

    with pytest.raises(Refused, match=r"financialTransactions.where: .*regular expression"):
        ask(user, DOCUMENT, input=given, options={"mode": mode})

    assert not Operation.objects.exists()


def test_an_export_skips_no_existing_rows(user, ask):
    with pytest.raises(Refused, match=r"skipExisting is for rows to create; an export creates none\."):
        ask(user, DOCUMENT, input={"financialTransactions": {}}, options={"skipExisting": True})
