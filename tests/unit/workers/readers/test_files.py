"""What is said of a file before it is read."""

from __future__ import annotations

import gzip
import io
import os

import pytest
import zstandard

from bulkql.workers.conf import Limits
from bulkql.workers.errors import BadInput, UnreadableFile
from bulkql.workers.readers import files
from bulkql.workers.readers.options import Compression, FileFormat, FileOptions, UnknownColumns
from bulkql.workers.readers.text import compression as compression_module
from bulkql.workers.readers.text.decoding import HEAD_BYTES
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
        f"A delimiter is one ASCII character other than a quote or line break, not {delimiter!r}."
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
    assert check(CSV, FileFormat.NDJSON) == (
        "This is not an NDJSON file. Line 1 is not JSON: JSON is malformed: invalid character (byte 0)."
    )
    assert check(b"\1\0\0\0\0\0", FileFormat.CSV) == "This is not a CSV file: line 1 has null characters."


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gzip.compress(CSV, mtime=0), "This is a gzip file; name it with the right ending, such as"),
        (zstandard.compress(CSV), "This is a zstd file; name it with the right ending, such as"),
        (b"PK\x03\x04...", "This is a zip file, as .xlsx and .ods files are too; unpack it"),
        (b"PAR1...", "it looks like Parquet; give `format: PARQUET`, or name it .parquet."),
        (b"\xd0\xcf\x11\xe0...", "This is an old Excel file (.xls)"),
        (b"<!DOCTYPE html><html>", "it looks like HTML or XML."),
        (b"%PDF-1.7", "This is a PDF"),
        (b"7z\xbc\xaf\x27\x1c...", "This is a 7z archive; unpack it."),
        (b"Rar!\x1a\x07\0", "This is a RAR archive; unpack it."),
        (b"\x04\x22\x4d\x18...", "This is an lz4 file; unpack it."),
    ],
)
def test_a_file_says_what_it_is(file_format, data, words):
    assert words in str(check(data, file_format))


@pytest.mark.parametrize("data", [b'{"char": "ab"}', b'[{"char": "ab"}]', b'\xef\xbb\xbf[\n {\n  "char": 1}]'])
def test_json_that_is_named_csv_says_so(data):
    assert check(data) == ("This is not a CSV file: it looks like NDJSON; give `format: NDJSON`, or name it .ndjson.")


@pytest.mark.parametrize(
    ("pack", "compression"), [(gzip.compress, Compression.GZIP), (zstandard.compress, Compression.ZSTD)]
)
@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
class TestCompressed:
    def test_a_compressed_file_is_read(self, pack, compression, file_format):
        text = CSV if file_format == FileFormat.CSV else b'{"char": "ab", "text": "x"}\n'

        found = rows(
            pack(text) + pack(text[len(b"char,text\n") :] if file_format == FileFormat.CSV else text),
            file_format,
            compression,
        )

        assert found == [("ab", "x"), ("ab", "x")]

    def test_a_compressed_file_that_is_cut_off_is_refused(self, pack, compression, file_format):
        data = pack(os.urandom(1000))[:-20]

        assert "is damaged or cut off" in str(check(data, file_format, compression=compression))

    def test_what_is_not_compressed_says_so(self, pack, compression, file_format):
        assert check(CSV, file_format, compression=compression) == (
            f"The file's name says {compression.lower()}, and the file is not compressed that way."
        )

    def test_a_bomb_is_refused_before_it_fills_anything(self, pack, compression, file_format, monkeypatch):
        monkeypatch.setattr(compression_module, "limits", lambda: Limits(compression_expansion=2))
        row = b"ab,x\n" if file_format == FileFormat.CSV else b'{"char": "ab"}\n'

        with pytest.raises(UnreadableFile) as caught:
            rows(
                pack((b"char,text\n" if file_format == FileFormat.CSV else b"") + row * 100_000),
                file_format,
                compression,
            )

        assert str(caught.value) == (
            f"The {compression.lower()} file expands to more than 131,072 bytes, 2 for each of its own "
            "(BULKQL_COMPRESSION_EXPANSION); send it uncompressed."
        )


def test_a_zstd_file_that_looks_back_too_far_is_refused():
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=28)
    data = zstandard.ZstdCompressor(compression_params=parameters).stream_reader(io.BytesIO(CSV)).read()

    assert check(data, compression=Compression.ZSTD) == (
        "The zstd file looks back more than 134,217,728 bytes (zstd --long); compress it without that."
    )


def test_a_zstd_file_that_needs_a_dictionary_is_refused():
    dictionary = zstandard.train_dictionary(1024, [b"char,text,%d\n" % number * 20 for number in range(500)])
    data = zstandard.ZstdCompressor(dict_data=dictionary).compress(CSV)

    assert check(data, compression=Compression.ZSTD) == (
        "The zstd file was compressed with a dictionary; compress it without one."
    )


