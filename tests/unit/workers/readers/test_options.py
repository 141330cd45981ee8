"""How a file is to be read."""

from __future__ import annotations

import json

import pytest

from bulkql.workers.errors import BadInput
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, UnknownColumns, format_of


@pytest.mark.parametrize(
    ("name", "file_format"),
    [
        ("a.csv", FileFormat.CSV),
        ("A.CSV", FileFormat.CSV),
        ("a.tsv", FileFormat.CSV),
        ("a.csv.ndjson", FileFormat.NDJSON),
        ("a.jsonl", FileFormat.NDJSON),
        ("a.parquet", FileFormat.PARQUET),
        ("a.pq", FileFormat.PARQUET),
    ],
)
def test_the_name_tells_the_format(name, file_format):
    assert format_of(name) == file_format


@pytest.mark.parametrize("name", ["rows", "rows.xls", "csv", ""])
def test_a_name_that_tells_nothing_is_refused(name):
    with pytest.raises(BadInput) as caught:
        format_of(name)

    assert str(caught.value) == f"The name {name} does not show its format; give `format`: CSV, NDJSON, PARQUET, XLSX."


@pytest.mark.parametrize(
    "options",
    [
        FileOptions(format=FileFormat.PARQUET),
        FileOptions(
            format=FileFormat.CSV,
            columns={"Name": "char"},
            unknown_columns=UnknownColumns.IGNORE,
            null_values=("NA", ""),
            empty_cells=EmptyCells.NULL,
            delimiter=";",
            encoding="cp1252",
        ),
    ],
)
def test_stored_options_come_back_as_they_were(options):
    assert FileOptions.from_json(json.loads(json.dumps(options.as_json()))) == options
