"""The schema as its readers see it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
)

from bulkql.schema.schema import schema as build
from bulkql.workers.columns.column import graphql_name
from bulkql.workers.resources.registry import registered


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build()._schema


def undescribed(schema: GraphQLSchema) -> Iterator[str]:
    for name, kind in schema.type_map.items():
        if not kind.description:
            yield name
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in kind.fields.items():
                if not field.description:
                    yield f"{name}.{field_name}"
                for argument, definition in getattr(field, "args", {}).items():
                    if not definition.description:
                        yield f"{name}.{field_name}({argument})"
        if isinstance(kind, GraphQLEnumType):
            for value, definition in kind.values.items():
                if not definition.description:
                    yield f"{name}.{value}"


def test_everything_is_described(schema):
    ours = [name for name in undescribed(schema) if not name.startswith("__")]

    assert ours == []


def test_each_resource_has_its_inputs_its_type_and_its_list(schema):
    for resource in registered():
        assert resource.name in schema.type_map["BulkCreateInput"].fields
        assert resource.name in schema.query_type.fields
        columns = {column.graphql_name for column in resource.columns.values()}
        named = {f"{graphql_name(name)}By" for name in resource.naming_columns}
        lists = {one.graphql_name for forms in resource.lists.values() for one in forms if "." not in one.name}
        assert set(schema.type_map[f"{resource.type_name}CreateRow"].fields) == columns | named | lists
        assert columns <= set(schema.type_map[resource.type_name].fields)


def test_required_fields_are_not_null_and_choices_are_enums(schema):
    row = schema.type_map["CountryCreateRow"].fields

    assert {name for name, field in row.items() if isinstance(field.type, GraphQLNonNull)} == {
        "iso",
        "iso3",
        "name",
        "continent",
    }
    assert str(row["continent"].type) == "CountryContinent!"
    continents = schema.type_map["CountryContinent"].values
    assert {name: value.description for name, value in continents.items()} == {
        "AF": "Africa",
        "AN": "Antarctica",
        "AS": "Asia",
        "EU": "Europe",
        "NA": "North America",
        "OC": "Oceania",
        "SA": "South America",
    }


@pytest.mark.parametrize("verb", ["Create", "Update", "Replace", "Upsert"])
def test_lists_are_of_ids_or_of_keys(schema, verb):
    row = schema.type_map[f"Note{verb}Row"].fields

    assert {name: str(row[name].type) for name in ("tags", "tagsBy", "keepers", "keepersBy")} == {
        "tags": "[ID!]",
        "tagsBy": "[TagBy!]",
        "keepers": "[ID!]",
        "keepersBy": "[KeeperBy!]",
    }
    assert row["tags"].description == "Tags. The ids of all its tags."
    assert row["tagsBy"].description == "The same, by keys of the tags."
    assert set(schema.type_map["NoteField"].values) == {"ID", "TITLE", "TEXT", "TAGS", "KEEPERS"}
    assert set(schema.type_map["NoteKey"].fields) == {"title"}


def test_options_and_file_input_have_the_promised_fields(schema):
    assert set(schema.type_map["FileInput"].fields) == {
        "upload",
        "uploadId",
        "format",
        "columns",
        "unknownColumns",
        "shortRecords",
        "nullValues",
        "emptyCells",
        "trim",
        "decimal",
        "dateFormat",
        "trueValues",
        "falseValues",
        "delimiter",
        "encoding",
        "sheet",
        "headerRow",
    }
    assert {"mode", "chunkSize", "idempotencyKey", "label"} <= set(schema.type_map["BulkOptions"].fields)


def test_a_field_with_a_default_takes_null_for_it(schema):
    # GraphiQL takes a field that is not nullable, and whose default is false or 0, for one that has to be given.
    inputs = [one for one in schema.type_map.values() if isinstance(one, GraphQLInputObjectType)]
    have_defaults = {
        f"{one.name}.{name}": str(field.type)
        for one in inputs
        for name, field in one.fields.items()
        if field.default_value not in (Undefined, None)
    }

    assert have_defaults == {
        "ApplyOptions.mode": "Mode",
        "BulkOptions.mode": "Mode",
        "BulkOptions.onError": "OnError",
        "BulkOptions.dryRun": "Boolean",
        "BulkOptions.skipExisting": "Boolean",
        "FileInput.unknownColumns": "UnknownColumns",
        "FileInput.shortRecords": "ShortRecords",
        "FileInput.emptyCells": "EmptyCells",
        "FileInput.trim": "Boolean",
        "OffsetPaginationInput.offset": "Int!",  # strawberry-django's own
    }


def test_files_have_the_promised_fields(schema):
    fields = schema.type_map["OperationFile"].fields

    assert {name: str(field.type) for name, field in fields.items()} == {
        "name": "String!",
        "format": "FileFormat!",
        "url": "String!",
        "rows": "BigInt!",
        "bytes": "BigInt",
        "expiresAt": "DateTime!",
    }
    assert str(schema.type_map["BulkOperation"].fields["files"].type) == "[OperationFile!]"


def test_mutations_and_what_is_read_after_them_are_nullable(schema):
    """Where one of them fails, the answers of the others come all the same."""
    assert [name for name, field in schema.mutation_type.fields.items() if isinstance(field.type, GraphQLNonNull)] == []
    operation = schema.type_map["BulkOperation"].fields
    assert {name for name, field in operation.items() if not isinstance(field.type, GraphQLNonNull)} >= {
        "resources",
        "cascades",
        "rowErrors",
        "results",
        "files",
    }


def test_a_field_is_described_by_its_own_words_whatever_it_is_called(schema):
    for kind in ("ReadingFilter", "ReadingOrder", "ReadingCreateRow"):
        assert schema.type_map[kind].fields["day"].description.startswith("Day."), kind
    assert schema.type_map["DateFilterLookup"].fields["day"].description == "The day of the month."
    skipped = [
        f"{name}.{field}"
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLInputObjectType)
        for field, definition in kind.fields.items()
        if "skipped" in definition.description
    ]
    assert skipped == []


def test_the_default_key_is_told_by_its_names_in_the_enum(schema):
    kinds = schema.type_map

    told = {name: kinds[name].fields["matchBy"].description for name in ("FinancialTransactionUpsert", "CountryUpsert")}

    assert told == {
        "FinancialTransactionUpsert": "The key by which rows are found; by default the primary key if rows give it, "
        "otherwise FINANCIAL_ACCOUNT, DATETIME.",
        "CountryUpsert": "The key by which rows are found; by default the primary key.",
    }
