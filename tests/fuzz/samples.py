"""Valid files of every format that is read: what the fuzz changes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

CSV = (
    'name\nCash\n"Bank, main"\n"say ""hi"""\n',
    "name,bulkql_row\r\nCash,1\r\nBank,2\r\n",
    "sep=;\nname;\nCash;\n",
    "amount,description,datetime,financial_account.name,classification_status\n"
    '1.50,"Rent, May",2024-05-01T10:00:00Z,Cash,1\n"1,000.00",é,01.05.2024,Bank,\n',
    "name\rCash\rBank\r",
    "name\n",
    "",
)
NDJSON = (
    '{"name": "Cash"}\n{"name": null}\n{"name": ["a", {"b": 1.50}]}\n',
    '{"name": "\\ud83d\\ude00"}\n{}\n{"other": 1}\n',
    '{"amount": 1.5, "description": "é", "datetime": "2024-05-01T10:00:00Z", "financialAccountBy": {"name": "Cash"}}\n',
    "",
)
ARRAYS = (
    '[{"name": "Cash"}, {"name": null}]',
    '[\n  {"name": "a\\"]b"},\n  {"name": [1, {"b": []}]}\n]\n',
    '[{"amount": "1.50", "financial_account.name": "Cash", "classificationStatus": 1, "description": {}}]',
    "[]",
)
#: A transaction's columns, as files call them.
NAMES = ["amount", "description", "datetime", "financial_account.name", "classification_status"]
MOMENT = datetime(2024, 5, 1, 10, 0, tzinfo=UTC)


@cache
def parquet_files() -> tuple[bytes, ...]:
    """Files of all types that columns may have, and all ways in which they are stored."""
    texts = pa.table({name: ["1.50", None, "a" * 40] for name in NAMES})
    typed = pa.table(
        [
            pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(12, 2)),
            pa.array(["Rent", "é", ""], pa.large_string()),
            pa.array([MOMENT, None, MOMENT], pa.timestamp("ns", "Europe/Vienna")),
            pa.array(["Cash", "Cash", "Bank"]).dictionary_encode(),
            pa.array([1, None, 3], pa.int32()),
        ],
        names=NAMES,
    )
    nested = pa.table(
        [
            pa.array([[Decimal("1.50")], None, []], pa.list_(pa.decimal128(12, 2))),
            pa.array([{"a": 1, "b": [True]}, None, {"a": None, "b": None}]),
            pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        ],
        names=NAMES[:3],
    )
    odd = pa.table(
        [
            pa.array([1.5, float("nan"), None], pa.float32()),
            pa.array([b"\xff", b"", None], pa.binary()),
            pa.array([date(2024, 5, 1), None, date(1, 1, 1)], pa.date32()),
            pa.array([time(10), None, time(23, 59, 59, 999999)], pa.time64("us")),
            pa.array([timedelta(days=-1), None, timedelta(0)], pa.duration("us")),
            pa.array([True, False, None]),
            pa.nulls(3),
        ],
        names=[*NAMES, "bulkql_row", "other"],
    )
    return (
        written(texts, compression="snappy"),
        written(texts, compression="none", use_dictionary=False),
        written(texts, compression="none", use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY"),
        written(typed, compression="none"),
        written(typed, compression="gzip", row_group_size=1, write_page_index=True),
        written(typed, compression="none", data_page_version="2.0", write_page_checksum=True),
        written(nested, compression="zstd"),
        written(nested, compression="none"),
        written(odd, compression="none"),
        written(odd, compression="lz4", use_byte_stream_split=False),
        written(pa.table({"name": ["Cash", "Bank"]}), compression="none"),
        written(pa.table({"name": pa.array([], pa.string())}), compression="none"),
    )


def written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@cache
def workbooks() -> tuple[dict[str, bytes], ...]:
    """The parts of XLSX files: cells of each kind; names alone, with strings in their cells; nothing."""
    return unzipped(workbook(fill_whole)), unzipped(workbook(fill_names, in_memory=False)), unzipped(workbook(None))


def workbook(fill: Callable[[Any, Any], None] | None, *, in_memory: bool = True) -> bytes:
    sink = io.BytesIO()
    # With little memory texts stand in their cells.
    with xlsxwriter.Workbook(sink, {"constant_memory": not in_memory}) as book:
        sheet = book.add_worksheet("Rows")
        if fill:
            fill(book, sheet)
        book.add_worksheet("Other").hide()
    return sink.getvalue()


def fill_whole(book: Any, sheet: Any) -> None:
    sheet.write_row(1, 0, NAMES)
    sheet.write_row(2, 0, [1.5, "Rent", "2024-05-01T10:00:00Z", "Cash", 1])
    sheet.write_datetime(3, 2, MOMENT.replace(tzinfo=None), book.add_format({"num_format": "yyyy-mm-dd hh:mm"}))
    sheet.write_formula(3, 0, "=1+1", None, 2)
    sheet.write_formula(3, 1, "=1/0", None, "#DIV/0!")
    sheet.write_boolean(4, 1, True)
    sheet.write_number(4, 0, 9007199254740993)
    sheet.merge_range(5, 3, 6, 3, "Bank")


def fill_names(book: Any, sheet: Any) -> None:
    for line, name in enumerate(["name", "Cash", "Bank & Sons"]):
        sheet.write_string(line, 0, name)


ODS_CELLS = """<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0" office:version="1.2">
<office:body><office:spreadsheet><table:table table:name="Rows">
<table:table-row>
<table:table-cell office:value-type="string"><text:p>amount</text:p></table:table-cell>
<table:table-cell office:value-type="string"><text:p>description</text:p></table:table-cell>
<table:table-cell office:value-type="string"><text:p>datetime</text:p></table:table-cell></table:table-row>
<table:table-row table:number-rows-repeated="2">
<table:table-cell office:value-type="float" office:value="1.5"><text:p>1.5</text:p></table:table-cell>
<table:table-cell office:value-type="string"><text:p>Rent <text:s text:c="3"/>May</text:p><text:p>b</text:p>
</table:table-cell>
<table:table-cell office:value-type="date" office:date-value="2024-05-01T10:00:00"><text:p>x</text:p></table:table-cell>
<table:table-cell table:number-columns-repeated="16000"/></table:table-row>
<table:table-row>
<table:table-cell office:value-type="percentage" office:value="0.5"><text:p>50%</text:p></table:table-cell>
<table:table-cell office:value-type="boolean" office:boolean-value="true"><text:p>TRUE</text:p></table:table-cell>
<table:table-cell office:value-type="time" office:time-value="PT10H01M02S"><text:p>10</text:p></table:table-cell>
</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"""


@cache
def documents() -> tuple[dict[str, bytes], ...]:
    """The parts of ODS files: cells of each kind, and one that shows an error."""
    manifest = (
        b'<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    )
    broken = ODS_CELLS.replace(
        'office:value-type="percentage"', 'calcext:value-type="error" office:value-type="string"'
    )
    return tuple(
        {
            "mimetype": b"application/vnd.oasis.opendocument.spreadsheet",
            # Nothing stands between elements, as LibreOffice writes them.
            "content.xml": content.replace(">\n<", "><").encode(),
            "META-INF/manifest.xml": manifest,
        }
        for content in (ODS_CELLS, broken)
    )


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: dict[str, bytes], *, deflated: bool) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in parts.items():
            kind = zipfile.ZIP_DEFLATED if deflated and name != "mimetype" else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name), data, kind)
    return sink.getvalue()
