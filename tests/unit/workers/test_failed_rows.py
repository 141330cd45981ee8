"""Names of the sender, in GraphQL and nested."""

from __future__ import annotations

import pytest

from workers.failed_rows import in_graphql, nested


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("amount", "amount"),
        ("financial_account", "financialAccount"),
        ("financial_account.name", "financialAccountBy.name"),
        ("parent.short_name", "parentBy.shortName"),
    ],
)
def test_inline_rows_call_a_field_as_graphql_does(field, name):
    assert in_graphql(field) == name


def test_the_fields_of_a_key_stand_together_in_an_object():
    row = {"amount": "1", "parentBy.code": "a", "note": None, "parentBy.year": 5}

    assert nested(row) == {"amount": "1", "parentBy": {"code": "a", "year": 5}, "note": None}
