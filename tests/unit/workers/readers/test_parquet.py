"""Parquet as raw frames."""

from __future__ import annotations

import datetime as dt
import io
import json
import uuid
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.exceptions import ValidationError

from bulkql.workers.columns.cells import MARK, NULL
from bulkql.workers.errors import BadInput, UnreadableFile
from bulkql.workers.readers import parquet
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, UnknownColumns
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.validation.values import validate
from tests.plans import creating

PARIS = "Europe/Paris"


#: A type that polars does not have.
ARROW_MAP = pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64()))


def stored(**columns):
    buffer = io.BytesIO()
    if any(isinstance(values, pa.Array) for values in columns.values()):
        pq.write_table(pa.table(columns), buffer)
    else:
        pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def read(data, **options):
    file_options = FileOptions(format=FileFormat.PARQUET, **options)
    return list(parquet.read(io.BytesIO(data), creating(resource_named("animals")), file_options))


def cells(values, name, **options):
    """The cells of one column."""
    (frame,) = read(stored(**{name: values}), **options)
    assert frame.schema == {name: pl.String}
    return frame[name].to_list()


def unreadable(data):
    with pytest.raises(UnreadableFile) as caught:
        read(data)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("char", ["ab", "", None, "a\0b", "ä"], ["ab", "", None, "a\0b", "ä"]),
        ("char", ["\0null", "x"], [f'{MARK}"{MARK}null"', "x"]),
        ("char", pl.Series(["ab", "cd", "ab"], dtype=pl.Categorical), ["ab", "cd", "ab"]),
        ("char", pl.Series(["ab"], dtype=pl.Enum(["ab"])), ["ab"]),
        ("char", [None, None], [None, None]),
        ("text", [b"abc", None], ["abc", None]),
        ("text", [b"abc", b"\xffa", b"\0x", None], ["abc", f'{MARK}"\\udcffa"', f'{MARK}"\\u0000x"', None]),
        ("binary", [b"\xff\0a", b"", None], ["/wBh", "", None]),
        ("boolean", [True, False, None], ["true", "false", None]),
        ("big", [1, -(2**63), None], ["1", "-9223372036854775808", None]),
        ("big", pl.Series([2**63], dtype=pl.UInt64), ["9223372036854775808"]),
        ("number", [1.5, 7.0, float("nan"), float("inf"), None], ["1.5", "7.0", "NaN", "inf", None]),
        (
            "decimal",
            pl.Series([Decimal("1.50"), Decimal("-3"), None], dtype=pl.Decimal(10, 2)),
            ["1.50", "-3.00", None],
        ),
        ("date", [dt.date(2024, 2, 29), dt.date(1, 1, 1), None], ["2024-02-29", "0001-01-01", None]),
        ("time", [dt.time(1, 2, 3), dt.time(1, 2, 3, 500), None], ["01:02:03", "01:02:03.000500", None]),
        (
            "datetime",
            [dt.datetime(2024, 2, 29, 12), dt.datetime(1969, 12, 31, 23, 59, 59, 999999), None],
            ["2024-02-29T12:00:00", "1969-12-31T23:59:59.999999", None],
        ),
        (
            "datetime",
            pl.Series([dt.datetime(2024, 7, 1, 10), None]).dt.replace_time_zone("UTC").dt.convert_time_zone(PARIS),
            ["2024-07-01T10:00:00Z", None],
        ),
        (
            "datetime",
            pl.Series([1_000_000_001, 1_500_000_000], dtype=pl.Datetime("ns", "UTC")),
            ["1970-01-01T00:00:01.000000001Z", "1970-01-01T00:00:01.500Z"],
        ),
        ("time", pl.Series([1_000_000_001, 10**9], dtype=pl.Time), ["00:00:01.000000001", "00:00:01"]),
        ("duration", pl.Series([1, -(10**9)], dtype=pl.Duration("ns")), ["PT0.000000001S", "-PT1S"]),
        ("datetime", pa.array([0, None], pa.timestamp("us", "+05:30")), ["1970-01-01T00:00:00Z", None]),
        ("datetime", pa.array([0], pa.timestamp("us", "Nowhere")), ["1970-01-01T00:00:00Z"]),
        ("json", pa.array([[0]], pa.list_(pa.timestamp("us", "+05:30"))), ['["1970-01-01 00:00:00+00:00"]']),
        (
            "duration",
            [dt.timedelta(days=1, seconds=3), dt.timedelta(milliseconds=-5), None],
            ["P1DT3S", "-PT0.005S", None],
        ),
        ("json", [[1, 2], [], None], ["[1, 2]", "[]", None]),
        ("json", pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2)), ["[1, 2]"]),
        ("json", pa.array([[(b"a", 1)]], pa.map_(pa.binary(), pa.int64())), ['{"a": 1}']),
        ("json", ARROW_MAP, ['{"a": 1}', "{}", None]),
        (
            "json",
            [{"a": [{"b": None}], "c": dt.date(2024, 2, 29)}, None],
            ['{"a": [{"b": null}], "c": "2024-02-29"}', None],
        ),
    ],
)
def test_typed_columns_become_cells(name, values, texts):
    assert cells(values, name) == texts


