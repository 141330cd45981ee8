"""A Parquet file -> Arrow streams of a few megabytes each; run by process.py, which bounds its memory.

First H and the names of the columns as JSON; then, once a line of JSON has told which of them are wanted, F and an
Arrow stream for each frame, and Z.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

#: Most rows of a frame.
BATCH_ROWS = 50_000
#: Encodings that can be kept as they are.
DICTIONARY = {"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"}
#: Bytes of a column up to which they are; one that has more texts than that fell back to plain ones.
DICTIONARY_BYTES = 16 * 1024 * 1024
#: What a cell takes beside its bytes, wherever it goes from here.
CELL_BYTES = 32


class TooLarge(Exception):
    """A row that is larger than a record may be: (what it is)."""

    letter = "R"


class UnknownType(Exception):
    """A column of a type for which there are no cells: (what it is, and what helps)."""

    letter = "U"


def messages(path: str, frame_bytes: int, record_bytes: int) -> Iterator[tuple[bytes, Any]]:
    """The columns; and the rows of those that are wanted."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    yield b"H", json.dumps(schema.names).encode()
    wanted = json.loads(sys.stdin.readline() or "[]")
    if wanted:
        check_types(schema, wanted)
        first = 0
        for batch in file_batches(path, schema, wanted, frame_bytes):
            for part in parts(batch, frame_bytes, record_bytes, first):
                yield b"F", in_rows(part)
            first += batch.num_rows
    yield b"Z", b""


def check_types(schema: Any, wanted: list[str]) -> None:
    """Whether there are cells for all columns. A library that reads frames panics over 256 bits."""
    for name in wanted:
        kind = schema.field(name).type
        if "decimal256" in str(kind):
            raise UnknownType(f"The column {name!r} is of the type {kind}; write it as decimal128, or as texts.")


def file_batches(path: str, schema: Any, wanted: list[str], frame_bytes: int) -> Iterator[Any]:
    """Batches of so many rows as should have no more than `frame_bytes`, texts as they are encoded."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        texts = [name for name in wanted if holds_texts(schema.field(name).type) and is_repeated(file.metadata, name)]
    # Page by page: a row group may be the whole file.
    with pq.ParquetFile(path, read_dictionary=texts, buffer_size=1024 * 1024, pre_buffer=False) as file:
        groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
        widest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
        rows = max(1, min(BATCH_ROWS, frame_bytes // max(widest, 1)))
        for batch in file.iter_batches(batch_size=rows, columns=wanted, use_threads=False):
            # A name with a dot in it may bring others along.
            yield readable(batch.select(wanted))


def readable(batch: Any) -> Any:
    """A batch with bytes where the texts of a column are not all UTF-8: their rows are refused, and not the file."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([in_bytes(column) for column in batch.columns], names=batch.schema.names)


def in_bytes(column: Any) -> Any:
    """A column as it is, or as bytes."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        values = in_bytes(column.dictionary)
        return column if values is column.dictionary else pa.DictionaryArray.from_arrays(column.indices, values)
    try:
        # What the file says has not been looked at before, such as places outside of their list.
        column.validate(full=True)
    except pa.ArrowInvalid:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise
        return column.cast(pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary())
    return column


def holds_texts(kind: Any) -> bool:
    import pyarrow as pa

    is_any = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(one(kind) for one in is_any)


def is_repeated(metadata: Any, name: str) -> bool:
    """Whether a column has a dictionary, which is worth keeping: its texts would take many times as much.

    Where it has not, a dictionary of all of its texts would be made.
    """
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    chunks = [chunk for group in groups for chunk in map(group.column, range(group.num_columns))]
    return all(
        DICTIONARY.issuperset(chunk.encodings) and chunk.total_uncompressed_size <= DICTIONARY_BYTES
        for chunk in chunks
        if chunk.path_in_schema == name
    )


def parts(batch: Any, frame_bytes: int, record_bytes: int, first: int) -> Iterator[Any]:
    """A batch, or its halves, where it would be too large once its texts stand in each row."""
    size = sum(weight(column) for column in batch.columns)
    if size > frame_bytes and batch.num_rows > 1:
        middle = batch.num_rows // 2
        yield from parts(batch.slice(0, middle), frame_bytes, record_bytes, first)
        yield from parts(batch.slice(middle), frame_bytes, record_bytes, first + middle)
        return
    if size > max(frame_bytes, record_bytes):
        raise TooLarge(f"Row {first + 1:,} has {size:,} bytes")
    yield batch


def weight(array: Any) -> int:
    """The bytes of an array as text or as JSON, or a few more."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    size = CELL_BYTES * len(array)
    if pa.types.is_dictionary(kind):
        lengths = lengths_of(array.dictionary)
        return size + int(pc.sum(pc.cast(lengths.take(array.indices), "int64")).as_py() or 0)
    if pa.types.is_struct(kind):
        names = sum(len(field.name) for field in kind)
        return size + len(array) * names + sum(map(weight, array.flatten()))
    if pa.types.is_map(kind):
        return size + weight(array.cast(pa.list_(pa.struct([kind.key_field, kind.item_field]))).flatten())
    if pa.types.is_nested(kind):
        return size + weight(array.flatten())
    return size + int(array.nbytes)


def lengths_of(values: Any) -> Any:
    """The bytes of each value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if holds_texts(values.type):
        return pc.binary_length(values)
    return pa.array([CELL_BYTES] * len(values), "int32")


def in_rows(batch: Any) -> Any:
    """A batch with each text in its row, and in types that the reader knows."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([in_known_types(column) for column in batch.columns], names=batch.schema.names)


def in_known_types(column: Any) -> Any:
    """A column whose values stand for themselves, in types that the reader has a name for."""
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.UuidType):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    if isinstance(column, pa.ExtensionArray):
        return in_known_types(column.storage)
    if pa.types.is_dictionary(kind):
        return in_known_types(column.dictionary_decode())
    if pa.types.is_timestamp(kind) and kind.tz and kind.tz not in available_timezones():
        # Such as +05:30. They stay the moments that they are.
        return column.cast(pa.timestamp(kind.unit, "UTC"))
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return in_known_types(column.cast(pa.large_list(kind.value_field)))
    if pa.types.is_struct(kind):
        fields = [in_known_types(field) for field in column.flatten()]
        return pa.StructArray.from_arrays(fields, names=[field.name for field in kind], mask=column.is_null())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return with_items(column, in_known_types(column.flatten()))
    return column


def with_items(column: Any, items: Any) -> Any:
    """A column of lists with other items in their places."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if items.type == column.type.value_type:
        return column
    lengths = pc.fill_null(pc.cast(pc.list_value_length(column), pa.int64()), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)])
    return pa.LargeListArray.from_arrays(offsets, items, mask=column.is_null())