@pytest.mark.parametrize("number", [0x50, 0x5F])
def test_frames_of_zstd_that_are_skipped_may_be_anywhere(number):
    skipped = bytes([number]) + b"\x2a\x4d\x18\x04\0\0\0abcd"
    frames = [zstandard.compress(part) for part in (b"char,text\nab,", b"x\n")]

    assert rows(skipped + skipped.join(frames) + skipped, FileFormat.CSV, Compression.ZSTD) == [("ab", "x")]


@pytest.mark.parametrize("compression", Compression)
def test_parquet_is_not_compressed_again(compression):
    assert check(b"...", FileFormat.PARQUET, compression=compression) == (
        "A PARQUET file is compressed in itself; send it as it is."
    )


def rows(data, file_format, compression):
    options = FileOptions(format=file_format, compression=compression)
    frames = list(files.read_file(io.BytesIO(data), creating(resource_named("animals")), options))
    return [row for frame in frames for row in frame.select("char", "text").rows()]


def resolved(data, **options):
    """The encoding and the delimiter that are taken."""
    options = FileOptions(format=FileFormat.CSV, left_out=("delimiter", "encoding"), **options)
    found = files.FileStart(io.BytesIO(data), options).options
    return found.encoding, found.delimiter


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        (CSV, ("utf-8", ",")),
        (b"\xef\xbb\xbf" + CSV, ("utf-8-sig", ",")),
        (CSV.decode().encode("utf-16"), ("utf-16", ",")),
        (CSV.decode().encode("utf-16-le"), ("utf-16-le", ",")),
        (CSV.decode().encode("utf-16-be"), ("utf-16-be", ",")),
        (CSV.decode().encode("utf-32-le"), ("utf-32-le", ",")),
        (b"sep=;\nchar;text\nab;x\n", ("utf-8", ";")),
        (b'"SEP=\t"\r\nchar\ttext\r\n', ("utf-8", "\t")),
    ],
)
def test_what_the_file_says_is_taken_where_the_sender_says_nothing(data, taken):
    assert resolved(data) == taken


@pytest.mark.parametrize(("data", "name"), [(CSV, "utf-16"), (CSV, "utf-32"), (b"na\x11e\n", "UTF16")])
def test_utf_16_without_its_mark_is_refused_where_nothing_else_tells_it(data, name):
    found = check(data, encoding=name)

    assert "it has no byte order mark" in str(found)
    assert "-le or " in str(found)


def test_utf_16_without_its_mark_is_read_where_its_null_characters_tell_it():
    assert check(CSV.decode().encode("utf-16-le"), encoding="utf-16") is None


@pytest.mark.parametrize(
    ("name", "data", "file_format"),
    [
        ("rows.csv", b"PAR1", FileFormat.CSV),
        ("rows", b"PAR1", FileFormat.PARQUET),
        ("rows.dat", b'{"a": 1}', FileFormat.NDJSON),
        ("rows.dat.gz", gzip.compress(b'[{"a": 1}]', mtime=0), FileFormat.NDJSON),
    ],
)
def test_the_first_bytes_tell_the_format_where_the_name_does_not(name, data, file_format):
    assert files.format_of_file(name, io.BytesIO(data)) == file_format


def test_a_format_that_nothing_tells_is_asked_for():
    with pytest.raises(BadInput) as caught:
        files.format_of_file("rows.dat", io.BytesIO(CSV))

    assert str(caught.value) == (
        "The name rows.dat does not show its format, and neither does the file, which begins with 'char,text'; give "
        "`format`: "
        "CSV, NDJSON, PARQUET, XLSX."
    )


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
    columns = {"Gr": "integer"} if b"Gr" in data else {}
    options = FileOptions(format=file_format, columns=columns, unknown_columns=UnknownColumns.IGNORE)

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
    assert file.bytes_read == len(data[:HEAD_BYTES]) + len(data)


class CountingFile(io.BytesIO):
    """Counts the bytes that are taken from it."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        self.bytes_read += len(piece)
        return piece


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            b"PK\x03\x04\x14\0",
            "This is a zip file, as .xlsx and .ods files are too; unpack it, or save the sheet as CSV; for a workbook, "
            "give `format: XLSX`.",
        ),
        (
            gzip.compress(CSV, mtime=0),
            "This is a gzip file; name it with the right ending, such as rows.csv.gz, or unpack it.",
        ),
        (b"%PDF-1.7", "This is a PDF; rows come as CSV, NDJSON, Parquet or XLSX."),
    ],
)
@pytest.mark.parametrize("name", ["rows.csv.zip", "rows"])
def test_a_file_whose_name_tells_no_format_says_what_it_is(name, data, words):
    with pytest.raises(UnreadableFile) as caught:
        files.format_of_file(name, io.BytesIO(data))

    assert str(caught.value) == words
