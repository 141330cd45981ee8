"""A text is parsed and validated once; what it answers never depends on that."""

from __future__ import annotations

import asyncio

import pytest

from bulkql.schema.checks import documents
from bulkql.schema.context import Context
from bulkql.schema.schema import schema


@pytest.fixture(autouse=True)
def valid():
    """The documents that are remembered; none at first."""
    found = documents.valid_in(schema())
    found.clear()
    return found


def execute(text, **variables):
    context = Context(request=None)
    return asyncio.run(schema().execute(text, variable_values=variables, context_value=context))


def test_valid_text_is_remembered_and_gives_the_same_again(valid):
    first, second = (execute("{ __typename }") for _ in range(2))

    assert (first.data, second.data) == ({"__typename": "Query"}, {"__typename": "Query"})
    assert list(valid) == ["{ __typename }"]


def test_invalid_text_is_refused_each_time(valid):
    for _ in range(2):
        (error,) = execute("{ nothing }").errors
        assert error.message == "Cannot query field 'nothing' on type 'Query'."
    assert valid == {}


def test_text_with_rows_of_its_own_is_not_remembered(valid):
    text = "mutation { bulkCreate(input: {financialAccounts: {rows: [{name: 1}]}}) { id } }"

    execute(text)

    assert valid == {}


def test_oldest_text_goes_first(monkeypatch, valid):
    monkeypatch.setattr(documents, "TEXTS", 2)

    for name in "abc":
        execute(f"{{ {name}: __typename }}")

    assert list(valid) == ["{ b: __typename }", "{ c: __typename }"]


def test_long_text_is_not_remembered(valid):
    execute("{ __typename }" + " " * documents.CHARACTERS)

    assert valid == {}