def test_cells_of_typed_columns_are_what_the_fields_take():
    data = stored(
        char=["ab"],
        big=[5.0],
        binary=[b"\xff\0"],
        boolean=[True],
        date=[dt.date(2024, 2, 29)],
        datetime=pl.Series([1_500_000_000], dtype=pl.Datetime("ns", PARIS)),
        decimal=pl.Series([Decimal("1.50")], dtype=pl.Decimal(10, 2)),
        duration=[dt.timedelta(days=-1, microseconds=1)],
        number=[1e20],
        json=[{"a": [1]}],
        time=[dt.time(1, 2, 3, 500)],
    )

    (frame,) = read(data)
    validated = validate(creating(resource_named("animals")), frame)

    assert validated.errors.is_empty()
    columns = resource_named("animals").columns
    found = {name: columns[name].python(validated.rows[name])[0] for name in frame.columns}
    assert {**found, "binary": bytes(found["binary"])} == {
        "char": "ab",
        "big": 5,
        "binary": b"\xff\0",
        "boolean": True,
        "date": dt.date(2024, 2, 29),
        "datetime": dt.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=dt.UTC),
        "decimal": Decimal("1.50"),
        "duration": dt.timedelta(days=-1, microseconds=1),
        "number": 1e20,
        "json": {"a": [1]},
        "time": dt.time(1, 2, 3, 500),
    }


def test_texts_that_stand_for_null_are_null():
    assert cells(["NA", "ab", None], "char", null_values=("NA",)) == [NULL, "ab", None]
    assert cells([-999, 5, None], "big", null_values=("-999",)) == [NULL, "5", None]


def test_a_null_is_null_if_the_options_say_so():
    assert cells(["ab", "", None], "char", empty_cells=EmptyCells.NULL) == ["ab", "", NULL]


def test_columns_go_by_both_spellings_and_by_other_names():
    (frame,) = read(stored(Größe=[5], char=["ab"]), columns={"Größe": "big"})

    assert frame.to_dict(as_series=False) == {"big": ["5"], "char": ["ab"]}


def test_batches_keep_the_order_of_the_rows(monkeypatch):
    monkeypatch.setattr(parquet, "FRAME_BYTES", 7 * 64)

    frames = read(stored(big=list(range(100))))

    assert len(frames) > 1
    assert [int(text) for frame in frames for text in frame["big"]] == list(range(100))


def test_a_file_without_rows_has_none():
    assert sum(frame.height for frame in read(stored(char=pl.Series([], dtype=pl.String)))) == 0


def test_unknown_columns_are_refused_or_ignored():
    data = stored(char=["ab"], colour=["red"])

    with pytest.raises(BadInput) as caught:
        read(data)
    (frame,) = read(data, unknown_columns=UnknownColumns.IGNORE)

    assert str(caught.value).startswith("animals has no field for the column 'colour'. Its fields are big, ")
    assert frame.to_dict(as_series=False) == {"char": ["ab"]}


def test_what_is_no_parquet_is_refused():
    assert unreadable(b"char,text\nab,x\n").startswith("The file cannot be read as Parquet: ")
    assert unreadable(b"").startswith("The file cannot be read as Parquet: ")


