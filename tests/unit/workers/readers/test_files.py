"""What is said of a file before it is read."""

from __future__ import annotations

import io

import pytest

from bulkql.workers.errors import BadInput
from bulkql.workers.readers import files
from bulkql.workers.readers.options import FileFormat, FileOptions, UnknownColumns
from bulkql.workers.resources.registry import resource_named
from tests.plans import creating

CSV = b"char,text\nab,x\n"


def check(data=CSV, file_format=FileFormat.CSV, **options):
    """What is wrong with a file at first sight."""
    try:
        beginning = files.FileStart(io.BytesIO(data), FileOptions(format=file_format, **options))
        beginning.check(creating(resource_named("animals")))
    except BadInput as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("file_format", "data"),
    [
        (FileFormat.CSV, CSV),
        (FileFormat.NDJSON, b'{"char": "ab"}\n'),
        (FileFormat.PARQUET, b"PAR1 and gigabytes"),
    ],
)
def test_the_beginning_of_a_good_file_is_good(file_format, data):
    assert check(data, file_format) is None


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-16", "cp1252", "latin1", "shift_jis"])
def test_encodings_of_text_are_known(encoding):
    assert check("char,text\nab,x\n".encode(encoding), encoding=encoding) is None


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "base64", "zip", "", "a\0b", "undefined"])
def test_other_encodings_are_refused(encoding):
    assert check(encoding=encoding) == f"There is no encoding {encoding}; utf-8, utf-16 and cp1252 are some."


@pytest.mark.parametrize("delimiter", ["", ";;", "¦", '"', "\n", "\r", "\0"])
def test_a_delimiter_is_one_ascii_character(delimiter):
    assert check(delimiter=delimiter) == (
        f"A delimiter is one ASCII character, and no quote or line break; not {delimiter!r}."
    )


def test_columns_map_to_fields():
    found = check(columns={"a": "char", "b": "colour", "c": "age"})

    assert found is not None
    assert found.startswith("`columns` maps to age, colour; animals has big, binary, ")


def test_a_file_without_rows_is_refused():
    assert check(b"char,text\n") == "The file has no rows."


def test_unknown_columns_are_refused_at_once():
    found = check(b"char,colour\nab,red\n")

    assert found is not None
    assert found.startswith("animals has no field for the column 'colour'.")


def test_a_file_of_another_format_is_refused():
    assert check(CSV, FileFormat.PARQUET) == "This is not a Parquet file."
    assert check(CSV, FileFormat.NDJSON) == "This is not an NDJSON file: line 1 is not a JSON object."
    assert check(b"PAR1\0\0\0\0", FileFormat.CSV) == "This is not a CSV file: line 1 has null characters."


def test_every_format_has_a_reader():
    assert set(files.READERS) == set(FileFormat)


@pytest.mark.parametrize(
    ("file_format", "data", "header"),
    [
        (FileFormat.CSV, b"text,Gr,colour\nx,2,red\n", [("text", "text"), ("Gr", "integer"), ("colour", None)]),
        (FileFormat.NDJSON, b'\n{"Gr": 2, "char": "ab"}\n{"text": "x"}\n', [("Gr", "integer"), ("char", "char")]),
        (FileFormat.NDJSON, b"{}\n", []),
        (FileFormat.NDJSON, b'{"keeper_by": {"code": "a"}}\n', [("keeperBy.code", "keeper.code")]),
        (FileFormat.PARQUET, b"PAR1", None),
    ],
)
def test_the_header_tells_the_files_names_and_the_fields(file_format, data, header):
    options = FileOptions(format=file_format, columns={"Gr": "integer"}, unknown_columns=UnknownColumns.IGNORE)

    beginning, plan = files.FileStart(io.BytesIO(data), options), creating(resource_named("animals"))

    beginning.check(plan)

    assert beginning.header(plan) == header


@pytest.mark.parametrize(
    ("file_format", "data"),
    [
        (FileFormat.CSV, b"text,Gr\nx,2\n"),
        (FileFormat.NDJSON, b'{"text": "x", "Gr": 2}\n'),
    ],
)
def test_the_beginning_is_read_once_for_all_that_is_asked(file_format, data):
    file, plan = CountingFile(data), creating(resource_named("animals"))
    beginning = files.FileStart(file, FileOptions(format=file_format, columns={"Gr": "integer"}))

    found = beginning.names()
    beginning.check(plan)

    assert found == {"text", "Gr", "integer"}
    assert beginning.header(plan) == [("text", "text"), ("Gr", "integer")]
    assert file.bytes_read == len(data)


class CountingFile(io.BytesIO):
    """Counts the bytes that are taken from it."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        self.bytes_read += len(piece)
        return piece
