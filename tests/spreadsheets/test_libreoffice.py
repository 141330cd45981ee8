"""Workbooks go through LibreOffice and come back: what people fill in, and what failed and is mended.

`make test-spreadsheets` runs it, where soffice is (Debian's libreoffice-calc-nogui).
"""

from __future__ import annotations

import datetime as dt
import io
import os
import subprocess
from decimal import Decimal
from urllib.parse import urlsplit

import openpyxl
import pytest

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.ledger.results import error_page
from bulkql.workers.readers.options import FileFormat, FileOptions
from tests.integration.conftest import ask  # noqa: F401  (a fixture)
from tests.integration.downloads import fetched, get, imported
from tests.integration.test_templates import LINK
from tests.zoo.models import Animal

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

XLSX = FileOptions(format=FileFormat.XLSX)
WAYS = pytest.mark.parametrize("ending", ["xlsx", "ods"])


@pytest.fixture(scope="session")
def office(tmp_path_factory):
    """What LibreOffice saves of a workbook that it has opened."""
    home = tmp_path_factory.mktemp("office")

    def saved(content: bytes, ending: str) -> bytes:
        (home / "in").mkdir(exist_ok=True)
        (home / "in" / "book.xlsx").write_bytes(content)
        subprocess.run(
            [
                *("soffice", f"-env:UserInstallation=file://{home}/profile", "--headless", "--convert-to", ending),
                *("--outdir", str(home / "out"), str(home / "in" / "book.xlsx")),
            ],
            check=True,
            capture_output=True,
            timeout=120,
            env={**os.environ, "HOME": str(home)},
        )
        return (home / "out" / f"book.{ending}").read_bytes()

    return saved


def bytes_of(book):
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def reasons(operation):
    return [(row["index"], row["path"], row["message"]) for _, row in error_page(operation, 100, None).entries]


@WAYS
def test_a_template_is_filled_in_and_arrives(user, ask, office, ending):  # noqa: F811
    FinancialAccount.objects.create(name="007")
    ClassificationStatus.objects.create(name="Open")
    link = ask(user, LINK % "url", resource="financialTransactions", verb="CREATE")["resourceTemplate"]["url"]
    _, content = get(urlsplit(link).path, user)
    book = openpyxl.load_workbook(io.BytesIO(content))
    rows = [[1.5, "00123", dt.datetime(2024, 2, 29, 12, 30), "007", "Open"]]
    rows.append([-1234567.89, "=1+1 & <ä>", dt.datetime(1999, 12, 31), "007", "Open"])
    for line, row in enumerate(rows, start=3):
        for place, value in enumerate(row, start=1):
            cell = book.worksheets[0].cell(line, place)
            cell.value = value
            cell.data_type = "s" if isinstance(value, str) else cell.data_type

    operation = imported(user, office(bytes_of(book), ending), XLSX, resource="financialTransactions")

    assert reasons(operation) == []
    found = FinancialTransaction.objects.order_by("pk").values_list("amount", "description", "datetime")
    assert list(found) == [
        (Decimal("1.50"), "00123", dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC)),
        (Decimal("-1234567.89"), "=1+1 & <ä>", dt.datetime(1999, 12, 31, tzinfo=dt.UTC)),
    ]


@WAYS
def test_what_failed_is_mended_and_arrives(user, office, ending):
    book = openpyxl.Workbook()
    book.active.append(["char", "integer", "decimal", "date", "duration", "time", "boolean", "number"])
    book.active.append(["x", "=1+1", 1.25, dt.date(2024, 2, 29), dt.timedelta(hours=30), dt.time(1, 2, 3), True, 1 / 3])
    book.active.append(["00123", "=2+1", None, "never", None, None, False, 1e-7])
    book.active["F2"].number_format, book.active["E2"].number_format = "hh:mm:ss", "[h]:mm:ss"

    first = imported(user, office(bytes_of(book), ending), XLSX)

    assert [(index, path) for index, path, _ in reasons(first)] == [(0, "char"), (1, "date"), (1, "integer")]
    again = office(fetched(first, "animals-failed.xlsx"), "xlsx")
    mended = openpyxl.load_workbook(io.BytesIO(again))
    sheet = mended.active
    assert sheet["A2"].comment.text.startswith("Ensure this value has at least 2 characters")
    assert sheet["D3"].fill.fgColor.rgb == "FFFFC7CE"
    sheet["A2"], sheet["B3"], sheet["D3"] = "xy", 4, dt.date(2024, 3, 1)

    second = imported(user, office(bytes_of(mended), ending), XLSX)

    assert reasons(second) == []
    found = list(Animal.objects.order_by("pk").values("char", "integer", "decimal", "date", "boolean"))
    assert found == [
        {"char": "xy", "integer": 2, "decimal": Decimal("1.25"), "date": dt.date(2024, 2, 29), "boolean": True},
        {"char": "00123", "integer": 4, "decimal": None, "date": dt.date(2024, 3, 1), "boolean": False},
    ]
    first_animal = Animal.objects.earliest("pk")
    assert (first_animal.duration, first_animal.time) == (dt.timedelta(hours=30), dt.time(1, 2, 3))


@WAYS
def test_cells_with_errors_are_told(user, office, ending):
    book = openpyxl.Workbook()
    book.active.append(["char", "integer"])
    book.active.append(["ab", "=1/0"])
    book.active.append(["cd", "=1+1"])

    operation = imported(user, office(bytes_of(book), ending), XLSX)

    assert reasons(operation) == [(0, "integer", "The cell B2 has the error #DIV/0!; fix its formula.")]
