"""Each type has one owner; where two resources, or a resource and bulkql, want one name, a check says what to do."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models
from django.test.utils import isolate_apps
from graphql import GraphQLObjectType

from bulkql import BulkResource
from bulkql.checks import check_schema
from bulkql.schema.checks.building import building_errors, type_name_errors
from bulkql.schema.names import COMMON, OF_OURS, SCALARS, names_of, our_names, our_types
from bulkql.schema.schema import built, schema
from bulkql.workers.resources.registry import registered

#: Lookups that Strawberry makes of its own and our types.
LOOKUPS = ("Lookup",)


def resource(model_name: str, *, label: str = "zoo", **attributes: Any) -> BulkResource:
    """A resource of a model of this name."""
    fields = {"code": models.CharField(max_length=10, unique=True), "__module__": __name__}
    meta = type("Meta", (), {"app_label": label, "verbose_name_plural": f"{model_name.lower()} rows"})
    model = type(model_name, (models.Model,), {**fields, "Meta": meta, "__str__": lambda self: ""})
    rules = type(f"{model_name}Rules", (BulkResource,), {"fields": ("code",), "match_fields": ("code",), **attributes})
    made: BulkResource = rules(model)
    return made


def test_every_name_of_a_schema_has_an_owner():
    names = {name for name in schema()._schema.type_map if not name.startswith("__")}
    of_resources = set().union(*map(names_of, registered()))

    assert {name for name in names - of_resources - our_names() if not name.endswith(LOOKUPS)} == set()
    assert {resource.type_name for resource in registered()} <= of_resources
    assert {"BulkOperation", "Change", "Mode", "FileInput", "Limit", "OperationFilter"} <= our_types().keys()


@isolate_apps("tests.zoo")
def test_a_model_of_any_name_of_ours_is_told_its_way_out():
    for name in sorted({*our_types(), *SCALARS, *OF_OURS, *COMMON, "Operation"}):
        found = [(error.id, error.hint) for error in type_name_errors([resource(name)])]
        assert found == [("bulkql.E047", f'Set in {name}Rules: type_name = "Zoo{name}"')]


@isolate_apps("tests.zoo")
def test_the_way_out_leads_out():
    names = ["Subscription", "Upload", "Change", "Operation", "Mode"]

    renamed = [resource(f"{name}2", type_name=f"Zoo{name}") for name in names]

    assert list(building_errors(renamed)) == []


@isolate_apps("tests.zoo")
def test_two_of_one_name_and_one_beside_anothers_input_are_told():
    category, other = resource("Category"), resource("Category", label="places", name="others")
    product, field = resource("Product"), resource("ProductField")

    (same,) = building_errors([category, other])
    (beside,) = building_errors([product, field])

    assert (same.id, beside.id) == ("bulkql.E047", "bulkql.E047")
    assert same.msg.startswith("places.Category and zoo.Category share the GraphQL types Category, CategoryBy,")
    assert same.hint == 'Set in CategoryRules: type_name = "PlacesCategory"'
    assert beside.msg == "zoo.ProductField and zoo.Product share the GraphQL type ProductField."
    assert list(building_errors([product, resource("ProductField2", type_name="Trait")])) == []


@isolate_apps("tests.zoo")
@pytest.mark.parametrize("name", ["operation", "operations", "limits", "bulkResources"])
def test_a_list_takes_no_query_of_ours_away(name):
    (error,) = building_errors([resource("Thing", name=name)])

    assert (error.id, error.hint) == ("bulkql.E046", f'Set in ThingRules: name = "zoo{name[0].upper()}{name[1:]}"')


@isolate_apps("tests.zoo")
def test_a_type_name_is_one_that_graphql_takes():
    (error,) = building_errors([resource("Thing", type_name="Ding an sich")])

    assert (error.id, error.hint) == ("bulkql.E043", "Set `type_name` to ASCII letters and digits, such as ZooThing.")


@isolate_apps("tests.zoo")
def test_whatever_else_the_building_says_is_told_by_the_check(monkeypatch):
    def fail(resources: list[BulkResource]) -> Any:
        if resources:
            raise RuntimeError("no way")
        return built(resources)

    monkeypatch.setattr("bulkql.schema.checks.building.built", fail)

    (error,) = check_schema()

    assert error.id == "bulkql.E045"
    assert error.msg.startswith("The GraphQL schema cannot be built: no way (RuntimeError at ")


@isolate_apps("tests.zoo")
def test_our_types_take_a_prefix(settings):
    settings.BULKQL_TYPE_PREFIX = "Bulk"
    taken = [resource("Change"), resource("Mode"), resource("Upload2", type_name="Operation")]

    assert list(building_errors(taken)) == []
    types = built(taken)._schema.type_map

    assert isinstance(types["Change"], GraphQLObjectType)
    assert {"BulkChange", "BulkMode", "BulkOperation", "BulkOptions", "BulkRowError", "Query"} <= types.keys()
    assert "BulkBulkOperation" not in types
    settings.BULKQL_TYPE_PREFIX = "a b"
    assert [error.id for error in building_errors([])] == ["bulkql.E044"]


@isolate_apps("tests.zoo")
def test_a_choice_that_is_called_as_a_type_of_its_own_resource_has_another_name():
    class Parcel(models.Model):
        order = models.CharField(max_length=1, choices=[("a", "First")])
        create_row = models.CharField(max_length=1, choices=[("a", "First")])

        class Meta:
            app_label = "zoo"

        def __str__(self) -> str:
            return self.order

    class Parcels(BulkResource):
        fields = ("order", "create_row")

    assert list(building_errors([Parcels(Parcel)])) == []
    types = built([Parcels(Parcel)])._schema.type_map
    assert {"ParcelOrder", "ParcelOrderChoice", "ParcelCreateRow", "ParcelCreateRowChoice"} <= types.keys()