def test_a_file_that_breaks_off_is_refused():
    data = stored(big=list(range(10_000)))

    assert unreadable(data[: len(data) // 2]) == (
        "The file cannot be read as Parquet: Parquet magic bytes not found in footer. Either the file is corrupted or "
        "this is not a parquet file. Write it again, or as CSV."
    )


def test_a_damaged_file_is_refused():
    data = stored(char=[str(number) for number in range(10_000)])

    assert unreadable(data[:100] + b"\xff" * 2_000 + data[2_100:]).startswith("The Parquet file is damaged: ")


def test_bytes_that_are_no_utf8_are_an_error_of_their_row():
    (frame,) = read(stored(char=[b"ab", b"\xe9t\xe9"]))
    validated = validate(creating(resource_named("animals")), frame)

    assert validated.errors.select(pl.first(), "path", "code", "message").rows() == [
        (1, "char", "INVALID", "A string is expected here, not bytes that are not UTF-8.")
    ]


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ms", "UTC")], ids=str)
def test_a_number_that_is_no_moment_is_an_error_of_its_row(dtype):
    kind = pl.Int32 if dtype == pl.Date else pl.Int64
    numbers = pl.Series([0, 2**31 - 1 if dtype == pl.Date else 2**63 - 1], dtype=kind)

    found = cells(numbers.cast(dtype), "char")

    assert found[0].startswith("1970-01-01")
    unit = "days" if dtype == pl.Date else dtype.time_unit
    what = f"a moment beyond every calendar, {numbers[1]} {unit} from 1970-01-01"
    with pytest.raises(ValidationError, match=f"^.'A string is expected here, not {what}.'.$"):
        resource_named("animals").columns["char"].clean(found[1])


KEYS = [uuid.UUID(int=5), None, uuid.UUID(int=2**128 - 1)]
TEXTS_OF_KEYS = [str(KEYS[0]), None, str(KEYS[2])]
ARROW_KEYS = pa.array([key and key.bytes for key in KEYS], pa.uuid())


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("token", ARROW_KEYS, TEXTS_OF_KEYS),
        ("char", ARROW_KEYS, TEXTS_OF_KEYS),
        (
            "json",
            pa.ListArray.from_arrays([0, 2, 2, 3], ARROW_KEYS),
            [json.dumps(TEXTS_OF_KEYS[:2]), "[]", json.dumps(TEXTS_OF_KEYS[2:])],
        ),
        (
            "json",
            pa.ListArray.from_arrays([0, 2, 3], ARROW_KEYS, mask=pa.array([True, False])).slice(1),
            [json.dumps(TEXTS_OF_KEYS[2:])],
        ),
        (
            "json",
            pa.StructArray.from_arrays([ARROW_KEYS], names=["a"], mask=pa.array([False, False, True])),
            [json.dumps({"a": TEXTS_OF_KEYS[0]}), '{"a": null}', None],
        ),
        ("json", pa.array([[1, None], None, []], pa.list_view(pa.int64())), ["[1, null]", None, "[]"]),
        (
            "json",
            pa.array([[dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)], None], pa.large_list(pa.timestamp("s", "+05:30"))),
            ['["2024-02-29 12:00:00+00:00"]', None],
        ),
    ],
)
def test_types_that_writers_have_names_for_are_what_they_mean(name, values, texts):
    assert cells(values, name) == texts


@pytest.mark.parametrize(
    "values",
    [pa.array([[b"\xff"]]), pa.array([{"a": b"\xff"}]), pa.array([[(b"\xff", 1)]], pa.map_(pa.binary(), pa.int64()))],
    ids=["list", "struct", "map"],
)
def test_bytes_within_a_list_that_are_no_utf8_are_an_error_of_their_row(values):
    (found,) = cells(values, "char")

    with pytest.raises(ValidationError, match=r"A string is expected here, not bytes that are not UTF-8\."):
        resource_named("animals").columns["char"].clean(found)


def test_a_list_with_a_moment_that_python_has_not_is_an_error_of_its_row():
    days = pl.Series([[0], [2**31 - 1], None, [2_932_897]], dtype=pl.List(pl.Int32)).cast(pl.List(pl.Date))

    found = cells(days, "json")

    assert found[0] == '["1970-01-01"]'
    assert found[2] is None
    assert [text.startswith(f'{MARK}{{"unreadable"') for text in (found[1], found[3])] == [True, True]


@pytest.mark.parametrize("dtype", [pl.Datetime("ns"), pl.Datetime("ns", PARIS), pl.Time, pl.Duration("ns")], ids=str)
@pytest.mark.parametrize("count", [1, 999, 1_000_001, 10**9 + 500])
def test_no_digit_below_a_microsecond_is_cut_off(dtype, count):
    moments = pl.Series([count, count // 1_000 * 1_000, None]).cast(dtype)
    name = {pl.Time: "time", pl.Duration: "duration"}.get(dtype.base_type(), "datetime")
    data = stored(char=["ab", "cd", "ef"], **{name: moments}, json=moments.to_frame("a").to_struct())

    (frame,) = read(data)
    found = validate(creating(resource_named("animals")), frame)

    assert set(found.errors.select(pl.first(), "path").rows()) == {(0, name), (0, "json")}
    assert found.rows["__row"].to_list() == [1, 2]


def test_the_beginning_tells_what_is_no_parquet():
    plan, options = creating(resource_named("animals")), FileOptions(format=FileFormat.PARQUET)
    parquet.ParquetBeginning(io.BytesIO(stored(big=[1])), options).check(plan)

    with pytest.raises(UnreadableFile, match=r"^This is not a Parquet file\.$"):
        parquet.ParquetBeginning(io.BytesIO(b"char,text\n"), options).check(plan)
