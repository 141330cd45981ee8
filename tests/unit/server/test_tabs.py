"""GraphiQL's first tabs are valid, whatever apps are served."""

from __future__ import annotations

import json

import pytest
from graphql import parse, validate
from graphql.execution.values import get_variable_values

from bulkql.schema.schema import schema
from bulkql.server.graphiql.tabs import create_tab, default_tabs
from bulkql.workers.resources.registry import registered, resource_named


def errors_of(tab):
    """What the schema has against a tab's query and variables."""
    document = parse(tab["query"])
    definition = document.definitions[0]
    values = get_variable_values(schema()._schema, definition.variable_definitions or (), json.loads(tab["variables"]))
    return validate(schema()._schema, document) + (values if isinstance(values, list) else [])


@pytest.fixture(params=[one.name for one in registered()])
def resource(request):
    return resource_named(request.param)


def test_first_tabs_are_valid():
    assert [errors_of(tab) for tab in default_tabs()] == [[], [], []]


def test_the_ledger_is_the_example_where_it_is_served():
    create, *_ = default_tabs()

    assert list(json.loads(create["variables"])["input"]) == ["financialAccounts", "classificationStatuses"]


def test_the_example_of_another_app_is_valid(resource):
    tab = create_tab([resource])

    assert errors_of(tab) == []
    assert list(json.loads(tab["variables"])["input"]) == [resource.name]


def test_the_example_gives_every_required_field():
    tab = create_tab([resource_named("countries")])

    assert json.loads(tab["variables"])["input"]["countries"]["rows"] == [
        {"iso": "1", "iso3": "tex", "name": "text", "continent": "AF"}
    ]


def test_without_resources_the_tab_says_what_to_add():
    tab = create_tab([])

    assert errors_of(tab) == []
    assert "add a bulk.py to one of your apps" in tab["query"]


def test_the_comments_fit_beside_the_answer():
    lines = [line for tab in default_tabs() for line in tab["query"].splitlines()]

    assert max(map(len, lines)) <= 55
