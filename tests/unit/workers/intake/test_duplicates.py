"""Which rows are superseded: the verdicts of a plain model, however the rows are cut and wherever they wait."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from django.db import models
from django.test.utils import isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkql.examples.ledger.models import FinancialTransaction
from bulkql.workers import spill
from bulkql.workers.columns.cells import NULL
from bulkql.workers.errors import UnreadableFile
from bulkql.workers.frames import SUPERSEDED_BY, SUPERSEDED_KEY
from bulkql.workers.intake import duplicates, trades
from bulkql.workers.intake.duplicates import find_superseded
from bulkql.workers.readers.objects import raw_frame
from bulkql.workers.resources.registry import BulkResource, resource_named
from tests.plans import creating

# ruff: noqa: DJ008 (nobody reads the names of these models' rows)
with isolate_apps("tests.zoo"):

    class Seat(models.Model):
        """Keys of all sorts."""

        code = models.CharField(max_length=8, unique=True)
        price = models.DecimalField(max_digits=6, decimal_places=2, null=True, unique=True)
        address = models.GenericIPAddressField(null=True, unique=True)
        hall = models.IntegerField(null=True)
        row = models.IntegerField(null=True)
        day = models.DateField(null=True)
        guest = models.IntegerField(default=0)

        class Meta:
            app_label = "zoo"
            constraints = [
                models.UniqueConstraint(fields=["hall", "row"], name="rows"),
                models.UniqueConstraint(fields=["hall", "day"], name="days", nulls_distinct=False),
            ]

    class Note(models.Model):
        text = models.TextField()

        class Meta:
            app_label = "zoo"


class Seats(BulkResource):
    fields = ("code", "price", "address", "hall", "row", "day", "guest")


class Notes(BulkResource):
    fields = ("text",)


@pytest.fixture(autouse=True, scope="module")
def _without_database():
    """What only a database could tell of these keys is left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trades, "constraints_to_search", lambda plan: [])
        yield


def verdicts_of(resource, read, marked=None):
    """For each row, the row that supersedes it and the key, or None."""
    start, found = 0, []
    with closing(find_superseded(creating(resource), iter(read), None)) as verdicts:
        for raw in marked or read:
            frame = verdicts.mark(raw, start)
            start += raw.height
            has_marks = SUPERSEDED_BY in frame.columns
            found += frame.select(SUPERSEDED_BY, SUPERSEDED_KEY).rows() if has_marks else [(None, None)] * raw.height
    return [None if by is None else (by, key) for by, key in found]


def verdicts(rows):
    return verdicts_of(Seats(Seat), [raw_frame(creating(Seats(Seat)), rows)])


def test_the_last_row_of_a_key_counts():
    assert verdicts([{"code": "a"}, {"code": "b"}, {"code": "a"}, {"code": "a"}]) == [
        (3, "code"),
        None,
        (3, "code"),
        None,
    ]


def test_without_duplicates_the_frame_stays_as_it_is():
    raw = raw_frame(creating(Seats(Seat)), [{"code": "a"}, {"code": "b"}])

    with closing(find_superseded(creating(Seats(Seat)), [raw], None)) as found:
        assert found.mark(raw, 0) is raw


def test_a_frame_without_rows_stays_as_it_is():
    empty = pl.DataFrame(schema={"code": pl.String})

    with closing(find_superseded(creating(Seats(Seat)), [empty], None)) as found:
        assert found.mark(empty, 0) is empty


def test_a_model_without_keys_in_its_rows_has_no_duplicates():
    raw = raw_frame(creating(Notes(Note)), [{"text": "a"}, {"text": "a"}])

    assert verdicts_of(Notes(Note), [raw]) == [None, None]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"price": "1.5"}, {"price": "+01.50"}),
        ({"price": 1.5}, {"price": "1.50"}),
        ({"address": "::1"}, {"address": "0:0:0:0:0:0:0:1"}),
        ({"hall": 7, "row": 1}, {"hall": 7.0, "row": 1}),
        ({"hall": 7, "day": "2024-02-29"}, {"hall": 7, "day": "20240229"}),
    ],
)
def test_two_spellings_of_a_value_are_one(first, second):
    found = verdicts([{"code": "a", **first}, {"code": "b", **second}])

    assert found == [(1, ", ".join(first)), None]


def test_a_moment_is_one_in_any_time_zone():
    resource = resource_named("financialTransactions")
    rows = [
        {"financialAccount": 1, "datetime": "2024-02-29T12:00:00Z"},
        {"financialAccount": 2, "datetime": "2024-02-29T12:00:00Z"},
        {"financialAccount": "1", "datetime": "2024-02-29T14:00:00+02:00"},
    ]

    raw = raw_frame(creating(resource), rows)
    assert verdicts_of(resource, [raw]) == [
        (2, "financialAccount, datetime"),
        None,
        None,
    ]
    assert FinancialTransaction._meta.constraints[0].fields == ("financial_account", "datetime")


def test_nulls_are_equal_to_nothing_unless_the_key_says_so():
    rows = [{"code": "a", "hall": 1, "row": None}, {"code": "b", "hall": 1, "row": None}]
    assert verdicts(rows) == [None, None]

    rows = [{"code": "a", "hall": None, "day": None}, {"code": "b", "hall": None, "day": None}]
    assert verdicts(rows) == [(1, "hall, day"), None]


