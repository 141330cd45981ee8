"""Small files that ask for gigabytes, and honest ones with large cells: the members of one kind, made by their size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MEGABYTE = 1024 * 1024
Write = Callable[[Path], None]


def parquet(table: Callable[[], pa.Table], **options: object) -> Write:
    """A file of a table that is made when it is written: together they take gigabytes."""

    def write(path: Path) -> None:
        pq.write_table(table(), path, **options)

    return write


def text(*pieces: tuple[bytes, int]) -> Write:
    """A file of pieces, each repeated so many times."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            for piece, times in pieces:
                per_write = max(1, MEGABYTE // max(len(piece), 1))
                for _ in range(times // per_write):
                    file.write(piece * per_write)
                file.write(piece * (times % per_write))

    return write


def repeated(value: object, rows: int, dtype: pa.DataType) -> pa.Table:
    """One value in each of many rows, which a dictionary and a run of indexes hold."""
    indices = pa.nulls(rows, pa.int32()).fill_null(0)
    return pa.table({"name": pa.DictionaryArray.from_arrays(indices, pa.array([value], dtype))})


def list_of(rows: int, members: int, dtype: pa.DataType) -> pa.Table:
    """A list of so many members in each row."""
    offsets = pa.array(range(0, (rows + 1) * members, members), pa.int32())
    values = pa.nulls(rows * members, pa.int8()).fill_null(0).cast(dtype)
    return pa.table({"name": pa.ListArray.from_arrays(offsets, values)})


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


BOMBS: dict[str, Write] = {
    "surplus-100000.csv": text((b"name\nfirst\nx", 1), (b",x", 100_000), (b"\nlast\n", 1)),
    "surplus-1000000.csv": text((b"name\nfirst\nx", 1), (b",x", 1_000_000), (b"\nlast\n", 1)),
    "surplus-empty.csv": text((b"name\nfirst\nx", 1), (b",", 2_000_000), (b"y\nlast\n", 1)),
    "surplus-everywhere.csv": text((b"name\n", 1), (b"x" + b",x" * 500 + b"\n", 2_000)),
    "columns.csv": text((b"name", 1), (b",x", 200_000), (b"\n", 1), (b"y\n", 100_000)),
    "short-records.csv": text((b"name" + b",x" * 1_500 + b"\n", 1), (b"y\n", 300_000)),
    "long-line.csv": text((b"name\n", 1), (b"x", 300 * MEGABYTE)),
    "long-record.csv": text((b'name\n"', 1), (b"x\n", 100 * MEGABYTE)),
    "long-header.csv": text((b'name,"', 1), (b"\n", 50 * MEGABYTE)),
    "quotes.csv": text((b"name\n", 1), (b'"""",', 600_000), (b"\n", 1)),
    "utf-16.csv": text((b"name\n", 1), ("é".encode() * 1_000 + b"\n", 10_000)),
    "long-line.ndjson": text((b'{"name": "', 1), (b"x", 300 * MEGABYTE)),
    "nested.ndjson": text((b'{"name": "a"}\n', 1), (b'{"name": ' + deep(100_000).encode() + b"}\n", 10)),
    "nested-900.ndjson": text((b'{"name": "a"}\n', 1), (b'{"name": ' + deep(900).encode() + b"}\n", 1_000)),
    "objects.ndjson": text((b'{"name": [', 1), (b'{"":0},', 500_000), (b"0]}\n", 1)),
    "empty-objects.ndjson": text((b"{}\n", 3_000_000)),
    "unknown-keys.ndjson": text(
        (b'{"name": "a"}\n', 1),
        (b"{" + b",".join(b'"%06d":1' % key for key in range(300_000)) + b"}\n", 4),
    ),
    "unknown-key-each.ndjson": text((b'{"name": "a"}\n', 1), (b'{"b":1}\n', 500_000)),
    "large-rows.ndjson": text((b'{"name": "' + b"x" * 3_000_000 + b'"}\n', 100)),
    "dictionary.parquet": parquet(lambda: repeated("x" * 100_000, 1_000_000, pa.string())),
    "dictionary-rows.parquet": parquet(lambda: repeated("x", 200_000_000 // 8, pa.string())),
    "run.parquet": parquet(
        lambda: pa.table({"name": pa.nulls(20_000_000, pa.int64()).fill_null(1)}), row_group_size=20_000_000
    ),
    "page.parquet": parquet(
        lambda: pa.table({"name": pa.array(["x" * 600 * MEGABYTE])}), compression="zstd", use_dictionary=False
    ),
    "strings.parquet": parquet(
        lambda: pa.table({"name": pa.array(["x" * MEGABYTE] * 600)}), compression="zstd", use_dictionary=False
    ),
    "row-groups.parquet": parquet(lambda: pa.table({"name": ["x"] * 20_000}), row_group_size=1),
    "list.parquet": parquet(lambda: list_of(1, 50_000_000, pa.int64())),
    "lists.parquet": parquet(lambda: list_of(100_000, 500, pa.int8())),
    "list-of-texts.parquet": parquet(
        lambda: pa.table({"name": pa.array([["x" * 100_000] * 5_000])})
    ),
    "columns.parquet": parquet(lambda: pa.table({f"c{place}": [1] for place in range(20_000)})),
}  # fmt: skip


def delta_strings(path: Path) -> None:
    """Each text is the one before it, and says so in a byte."""
    table = pa.table({"name": pa.array(["x" * MEGABYTE] * 800)})
    pq.write_table(table, path, use_dictionary=False, column_encoding={"name": "DELTA_BYTE_ARRAY"})


BOMBS["delta.parquet"] = delta_strings


def honest(rows: int = 2_000, size: int = 100_000) -> Iterator[str]:
    """Different texts of so many characters each."""
    for number in range(rows):
        yield f"{number:08}".ljust(size, "abcdefgh"[number % 8])


def honest_csv(path: Path) -> None:
    path.write_text("name\n" + "".join(f"{one}\n" for one in honest()))


def honest_ndjson(path: Path) -> None:
    path.write_text("".join(json.dumps({"name": one}) + "\n" for one in honest()))


def honest_parquet(path: Path) -> None:
    pq.write_table(pa.table({"name": list(honest())}), path)


HONEST: dict[str, Write] = {
    "honest.csv": honest_csv,
    "honest.ndjson": honest_ndjson,
    "honest.parquet": honest_parquet,
}
