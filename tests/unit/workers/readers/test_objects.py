"""JSON objects as raw frames."""

from __future__ import annotations

import json

import pytest

from bulkql.workers.columns.cells import MARK, NULL
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import INTAKE_ERRORS
from bulkql.workers.readers.objects import raw_frame
from bulkql.workers.resources.registry import BulkResource, _registry, resource_named
from tests.plans import creating
from tests.zoo.models import Animal, Keeper


class Few(BulkResource):
    name = "animals"
    fields = ("char", "big", "json")


class Kept(BulkResource):
    name = "animals"
    fields = ("char", "keeper")


@pytest.fixture
def few():
    return Few(Animal)


def test_a_target_without_a_resource_cannot_be_named_and_the_error_says_so(monkeypatch):
    monkeypatch.delitem(_registry, Keeper)

    frame = raw_frame(creating(Kept(Animal)), [{"keeperBy": {"code": "A"}}])

    message = (
        "animals has no field keeperBy; it has char, keeper. "
        "Rows of zoo.Keeper can be named by a key once it is registered in a bulk.py."
    )
    assert json.loads(frame[INTAKE_ERRORS][0]) == [["keeperBy", "UNKNOWN_FIELD", message, '{"code": "A"}']]


def test_only_columns_that_some_row_gives_are_there(few):
    frame = raw_frame(creating(few), [{"char": "ab"}, {"char": None, "json": [1]}, {}])

    assert frame.to_dict(as_series=False) == {"char": ["ab", NULL, None], "json": [None, "[1]", None]}


def test_both_spellings_of_a_name_are_the_same_column():
    rows = [{"financial_account": 1}, {"financialAccount": "2"}, {"amount": "1.50"}]

    frame = raw_frame(creating(resource_named("financialTransactions")), rows)

    assert frame.to_dict(as_series=False) == {"amount": [None, None, "1.50"], "financial_account": ["1", "2", None]}


def test_a_row_that_gives_a_field_twice_contradicts_itself():
    rows = [{"financial_account": 1, "financialAccount": "2"}, {"financialAccount": "2"}]

    frame = raw_frame(creating(resource_named("financialTransactions")), rows)

    assert frame["financial_account"].to_list() == ["1", "2"]
    assert [error and json.loads(error) for error in frame[INTAKE_ERRORS]] == [
        [
            [
                "financialAccount",
                "INVALID",
                "The row gives this field twice, as financial_account and as financialAccount.",
                '[1, "2"]',
            ]
        ],
        None,
    ]


def test_other_names_are_mapped(few):
    frame = raw_frame(creating(few), [{"Grösse": 1, "char": "ab"}, {"big": 2}], names={"Grösse": "big"})

    assert frame.to_dict(as_series=False) == {"char": ["ab", None], "big": ["1", "2"]}


def test_an_unknown_field_is_an_error_of_its_row(few):
    frame = raw_frame(creating(few), [{"char": "ab"}, {"char": "cd", "colour": "red", "age": 5}])

    errors = [error and json.loads(error) for error in frame[INTAKE_ERRORS]]
    assert frame["char"].to_list() == ["ab", "cd"]
    assert errors == [
        None,
        [
            ["age", "UNKNOWN_FIELD", "animals has no field age; it has char, big, json.", "5"],
            ["colour", "UNKNOWN_FIELD", "animals has no field colour; it has char, big, json.", '"red"'],
        ],
    ]


def test_unknown_fields_may_be_ignored(few):
    frame = raw_frame(creating(few), [{"char": "ab", "colour": "red"}], ignore_unknown=True)

    assert frame.to_dict(as_series=False) == {"char": ["ab"], "__others": ['{"colour": "red"}']}


def test_half_a_surrogate_pair_in_a_name_is_shown(few):
    frame = raw_frame(creating(few), [{"a\ud800": "b\ud800"}])

    assert json.loads(frame[INTAKE_ERRORS][0]) == [
        ["a\\ud800", "UNKNOWN_FIELD", "animals has no field a\\ud800; it has char, big, json.", '"b\\ud800"']
    ]


@pytest.mark.parametrize(
    ("row", "shown"), [(None, "null"), (5, "5"), ("ab", '"ab"'), ([{"char": "a"}], '[{"char": "a"}]')]
)
def test_what_is_no_object_is_an_error_of_its_row(few, row, shown):
    frame = raw_frame(creating(few), [{"char": "ab"}, row])

    assert frame["char"].to_list() == ["ab", None]
    assert [error and json.loads(error) for error in frame[INTAKE_ERRORS]] == [
        None,
        [[None, "INVALID", "A row is an object of fields and values.", shown]],
    ]


def test_rows_that_give_nothing_are_rows_still(few):
    frame = raw_frame(creating(few), [{}, {}])

    assert frame.to_dict(as_series=False) == {"char": [None, None]}


def test_errors_found_before_stay(few):
    frame = raw_frame(
        creating(few), [None, {"char": "ab"}], errors={0: [RowError(None, Code.INVALID, "Line 1 is not JSON.", "{")]}
    )

    assert [error and json.loads(error) for error in frame[INTAKE_ERRORS]] == [
        [[None, "INVALID", "Line 1 is not JSON.", "{"]],
        None,
    ]


def test_values_of_a_wrong_kind_are_kept_for_their_error(few):
    frame = raw_frame(creating(few), [{"char": 1, "big": True}])

    assert frame.to_dict(as_series=False) == {"char": [f"{MARK}1"], "big": [f"{MARK}true"]}