def test_what_a_row_does_not_give_or_gives_wrongly_is_no_null():
    rows = [
        {"code": "a", "hall": 1, "day": None},
        {"code": "b", "hall": 1},
        {"code": "c", "hall": 1, "day": "never"},
        {"code": "d", "hall": 1, "day": "ever"},
    ]

    assert verdicts(rows) == [None] * 4


def test_a_row_that_loses_by_several_keys_is_named_by_the_first():
    rows = [
        {"code": "a", "price": 1, "hall": 1, "row": 1},
        {"code": "b", "price": 1, "hall": 1, "row": 2},
        {"code": "c", "price": 2, "hall": 1, "row": 1},
        {"code": "b", "price": 3, "hall": 2, "row": 2},
    ]

    assert verdicts(rows) == [(1, "price"), (3, "code"), None, None]


def test_nothing_stays_on_the_disk_when_the_file_breaks_off(monkeypatch, tmp_path):
    monkeypatch.setattr(spill, "HELD_ROWS", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def frames():
        yield raw_frame(creating(Seats(Seat)), [{"code": "a"}, {"code": "b"}])
        raise UnreadableFile("Line 4 is not CSV.")

    with pytest.raises(UnreadableFile):
        find_superseded(creating(Seats(Seat)), frames(), None)

    assert list(Path(tmp_path).iterdir()) == []


def test_rows_of_one_key_are_never_in_memory_all_at_once(monkeypatch):
    """A file of 20 MB can name one key ten million times."""
    monkeypatch.setattr(spill, "HELD_ROWS", 100)
    monkeypatch.setattr(spill, "BATCH_ROWS", 100)
    monkeypatch.setattr(duplicates, "SPAN", 100)
    heights, concat = [], pl.concat
    frames = [raw_frame(creating(Seats(Seat)), [{"code": "a"}] * 100) for _ in range(50)]
    monkeypatch.setattr(pl, "concat", lambda some, **how: heights.append(sum(map(len, some))) or concat(some, **how))

    with closing(find_superseded(creating(Seats(Seat)), frames, None)) as found:
        marked = [found.mark(frame, 100 * place) for place, frame in enumerate(frames)]

    assert concat(marked)[SUPERSEDED_BY].to_list() == [4_999] * 4_999 + [None]
    assert max(heights) <= 300


few = st.integers(0, 3)
maybe = st.one_of(few, st.none(), st.just(...))
ROW = st.fixed_dictionaries(
    {
        "code": st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h", None, ..., "far too long for a code"]),
        "price": st.sampled_from(["1", "1.0", "1.00", "2", 2, "+2.00", None, ..., "x", ...]),
        "hall": maybe,
        "row": maybe,
        "day": st.sampled_from(["2024-02-29", "20240229", "2024-03-01", None, ..., "never"]),
    }
)
CUT = st.integers(1, 7)


def value_of(name, value):
    """What a field's value is compared as; ... where it has none."""
    if value is ... or value in ("x", "never", "far too long for a code"):
        return ...
    if value is None:
        return None
    if name == "price":
        return float(value)
    return dt.date.fromisoformat(value) if name == "day" else value


def model_of(rows):
    """The verdicts, by the plainest code."""
    keys = [(("code",), True), (("price",), True), (("hall", "row"), True), (("hall", "day"), False)]
    found = [None] * len(rows)
    for names, nulls_distinct in keys:
        values = [tuple(value_of(name, row.get(name, ...)) for name in names) for row in rows]
        for index, value in enumerate(values):
            if ... in value or (nulls_distinct and None in value):
                continue
            last = max(other for other, same in enumerate(values) if same == value)
            if last > index and found[index] is None:
                found[index] = (last, ", ".join(names))
    return found


@settings(max_examples=60, deadline=None, database=None)
@given(
    rows=st.lists(ROW, min_size=1, max_size=25),
    cuts=st.tuples(CUT, CUT),
    held_rows=st.sampled_from([1, 3, 1_000_000]),
    batch_rows=st.sampled_from([1, 4, 1_000_000]),
    span=st.sampled_from([1, 4, 1_000_000]),
    parts=st.sampled_from([1, 16]),
)
def test_verdicts_are_those_of_the_model_however_rows_are_cut_and_wherever_they_wait(
    rows, cuts, held_rows, batch_rows, span, parts
):
    rows = [{name: value for name, value in row.items() if value is not ...} for row in rows]
    resource = Seats(Seat)
    read, marked = (
        [raw_frame(creating(resource), rows[at : at + size]) for at in range(0, len(rows), size)] for size in cuts
    )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "HELD_ROWS", held_rows)
        patch.setattr(spill, "BATCH_ROWS", batch_rows)
        patch.setattr(duplicates, "SPAN", span)
        patch.setattr(duplicates, "PARTS", parts)
        found = verdicts_of(resource, read, marked)

    assert found == model_of(rows)


def test_a_cell_of_null_is_not_its_text():
    resource = Seats(Seat)
    raw = pl.DataFrame({"code": ["null", NULL, "null"]})

    assert verdicts_of(resource, [raw]) == [(2, "code"), None, None]
