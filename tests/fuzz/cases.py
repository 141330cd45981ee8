"""A seed and a number -> a file that somebody has changed, and the options to read it with; always the same."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import zstandard

from tests.fuzz import samples

#: Kind of file -> how often it comes, of a hundred. `gzip` and `zstd` hold CSV or JSON.
KINDS = {"csv": 28, "ndjson": 18, "array": 12, "gzip": 9, "zstd": 9, "parquet": 14, "xlsx": 6, "ods": 4}
DECODED = ("parquet", "xlsx", "ods")
#: Of the files that a process of their own decodes, one in so many is given to such a process.
REAL = 500

PIECES = (b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"[[", b"{", b"}", b"]", b"1e999", b"\\u00", b'""')
BINARY = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff\x0f", b"\x80" * 9 + b"\x01", b"PAR1", b"PK")
XML = (
    *(b"<", b">", b"&", b"/>", b"]]>", b"<!--", b"&#x110000;", b"&lt;", b'"', b"\xff", b"\0", b"</row>", b"</v>"),
    *(b'<!DOCTYPE a [<!ENTITY b "c">]>', b"<f>1</f>", b' t="e"', b' t="s"', b' t="d"', b' r="XFD1048576"', b' s="99"'),
    *(b"1e999", b"-1", b"99999999999", b"4294967296", b'table:number-columns-repeated="99999999"', b"NaN", b"1899"),
    b'table:number-rows-repeated="99999999"',
)

DELIMITERS = (*";;\t|", "", ",,", "\n", "\r", '"', "'", "\0", "é", "a", " ", ":", "\\", "\ud800", ".")
ENCODINGS = (
    *("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp1252", "latin-1", "shift_jis", "gb18030"),
    *("cp037", "hz", "iso2022_jp", "big5hkscs", "punycode", "idna", "rot13", "hex", "base64", "zlib", "undefined"),
    *("unicode_escape", "raw_unicode_escape", "mbcs", "", "utf-8\0", "\ud800", "x" * 300, "../utf_8", "utf 8"),
)
COLUMNS = ({"other": "name"}, {"amount": "description", "description": "amount"}, {"name": "amount"}, {"": "\0"})
DATE_FORMATS = ("%d.%m.%Y", "DD.MM.YYYY", "", "%", "%Q", "%Y" * 50, "YYYY", "%d.%m.%y %H:%M", "%%", "(", "é", "\0")


@dataclass(frozen=True)
class Case:
    """A file, and how it is read."""

    kind: str
    data: bytes
    options: Any
    resource: str
    #: Whether it is given to a process of its own, where its kind has one.
    is_real: bool
    #: Whether its rows are looked at, too.
    is_checked: bool


def case_of(seed: int, number: int) -> Case:
    """A case of a run."""
    dice = Random(f"{seed}:{number}")
    kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
    encoding = dice.choice(ENCODINGS) if dice.random() < 0.12 else "utf-8"
    data, of_transactions = data_of(dice, kind, encoding)
    return Case(
        kind=kind,
        data=data,
        options=options_of(dice, kind, encoding),
        resource="financialTransactions" if of_transactions ^ (dice.random() < 0.05) else "financialAccounts",
        is_real=dice.randrange(REAL) == 0,
        is_checked=dice.randrange(10) == 0,
    )


def data_of(dice: Random, kind: str, encoding: str) -> tuple[bytes, bool]:
    """A file, and whether it is one of transactions."""
    if kind == "parquet":
        data = dice.choice(samples.parquet_files())
        return mutated(dice, data, BINARY), b"amount" in data
    if kind in ("xlsx", "ods"):
        parts = dice.choice(samples.workbooks() if kind == "xlsx" else samples.documents())
        return archive(dice, parts), any(b"amount" in part for part in parts.values())
    texts = {"csv": samples.CSV, "ndjson": samples.NDJSON, "array": samples.ARRAYS}
    content = dice.choice(texts.get(kind, samples.CSV + samples.NDJSON + samples.ARRAYS))
    data = text(dice, content, encoding)
    if kind in ("gzip", "zstd"):
        data = compressed(dice, kind, data)
        data = mutated(dice, data, BINARY) if dice.random() < 0.3 else data
    return data, "amount" in content


def text(dice: Random, content: str, encoding: str) -> bytes:
    """A text in its encoding, or in UTF-8 where that has not all of its signs; changed."""
    try:
        data = content.encode(encoding)
    except (LookupError, ValueError):
        data = content.encode()
    return mutated(dice, data, PIECES)


def compressed(dice: Random, kind: str, data: bytes) -> bytes:
    """As one part, or as two."""
    at = dice.choice((0, len(data) // 2))
    if kind == "gzip":
        return gzip.compress(data[:at], 1) + gzip.compress(data[at:], 1)
    compressor = zstandard.ZstdCompressor(write_checksum=dice.random() < 0.5, write_content_size=dice.random() < 0.5)
    return compressor.compress(data[:at]) + compressor.compress(data[at:])


def archive(dice: Random, parts: dict[str, bytes]) -> bytes:
    """A workbook of which a part was changed, or the archive itself, or both."""
    fate = dice.random()
    if fate < 0.7:
        name = dice.choice([name for name in parts if name != "mimetype"])
        # Most of what can go wrong is in the sheet.
        name = next((one for one in parts if one.endswith(("sheet1.xml", "content.xml"))), name) if fate < 0.4 else name
        if dice.random() < 0.1:
            parts = {one: data for one, data in parts.items() if one != name}
        else:
            parts = {**parts, name: mutated(dice, parts[name], XML)}
    data = samples.zipped(parts, deflated=dice.random() < 0.5)
    return mutated(dice, data, BINARY) if fate > 0.6 else data


def mutated(dice: Random, content: bytes, pieces: Sequence[bytes]) -> bytes:
    """A file with a few changes, or with none."""
    data = bytearray(content)
    for _ in range(dice.choice((0, 0, 1, 1, 1, 2, 3, 6))):
        at = dice.randint(0, len(data))
        match dice.randrange(6):
            case 0:
                data[at:at] = dice.choice(pieces) * dice.choice((1, 1, 2, 100))
            case 1:
                del data[at : at + dice.choice((1, 2, 8, 100, len(data)))]
            case 2:
                data[at : at + 1] = dice.randbytes(1)
            case 3:
                data[at:at] = data[: dice.randint(0, min(len(data), 1_000))]
            case 4:
                piece = dice.choice(pieces)
                data[at : at + len(piece)] = piece
            case 5 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
    return bytes(data)


def options_of(dice: Random, kind: str, encoding: str) -> Any:
    """Options of all kinds, most of them as they are left."""
    from bulkql.workers.columns.spelling import Spelling
    from bulkql.workers.readers.options import (
        Compression,
        EmptyCells,
        FileFormat,
        FileOptions,
        ShortRecords,
        UnknownColumns,
    )

    formats = {
        "csv": (FileFormat.CSV,),
        "ndjson": (FileFormat.NDJSON,),
        "array": (FileFormat.NDJSON,),
        "parquet": (FileFormat.PARQUET,),
        "xlsx": (FileFormat.XLSX,),
        "ods": (FileFormat.XLSX,),
    }
    texts = (FileFormat.CSV, FileFormat.NDJSON)
    is_spelled = dice.random() < 0.1
    return FileOptions(
        format=dice.choice(list(FileFormat) if dice.random() < 0.02 else formats.get(kind, texts)),
        columns={} if dice.random() < 0.95 else dice.choice(COLUMNS),
        unknown_columns=UnknownColumns.REJECT if dice.random() < 0.2 else UnknownColumns.IGNORE,
        short_records=dice.choice(list(ShortRecords)),
        null_values=dice.choice(((), (), ("NA", ""), ("\0", "é"))),
        empty_cells=dice.choice(list(EmptyCells)),
        delimiter="," if dice.random() < 0.95 else dice.choice(DELIMITERS),
        encoding=encoding,
        compression=Compression(kind.upper())
        if kind in ("gzip", "zstd")
        else dice.choice((None,) * 150 + (*Compression,)),
        left_out=dice.choice(((), (), ("encoding",), ("delimiter",), ("delimiter", "encoding"))),
        spelling=Spelling(
            trim=dice.random() < 0.5,
            decimal=dice.choice((None, ",", ".", "")),
            date_format=dice.choice((None, *DATE_FORMATS)),
            true_values=dice.choice(((), ("ja",), ("", "\0"))),
            false_values=dice.choice(((), ("nein",), ("ja",))),
        )
        if is_spelled
        else Spelling(),
        sheet=None if dice.random() < 0.9 else dice.choice(("Rows", "rows ", "Other", "", "\0")),
        header_row=None if dice.random() < 0.95 else dice.choice((1, 2, 3, 0, -1, 2**31, 2**63)),
    )
