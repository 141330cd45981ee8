"""The row lane: however a request brings its rows, they come out the same, and the rest of it stays typed."""

from __future__ import annotations

import asyncio
import json

import pytest
from graphql import parse, print_ast, validate
from graphql.execution.values import get_variable_values

from bulkql.schema.context import Context
from bulkql.schema.rows.fragments import operation_of
from bulkql.schema.rows.lane import Lane
from bulkql.workers.columns.cells import ExactFloat
from tests.unit.schema.answering import SCHEMA, execute, refusal, rows_of

ROWS = [
    {"name": "Tom", "size": 5, "weight": 1.5, "colour": "RED", "tags": ["a", "b"], "extra": {"name": "x"}},
    {"name": None, "size": "five", "weight": True, "colour": "MAUVE", "tags": "a", "unheard": [None]},
    {},
]


LITERALS = """[
    {name: "Tom", size: 5, weight: 1.5, colour: RED, tags: ["a", "b"], extra: {name: "x"}},
    {name: null, size: "five", weight: true, colour: MAUVE, tags: "a", unheard: [null]},
    {},
]"""


#: The same rows in every form that GraphQL has for them: query and variables.
FORMS = {
    "in the input": (
        "mutation ($input: BulkInput!) { bulkCreate(input: $input) { rows } }",
        {"input": {"cats": {"rows": ROWS}}},
    ),
    "in the resource": (
        "mutation ($cats: Create) { bulkCreate(input: {cats: $cats}) { rows } }",
        {"cats": {"rows": ROWS}},
    ),
    "in the rows": ("mutation ($rows: [Row!]) { bulkCreate(input: {cats: {rows: $rows}}) { rows } }", {"rows": ROWS}),
    "as literals": (f"mutation {{ bulkCreate(input: {{cats: {{rows: {LITERALS}}}}}) {{ rows }} }}", None),
    "as a default of the input": (
        f"mutation ($input: BulkInput = {{cats: {{rows: {LITERALS}}}}}) {{ bulkCreate(input: $input) {{ rows }} }}",
        None,
    ),
    "as a default of the resource": (
        f"mutation ($cats: Create = {{rows: {LITERALS}}}) {{ bulkCreate(input: {{cats: $cats}}) {{ rows }} }}",
        {},
    ),
    "as a default of the rows": (
        f"mutation ($rows: [Row!]! = {LITERALS}) {{ bulkCreate(input: {{cats: {{rows: $rows}}}}) {{ rows }} }}",
        {},
    ),
    "in variables inside literals": (
        "mutation ($first: Row!, $size: Int, $colour: Colour, $null: String, $tag: String!, $absent: String) {"
        " bulkCreate(input: {cats: {rows: [$first, {name: $null, size: $size, weight: true, colour: $colour,"
        " tags: $tag, unheard: [$null]}, {name: $absent}]}}) { rows } }",
        {"first": ROWS[0], "size": "five", "colour": "MAUVE", "null": None, "tag": "a"},
    ),
    "in a fragment": (
        "mutation { ...Create } fragment Create on Mutation"
        f" {{ bulkCreate(input: {{cats: {{rows: {LITERALS}}}}}) {{ rows }} }}",
        None,
    ),
    "in a fragment of a fragment": (
        "mutation ($rows: [Row!]) { ...Outer } fragment Outer on Mutation { ...Inner }"
        " fragment Inner on Mutation { bulkCreate(input: {cats: {rows: $rows}}) { rows } }",
        {"rows": ROWS},
    ),
    "in an inline fragment": (
        f"mutation {{ ... on Mutation {{ bulkCreate(input: {{cats: {{rows: {LITERALS}}}}}) {{ rows }} }} }}",
        None,
    ),
    "under an alias": (
        f"mutation {{ mine: bulkCreate(input: {{cats: {{rows: {LITERALS}}}}}) {{ rows }} }}",
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_the_same_rows_come_out_of_every_form(form):
    query, variables = FORMS[form]

    assert rows_of(query, variables) == {"cats": ROWS}


def test_variables_are_not_changed():
    query, variables = FORMS["in the input"]

    execute(query, variables)

    assert variables == {"input": {"cats": {"rows": ROWS}}}


def test_a_single_row_is_a_list_of_one():
    assert rows_of('mutation { bulkCreate(input: {cats: {rows: {name: "Tom"}}}) { rows } }') == {
        "cats": [{"name": "Tom"}]
    }
    query, _ = FORMS["in the rows"]
    assert rows_of(query, {"rows": {"name": "Tom"}}) == {"cats": [{"name": "Tom"}]}


def test_no_rows_and_an_empty_list_are_two_things():
    query = "mutation ($input: BulkInput!) { bulkCreate(input: $input) { rows files } }"

    assert rows_of(query, {"input": {}}) == {}
    assert rows_of(query, {"input": {"cats": None, "dogs": {"rows": None}}}) == {}
    assert rows_of(query, {"input": {"cats": {"rows": []}}}) == {"cats": []}
    assert rows_of("mutation { bulkCreate(input: {cats: {rows: []}, dogs: {rows: null}}) { rows } }") == {"cats": []}
    assert rows_of("mutation ($rows: [Row!]) { bulkCreate(input: {cats: {rows: $rows}}) { rows } }") == {}
    assert rows_of("mutation ($cats: Create) { bulkCreate(input: {cats: $cats}) { rows } }") == {}


def test_the_rest_of_the_input_is_coerced_as_ever():
    query = (
        "mutation ($input: BulkInput!, $mode: String!) { bulkCreate(input: $input, mode: $mode) { rows mode files } }"
    )
    variables = {"input": {"cats": {"rows": [{}]}, "dogs": {"file": {}}}, "mode": "SYNC"}

    assert execute(query, variables) == {"bulkCreate": {"rows": {"cats": [{}]}, "mode": "SYNC", "files": ["a.csv"]}}
    assert refusal(query, {"input": {"cats": {"lines": []}}, "mode": "SYNC"}) == [
        "Variable '$input' has invalid value at .cats: Expected value of type 'Create' not to include unknown field"
        " 'lines'. Did you mean 'file'? Found: {'lines': []}."
    ]
    assert refusal(query, {"input": {"cats": {"rows": [{}]}}}) == [
        "Variable '$mode' has invalid value: Expected a value of non-null type 'String!' to be provided."
    ]


def test_several_resources_in_one_mutation_keep_their_rows():
    query = "mutation ($dogs: [Row!]) { bulkCreate(input: {cats: {rows: {name: 1}}, dogs: {rows: $dogs}}) { rows } }"

    assert rows_of(query, {"dogs": [{"name": 2}, {"name": 3}]}) == {
        "cats": [{"name": 1}],
        "dogs": [{"name": 2}, {"name": 3}],
    }


def test_two_mutations_keep_their_rows():
    query = """mutation ($shared: BulkInput!) {
        bulkCreate(input: {cats: {rows: {name: 1}}}) { rows }
        second: bulkCreate(input: {cats: {rows: {name: 2}}}) { rows }
        third: bulkCreate(input: $shared) { rows }
        fourth: bulkCreate(input: $shared) { rows }
        rename(name: "x")
    }"""

    data = execute(query, {"shared": {"cats": {"rows": [{"name": 3}]}}})

    assert data == {
        "bulkCreate": {"rows": {"cats": [{"name": 1}]}},
        "second": {"rows": {"cats": [{"name": 2}]}},
        "third": {"rows": {"cats": [{"name": 3}]}},
        "fourth": {"rows": {"cats": [{"name": 3}]}},
        "rename": "x",
    }


def test_two_mutations_of_one_name_are_one_if_they_are_the_same():
    query = """mutation ($rows: [Row!]) {
        bulkCreate(input: {cats: {rows: $rows}}) { rows }
        bulkCreate(input: {cats: {rows: $rows}}) { mode }
    }"""

    assert execute(query, {"rows": [{"name": 1}]}) == {"bulkCreate": {"rows": {"cats": [{"name": 1}]}, "mode": "AUTO"}}


def test_two_mutations_of_one_name_with_other_rows_are_refused():
    query = """mutation {
        bulkCreate(input: {cats: {rows: [{name: "a"}]}}) { rows }
        bulkCreate(input: {cats: {rows: [{name: "b"}]}}) { rows }
    }"""

    assert refusal(query) == [
        "Fields 'bulkCreate' conflict because they have differing arguments."
        " Use different aliases on the fields to fetch both if this was intentional."
    ]


def test_literals_of_every_kind_are_what_json_would_be():
    query = '''mutation { bulkCreate(input: {cats: {rows: [
        {a: 1, b: -1.50, c: "text \\u00e4", d: """block "text" """, e: true, f: null, g: RED, h: [1, [2]], i: {j: {}}}
    ]}}) { rows } }'''

    assert rows_of(query) == {
        "cats": [
            {
                "a": 1, "b": -1.5, "c": "text ä", "d": 'block "text" ', "e": True, "f": None, "g": "RED",
                "h": [1, [2]], "i": {"j": {}},
            }
        ]
    }  # fmt: skip


def lane(query, variables=None):
    """A request's lane, and the document that it leaves."""
    document = parse(query)
    found = Lane(document, variables or {})
    return found, found.document_without_rows(operation_of(document, None))


def test_numbers_of_many_digits_keep_them():
    found, _ = lane(
        "mutation { bulkCreate(input: {cats: {rows: [{a: 1234567890123456.78, b: 123456789012345678901}]}}) }"
    )

    ((row,),) = (lists["rows"] for lists in found.rows.values())
    assert isinstance(row["a"], ExactFloat)
    assert (row["a"].text, row["b"]) == ("1234567890123456.78", 123456789012345678901)


def test_a_number_that_python_does_not_read_is_left_to_the_field():
    found, _ = lane("mutation { bulkCreate(input: {cats: {rows: [{a: " + "1" * 5000 + "}]}}) }")

    ((row,),) = (lists["rows"] for lists in found.rows.values())
    assert row["a"].text == "1" * 5000


@pytest.mark.parametrize("form", FORMS)
def test_no_row_is_left_for_graphql_core(form):
    query, variables = FORMS[form]

    found, document = lane(query, variables)

    assert "Tom" not in print_ast(document)
    assert "Tom" not in json.dumps(found.replaced)
    assert validate(SCHEMA._schema, document) == []
    definitions = document.definitions[0].variable_definitions or ()
    values = get_variable_values(SCHEMA._schema, definitions, {**(variables or {}), **found.replaced})
    assert not isinstance(values, list)


def test_ten_thousand_rows_are_not_copied():
    rows = [{"name": str(number)} for number in range(10_000)]

    found, _ = lane(FORMS["in the rows"][0], {"rows": rows})

    assert found.rows["bulkCreate", "cats"]["rows"] is rows


def test_queries_are_left_alone():
    context = Context(request=None)

    result = asyncio.run(SCHEMA.execute("{ ok }", context_value=context))

    assert (result.data, context.rows) == ({"ok": True}, {})


@pytest.mark.parametrize(
    "query",
    [
        'mutation { bulkCreate(input: {cats: {rows: [{size: 2}, {name: "a", size: 1, name: "b"}]}}) { rows } }',
        'mutation { bulkCreate(input: {cats: {rows: [{extra: {name: "Tom", name: "Tom"}}]}}) { rows } }',
        "mutation ($rows: [Row!] = [{name: 1, name: 2}]) { bulkCreate(input: {cats: {rows: $rows}}) { rows } }",
        "mutation { ...A } fragment A on Mutation { bulkCreate(input: {cats: {rows: {name: 1, name: 2}}}) { rows } }",
    ],
)
def test_a_row_that_is_written_with_a_field_twice_is_refused(query):
    assert refusal(query) == ["There can be only one input field named 'name'."]
