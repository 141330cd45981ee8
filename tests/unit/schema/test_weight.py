"""What grows with the input runs in a thread; the event loop goes on."""

from __future__ import annotations

import asyncio
import threading

import pytest
from graphql import get_introspection_query

from bulkql.schema.checks import documents, weight
from bulkql.schema.checks.size import DocumentLimits
from bulkql.schema.context import Context
from bulkql.schema.schema import schema

LONG = "{ bulkResources { " + "name " * 500 + "} }"


@pytest.fixture
def threads(monkeypatch):
    """The threads in which documents were validated."""
    found = []
    on_validate = DocumentLimits.on_validate

    def noted(self):
        found.append(threading.current_thread().name.partition("_")[0])
        yield from on_validate(self)

    monkeypatch.setattr(DocumentLimits, "on_validate", noted)
    monkeypatch.setattr(documents, "_valid", type(documents._valid)())
    return found


def execute(text, **variables):
    context = Context(request=None)
    return asyncio.run(schema().execute(text, variable_values=variables, context_value=context))


def test_a_long_text_is_parsed_and_validated_in_a_thread(threads):
    execute(LONG)

    assert threads == ["heavy"]


def test_a_text_that_is_known_is_not(threads):
    for _ in range(2):
        execute(LONG)

    assert threads == ["heavy", "MainThread"]


def test_many_variables_are_coerced_in_a_thread(threads):
    execute("query ($n: [Int!]) { __typename @include(if: true) }", n=list(range(weight.LIGHT_VALUES + 1)))

    assert threads == ["heavy"]


def test_a_short_request_costs_no_thread(threads):
    execute("{ __typename }")

    assert threads == ["MainThread"]


def test_the_loop_goes_on_while_a_long_text_is_parsed():
    """The parser waits for the loop, which would wait for ever if the parser stood on it."""
    is_parsing, is_free = threading.Event(), threading.Event()

    def parse():
        is_parsing.set()
        return is_free.wait(10)

    async def main():
        parsing = asyncio.create_task(weight.in_thread(parse))
        await asyncio.to_thread(is_parsing.wait, 10)
        is_free.set()
        return await parsing

    assert asyncio.run(main())


def test_introspection_is_within_all_limits():
    result = execute(get_introspection_query(descriptions=True, input_value_deprecation=True))

    assert result.errors is None


@pytest.mark.parametrize("kind", ["query", "subscription"])
def test_a_heavy_operation_over_the_websocket_is_checked_in_a_thread(threads, kind):
    async def first(text):
        stream = await schema().stream(text, context_value=Context(request=None))
        return await anext(stream)

    result = asyncio.run(first(f"{kind} {{ {'nothing ' * 500}}}"))

    assert {error.message for error in result.errors} >= {
        f"Cannot query field 'nothing' on type '{kind.capitalize()}'."
    }
    assert "MainThread" not in threads


def test_a_deep_text_ends_the_parser_and_not_the_stack():
    (error,) = execute("{a" * 5000 + "}" * 5000).errors

    assert error.message == "Syntax Error: Document is nested too deeply. Parsing aborted."
