"""Fields with choices, and their names in GraphQL."""

from __future__ import annotations

import pytest
from django.db import models

from bulkql.workers.columns.choices import choice_names, enum_name
from bulkql.workers.columns.column import column_for
from tests.unit.workers.columns.samples import ODD_FIELDS, fast


@pytest.mark.parametrize(
    ("text", "name"),
    [("north america", "NORTH_AMERICA"), ("a-b", "A_B"), ("1", None), ("é", None), ("true", None), ("Null", None)],
)
def test_enum_names_are_upper_snake_or_none(text, name):
    assert enum_name(text) == name


def test_choices_are_named_by_their_values_or_else_their_labels_and_each_once():
    field = models.CharField(
        choices=[("1", "First!"), ("true", "-"), ("b", "x"), ("B", "y"), ("b_3", "z"), ("b-3", "")]
    )

    assert choice_names(field) == {
        "FIRST": "1",
        "CHOICE_1": "true",
        "B": "b",
        "B_3": "B",
        "B_3_4": "b_3",
        "B_3_5": "b-3",
    }
    assert choice_names(ODD_FIELDS["letter"]) == {"B": "b", "B_1": "B", "B_2": "b_2"}


def test_an_enum_name_means_its_choice_also_where_another_choice_is_written_so():
    column = column_for(ODD_FIELDS["letter"])

    assert fast(column, ["B", "b", "B_1", "", "c"]) == [("B", "b"), ("b", "b"), ("B_1", "B"), ("", "")]
