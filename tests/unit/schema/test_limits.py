"""A request asks for no more than it may, and finding that out takes time in proportion to its length."""

from __future__ import annotations

import asyncio
import sys

import pytest

from bulkql.schema.context import Context
from bulkql.schema.failures import coded
from bulkql.schema.schema import schema


def errors(text, **variables):
    """Code and message of each error."""
    result = asyncio.run(schema().execute(text, variable_values=variables, context_value=Context(request=None)))
    found = [coded(error) for error in result.errors or ()]
    return [(error.extensions["code"], error.message) for error in found]


def doubling(levels):
    """Fragments that each spread the next twice."""
    chain = [f"fragment f{n} on Query {{ a: __typename ...f{n + 1} ...f{n + 1} }}" for n in range(levels)]
    return " ".join(["{ ...f0 }", *chain, f"fragment f{levels} on Query {{ __typename }}"])


def nested(levels):
    """Fragments that each are the next one's parent, twice."""
    chain = [
        f"fragment f{n} on BulkOperation {{ a{n}: resources {{ resource }} ...f{n + 1} ...f{n + 1} }}"
        for n in range(levels)
    ]
    return " ".join(['{ operation(id: "1") { ...f0 } }', *chain, f"fragment f{levels} on BulkOperation {{ id }}"])


TOO_LARGE = {
    "fields": "{" + " __typename" * 1_001 + "}",
    "fields of a fragment, at each spread": "{" + " ...f" * 101 + "} fragment f on Query {" + " __typename" * 10 + "}",
    "doubling fragments": doubling(18),
    "doubling fragments of fields": nested(18),
    "fields that no operation reaches": "{ __typename } fragment f on Query {" + " __typename" * 1_001 + "}",
    "aliases": "{" + "".join(f" a{n}: __typename" for n in range(31)) + "}",
    "levels": "{ operations { edges " * 11 + "{ cursor }" + "} }" * 11,
    "tokens": "{" + " __typename" * 20_001 + "}",
}


#: What reading and counting cost, with room; fragments that are followed at each spread cost ten thousand times that.
CALLS_A_CHARACTER = 20


def counted(work):
    """How many functions are called in that work, which says more than its seconds do, and what it returns."""
    calls = 0

    def called(_frame, event, _argument):
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        return_value = work()
    finally:
        sys.setprofile(before)
    return calls, return_value


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_is_too_large_is_refused_with_its_limit(name):
    errors("{ __typename }")  # builds the schema, once
    calls, found = counted(lambda: errors(TOO_LARGE[name]))

    (error,) = found
    assert error[0] == "LIMIT_EXCEEDED"
    assert "BULKQL_QUERY_" in error[1]
    assert calls < CALLS_A_CHARACTER * len(TOO_LARGE[name]), "and at once"


@pytest.mark.parametrize(
    "text",
    ["{" + "a{" * 6_000 + "b" + "}" * 6_001, "query ($a: Int = " + "[" * 9_000 + "]" * 9_000 + ") { __typename }"],
    ids=["selections", "lists"],
)
def test_what_is_too_deep_to_be_read_is_the_clients_mistake(text):
    assert errors(text) == [("BAD_INPUT", "Syntax Error: Document is nested too deeply. Parsing aborted.")]


def test_a_cycle_of_fragments_is_refused():
    codes = {code for code, _ in errors("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }")}

    assert codes == {"BAD_INPUT"}


def test_introspection_fits():
    from graphql import get_introspection_query

    assert errors(get_introspection_query(input_value_deprecation=True)) == []
