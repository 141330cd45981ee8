"""The rows that a document asks for, counted before it is executed."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse

from bulkql.schema.limits.pages import Pages, check_rows, defaults_of
from bulkql.schema.schema import schema
from bulkql.workers.conf import limits
from bulkql.workers.errors import LimitExceeded


def rows_asked_for(text: str, **variables: Any) -> int:
    document = parse(text)
    operation = document.definitions[0]
    pages = Pages(schema()._schema, document, {**defaults_of(operation), **variables})
    return pages.rows_of(operation.selection_set, schema()._schema.get_root_type(operation.operation))


@pytest.mark.parametrize(
    ("text", "variables", "count"),
    [
        ("{ financialTransactions { id } }", {}, 100),
        ("{ financialTransactions(pagination: null) { id } }", {}, 100),
        ("{ financialTransactions(pagination: {offset: 5}) { id } }", {}, 100),
        ("{ financialTransactions(pagination: {limit: 7}) { id } }", {}, 7),
        ("query ($n: Int) { financialTransactions(pagination: {limit: $n}) { id } }", {"n": 9}, 9),
        ("query ($n: Int = 8) { financialTransactions(pagination: {limit: $n}) { id } }", {}, 8),
        ("query ($p: OffsetPaginationInput) { financialTransactions(pagination: $p) { id } }", {"p": {"limit": 6}}, 6),
        ("{ a: financialTransactions { id } b: financialTransactions { id } }", {}, 200),
        ("{ operations { edges { node { id } } } }", {}, 20),
        ("{ operations(first: null) { edges { node { id } } } }", {}, 20),
        ("query ($n: Int) { operations(first: $n) { edges { node { id } } } }", {"n": None}, 20),
        ("{ operations(first: 3) { edges { node { results(first: 5) { totalCount } } } } }", {}, 3 + 3 * 5),
        ("{ ...F a: bulkResources { name } ...F } fragment F on Query { countries { iso } }", {}, 200),
        ("{ ... on Query { countries { iso } } }", {}, 100),
        ("{ nothing { id } }", {}, 0),
        ("{ ...F } fragment F on Query { ...F }", {}, 0),
    ],
)
def test_pages_count_with_their_aliases_fragments_and_those_that_hold_them(text, variables, count):
    assert rows_asked_for(text, **variables) == count


def test_the_error_names_the_rows_the_limit_and_the_setting():
    most = limits().answer_rows
    text = "{" + " ".join(f"a{n}: financialTransactions(pagination: {{limit: 1000}}) {{ id }}" for n in range(26)) + "}"

    with pytest.raises(LimitExceeded) as refused:
        check_rows(schema()._schema, parse(text), {})

    assert str(refused.value) == (
        f"26,000 rows in one answer, all of its pages together, exceed the limit of {most:,} (BULKQL_ANSWER_ROWS); "
        "ask for smaller pages."
    )


def test_fragments_that_spread_the_next_twice_are_walked_once():
    levels = 200
    spreads = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels)]
    text = f"{{ ...F0 }} {' '.join(spreads)} fragment F{levels} on Query {{ countries {{ iso }} }}"

    assert rows_asked_for(text) == 100 * 2**levels
