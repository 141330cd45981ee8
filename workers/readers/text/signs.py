"""The first bytes of a file -> what it certainly is, whatever it is called."""

from __future__ import annotations

import re

from bulkql.workers.errors import UnreadableFile
from bulkql.workers.readers.options import FileFormat

SIGNS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "This is a gzip file; name it with the right ending, such as rows.csv.gz, or unpack it."),
    (b"\x28\xb5\x2f\xfd", "This is a zstd file; name it with the right ending, such as rows.csv.zst, or unpack it."),
    (b"PK\x03\x04", "This is a zip file, as .xlsx and .ods files are too; unpack it, or save the sheet as CSV."),
    (b"PK\x05\x06", "This is an empty zip file."),
    (b"BZh", "This is a bzip2 file; unpack it."),
    (b"\xfd7zXZ\0", "This is an xz file; unpack it."),
    (b"7z\xbc\xaf\x27\x1c", "This is a 7z archive; unpack it."),
    (b"Rar!\x1a\x07", "This is a RAR archive; unpack it."),
    (b"\x04\x22\x4d\x18", "This is an lz4 file; unpack it."),
    (b"\xd0\xcf\x11\xe0", "This is an old Excel file (.xls); save it as .xlsx, or the sheet as CSV."),
    (b"%PDF-", "This is a PDF; rows come as CSV, NDJSON, Parquet or XLSX."),
)
ZIP = b"PK\x03\x04"
PARQUET = b"PAR1"
#: An object with a key, or an array of them.
JSON = re.compile(rb"\s*(?:\[\s*)?\{\s*(?:\"|\})")
MARKUP = re.compile(rb"\s*<(?:\?xml|!doctype html|html)\b", re.IGNORECASE)
NAMES = {FileFormat.CSV: "CSV", FileFormat.NDJSON: "NDJSON", FileFormat.PARQUET: "Parquet"}


def check_signs(head: bytes, file_format: FileFormat) -> None:
    """Raises UnreadableFile where a file that is read as CSV or NDJSON begins as something else."""
    if file_format not in (FileFormat.CSV, FileFormat.NDJSON):
        return
    if (words := words_of(head)) is not None:
        raise UnreadableFile(words)
    text = head.removeprefix(b"\xef\xbb\xbf")
    found = None
    if head.startswith(PARQUET):
        found = FileFormat.PARQUET
    elif file_format == FileFormat.CSV and JSON.match(text):
        found = FileFormat.NDJSON
    if found is not None:
        ending = {FileFormat.PARQUET: ".parquet", FileFormat.NDJSON: ".ndjson"}[found]
        raise UnreadableFile(
            f"This is not a {NAMES[file_format]} file: it looks like {NAMES[found]}; give `format: {found}`, or name "
            f"it {ending}."
        )
    if MARKUP.match(text):
        raise UnreadableFile(f"This is not a {NAMES[file_format]} file: it looks like HTML or XML.")


def words_of(head: bytes) -> str | None:
    """What a file certainly is that is no text, and what to do."""
    return next((words for sign, words in SIGNS if head.startswith(sign)), None)


def check_unknown(head: bytes) -> None:
    """Raises UnreadableFile where a file whose name does not tell its format is none that is read as it stands."""
    words = words_of(head)
    if words is not None and head.startswith(ZIP):
        words = f"{words[:-1]}; for a workbook, give `format: XLSX`."
    if words is not None:
        raise UnreadableFile(words)


def format_by_signs(head: bytes) -> FileFormat | None:
    """The format of a file whose name does not tell it, where its first bytes do."""
    if head.startswith(PARQUET):
        return FileFormat.PARQUET
    return FileFormat.NDJSON if JSON.match(head.removeprefix(b"\xef\xbb\xbf")) else None
