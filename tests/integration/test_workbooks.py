"""Workbooks in, and failed rows back as workbooks that can be mended and sent again."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal

import openpyxl
import polars as pl
import pytest

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.enums import Verb
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger.results import error_page
from bulkql.workers.operations.running import run
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from tests.integration.downloads import fetched, file, imported, sent
from tests.zoo.models import Animal

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

XLSX = FileOptions(format=FileFormat.XLSX)
RED = "FFFFC7CE"


def workbook(*rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return saved(book)


def saved(book):
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def marked(sheet):
    """The guilty cells, and what their comments say."""
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row]
    return {
        cell.coordinate: cell.comment.text if cell.comment else None
        for cell in cells
        if cell.fill.bgColor.rgb == RED or cell.fill.fgColor.rgb == RED
    }


ROWS = [
    ["char", "integer", "decimal", "date", "datetime", "duration", "boolean", "shout", "plate"],
    ["00123", 2, 1.5, dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 12), dt.timedelta(hours=30), False, "=1+1", None],
    ["00124", 3, 1.25, dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 12), dt.timedelta(hours=1), True, "-x", "AB-1"],
    ["00125", 5.5, 2, "tomorrow", None, None, None, None, "#N/A"],
    ["unicorn", 4, 3, None, None, None, None, None, None],
]


def test_what_failed_comes_back_marked_and_is_right_once_it_is_mended(user):
    rows = [list(row) for row in ROWS]
    rows[1][7] = "=1+1 is two"  # openpyxl would make a formula of it
    book = openpyxl.load_workbook(io.BytesIO(workbook(*rows)))
    book.active["H2"].data_type = "s"
    operation = imported(user, saved(book), XLSX)

    first = Animal.objects.get()
    assert (first.char, first.decimal, first.date) == ("00123", Decimal("1.50"), dt.date(2024, 2, 29))
    assert (first.duration, first.boolean, first.shout) == (dt.timedelta(hours=30), False, "=1+1 IS TWO")

    back = openpyxl.load_workbook(io.BytesIO(fetched(operation, "animals-failed.xlsx")))
    sheet = back.active
    assert [cell.value for cell in sheet[1]] == [
        *ROWS[0], "bulkql_row", "bulkql_code", "bulkql_path", "bulkql_message",
    ]  # fmt: skip
    assert [cell.value for cell in sheet[2]] == [
        "00124", 3, 1.25, dt.datetime(2024, 2, 29), dt.datetime(2024, 2, 29, 12), "01:00:00", True, "-x", "AB-1",
        "1", "INVALID", "integer", "3 is not even.",
    ]  # fmt: skip
    assert marked(sheet) == {
        "B2": "3 is not even.",
        "B3": "“5.5” value must be an integer.",
        "D3": "“tomorrow” value has an invalid date format. It must be in YYYY-MM-DD format.",
        "I3": "The cell I4 has the error #N/A; fix its formula.",
        "M4": None,
    }

    for place, value in {"B2": 6, "B3": 8, "D3": dt.date(2024, 3, 1), "I3": "CD-2", "A4": "horse"}.items():
        sheet[place] = value
    again = imported(user, saved(back), XLSX)

    assert again.chunks.get().failed == 0
    assert list(Animal.objects.order_by("pk").values_list("char", "integer", "plate", "shout")[1:]) == [
        ("00124", 6, "AB-1", "-X"),
        ("00125", 8, "CD-2", "QUIET"),
        ("horse", 4, None, "QUIET"),
    ]


#: Texts that lose something where somebody is careless.
TEXTS = ["=1+1", "'=1", "-5", "+a", "@x", " a ", "007", "5.0", "1e3", "TRUE", "true", "2024-02-29", "two\nlines",
         "a\rb", "_x0041_", "\x01", "#N/A", "ⓘ", "<&>\"'", "\N{GRINNING FACE}", "http://x.y", "x" * 32_767]  # fmt: skip


def test_no_text_of_any_column_changes_on_its_way_through_a_workbook(user):
    fields = ["text", "decimal", "integer", "number", "date", "datetime", "time", "boolean", "duration", "json"]
    frame = pl.DataFrame({"char": ["x"] * len(TEXTS), **dict.fromkeys(fields, TEXTS)})  # too short, all of them
    operation = imported(user, frame.write_csv(quote_style="always").encode())

    again = imported(user, fetched(operation, "animals-failed.xlsx"), XLSX)

    rows = list(range(len(TEXTS)))
    assert sent(operation, rows).equals(frame)
    assert sent(again, rows).equals(sent(operation, rows))


def test_what_no_workbook_holds_is_refused_when_it_comes_back(user):
    rows = [{"char": "x", "text": text} for text in ("x" * 32_768, "a\ufffe")]
    operation = run(
        BulkRequest(
            verb=Verb.CREATE,
            user=user,
            inputs=[InputRequest(resource=resource_named("animals"), rows=rows)],
            mode=Mode.SYNC,
        )
    )
    book = openpyxl.load_workbook(io.BytesIO(fetched(operation, "animals-failed.xlsx")), data_only=True)

    assert [row[1].value for row in book.active.iter_rows(min_row=2)] == ["#N/A", "#N/A"]
    again = imported(user, fetched(operation, "animals-failed.xlsx"), XLSX)
    assert ("text", "#N/A") in {(row["path"], row["data"]) for _, row in error_page(again, 10, None).entries}


def test_rows_of_csv_come_back_as_a_workbook_too(user):
    content = b"char;integer;text\nx;2;=cmd()\n"

    operation = imported(user, content, FileOptions(format=FileFormat.CSV, delimiter=";"))

    sheet = openpyxl.load_workbook(io.BytesIO(fetched(operation, "animals-failed.xlsx"))).active
    assert [cell.value for cell in sheet[2]][:3] == ["x", 2, "=cmd()"]
    assert sheet["C2"].data_type == "s"


def test_a_workbook_finds_its_key_when_it_is_read(user):
    account = FinancialAccount.objects.create(name="Cash")
    content = workbook(["id", "name"], [account.pk, "Bank"], [account.pk + 1, "None"])

    item = file(user, content, XLSX, "financialAccounts")
    operation = run(BulkRequest(verb=Verb.UPDATE, user=user, inputs=[item], mode=Mode.SYNC))

    assert FinancialAccount.objects.get().name == "Bank"
    assert operation.inputs.get().match_by == ["id"]
    assert [row["code"] for _, row in error_page(operation, 10, None).entries] == ["NOT_FOUND"]


def test_a_workbook_that_cannot_be_read_fails_with_words(user):
    item = file(user, workbook(["char"], ["ab"]), FileOptions(format=FileFormat.XLSX, sheet="x"))

    operation = run(BulkRequest(verb=Verb.CREATE, user=user, inputs=[item], mode=Mode.SYNC))

    operation.refresh_from_db()
    assert (operation.state, operation.message) == ("FAILED", "The workbook has no sheet 'x'; it has 'Sheet'.")
