"""How a file is to be read."""

from __future__ import annotations

import json

import pytest

from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, UnknownColumns, format_by_name


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
    assert format_by_name(name) == file_format


@pytest.mark.parametrize("name", ["rows", "rows.xls", "csv", ""])
def test_a_name_may_tell_nothing(name):
    assert format_by_name(name) is None


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
