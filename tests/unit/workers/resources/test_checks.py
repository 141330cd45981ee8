"""Wrong registrations and settings, each with its fix."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import models
from django.test.utils import isolate_apps

from bulkql.examples.places.models import City, Country
from bulkql.workers.resources.checks import check_limits, check_resources, owes_a_value, resource_errors
from bulkql.workers.resources.registry import BulkResource
from tests.unit.workers.resources.unfit import Club, Composite, Homonyms, Owing, found
from tests.zoo.models import Animal, Keeper, Note, Tag

# ruff: noqa: DJ008 (nobody reads the names of these models' rows)


def test_what_the_tests_register_is_right():
    call_command("check", tags=["bulkql"], fail_level="WARNING")


def test_names_in_graphql_are_shared_by_none(registry):
    class Cities(BulkResource):
        name = "countries"
        fields = ("geoname_id", "name", "country", "latitude", "longitude", "timezone")

    class Countries(BulkResource):
        fields = ("iso", "iso3", "name", "continent")

    registry.update({Country: Countries(Country), City: Cities(City)})

    assert [(error.id, error.msg, error.hint) for error in check_resources()] == [
        (
            "bulkql.E001",
            "places.City and places.Country share the GraphQL name countries.",
            "Give one of them another `name`.",
        )
    ]


def test_type_names_in_graphql_are_shared_by_none(registry):
    with isolate_apps("tests.zoo"):

        class Keeper2(models.Model):
            code = models.SlugField()

            class Meta:
                app_label = "zoo"
                verbose_name_plural = "others"

        Keeper2.__name__ = "Keeper"

    class Keepers(BulkResource):
        fields = ("code",)

    registry.update({Keeper: Keepers(Keeper), Keeper2: Keepers(Keeper2)})

    assert [(error.id, error.hint) for error in check_resources()] == [
        ("bulkql.E001", "Give one of them another `type_name`.")
    ]


def test_a_resource_has_fields():
    assert found(Keeper)[0] == ("bulkql.E002", "Wrong has no fields.", "Name the model's fields that rows may give.")


def test_fields_are_those_of_the_model():
    assert found(Keeper, fields=("code", "colour"), match_fields=("age",)) == [
        ("bulkql.E003", "Wrong names colour, which zoo.Keeper does not have.", "zoo.Keeper has code, id."),
        ("bulkql.E003", "Wrong names age, which zoo.Keeper does not have.", "zoo.Keeper has code, id."),
    ]


@pytest.mark.parametrize(("model", "field"), [(Keeper, "animal"), (Animal, "loud"), (Tag, "note")])
def test_fields_are_those_that_rows_can_give(model, field):
    assert (
        "bulkql.E004",
        f"Wrong names {field}, which rows cannot give: it is computed, or the other side of a relation.",
        "Leave it out of `fields`.",
    ) in found(model, fields=(field,))


def test_lists_are_set_through_tables_that_django_made():
    assert found(Club, fields=("keepers", "animals")) == [
        (
            "bulkql.E014",
            "Wrong names keepers, whose table between is zoo.Membership, with fields of its own.",
            "Leave it out of `fields`, and register zoo.Membership: its rows are the links.",
        )
    ]


def test_lists_hold_rows_of_another_table():
    assert found(Homonyms, fields=("friends",), name="places")[-1] == (
        "bulkql.E015",
        "Wrong names friends, whose lists hold rows of zoo.Homonyms itself.",
        "Leave it out of `fields`, or give it a `through` model and register that.",
    )


def test_lists_hold_rows_of_the_same_database():
    assert found(Club, fields=("animals",), database="warehouse")[0] == (
        "bulkql.E016",
        "Wrong names animals, which points to zoo.Animal in the database default.",
        "Leave it out of `fields`: lists are set where both tables are in warehouse.",
    )


def test_no_row_is_found_by_a_list():
    assert [code for code, *_ in found(Note, fields=("title", "tags"), match_fields=("tags",))] == ["bulkql.E013"]


def test_wrong_fields_fail_in_the_check_and_not_before_it(registry):
    class Keepers(BulkResource):
        fields = ("code", "animal", "colour")

    registry[Keeper] = Keepers(Keeper)

    assert [error.id for error in check_resources()] == ["bulkql.E004", "bulkql.E003"]


def test_every_new_row_gets_what_it_needs():
    assert found(Country, fields=("iso", "name", "continent")) == [
        (
            "bulkql.E005",
            "Wrong leaves out iso3, which every new row of places.Country needs.",
            "Add it to `fields`, or give the model's field a default.",
        )
    ]


def test_a_field_is_owed_that_nobody_gives():
    owed = [field.name for field in Owing._meta.concrete_fields if owes_a_value(field)]

    assert owed == ["text", "number", "blank_number"]


def test_primary_keys_are_of_one_field():
    assert found(Composite, fields=("a", "b"))[-1] == (
        "bulkql.E007",
        "zoo.Composite has a composite primary key, which bulkql does not support.",
        "Give the model a primary key of one field, and a UniqueConstraint.",
    )


def test_rows_live_beside_their_ledger():
    assert found(Keeper, fields=("code",), database="warehouse") == [
        (
            "bulkql.E008",
            "zoo.Keeper is in the database warehouse, and bulkql's own tables are not.",
            "Rows and their ledger entries are committed together, so they must be in the database `default`.",
        )
    ]


def test_names_are_names_in_graphql():
    error = (
        "bulkql.E011",
        "Wrong has the name 'städte&Dörfer', which GraphQL does not take.",
        "Set `name` to ASCII letters and digits, such as financialTransactions.",
    )

    assert found(Homonyms, fields=("area1",), name="städte&Dörfer") == [error]
    assert found(Homonyms, fields=("area1",), name="__places")[0][0] == "bulkql.E011"
    assert found(Homonyms, fields=("area1",), name="places") == []


def test_names_of_fields_are_names_in_graphql():
    class Street(models.Model):
        straße = models.CharField(max_length=10)

        class Meta:
            app_label = "zoo"

    assert found(Street, fields=("straße",), name="streets") == [
        (
            "bulkql.E083",
            "Wrong names straße, which GraphQL does not take.",
            "Rename the model's field to ASCII letters and digits (db_column='straße' keeps the table as it is), or "
            "leave it out of `fields`.",
        )
    ]


def test_fields_have_names_of_their_own_in_graphql():
    assert found(Homonyms, fields=("area1", "area_1"), name="areas") == [
        (
            "bulkql.E012",
            "Wrong names area1 and area_1, which are both area1 in GraphQL.",
            "Leave one of them out of `fields`, or rename the model's field.",
        )
    ]


def test_the_settings_of_the_tests_are_right():
    assert check_limits() == []


@pytest.mark.parametrize("value", [0, -5, "10", 1.5])
def test_limits_are_whole_numbers(settings, value):
    settings.BULKQL_CHUNK_SIZE = value

    assert [(error.id, error.msg, error.hint) for error in check_limits()] == [
        (
            "bulkql.E009",
            f"BULKQL_CHUNK_SIZE is {value!r}.",
            "It is a whole number of at least 1; by default 10000.",
        )
    ]


@pytest.mark.parametrize("value", [True, False, 0, "false"])
def test_what_is_on_or_off_is_true_or_false(settings, value):
    settings.BULKQL_KEEPS_IMAGES = value

    hints = [] if isinstance(value, bool) else ["It is True or False; by default True."]
    assert [error.hint for error in check_limits()] == hints


def test_a_limit_that_is_none_by_default_may_be_none(settings):
    settings.BULKQL_MAX_ROWS_PER_SECOND = 0
    assert check_limits() == []

    settings.BULKQL_MAX_ROWS_PER_SECOND = -1
    assert [error.hint for error in check_limits()] == ["It is a whole number of at least 0; by default 0."]


def test_the_time_of_a_chunk_outlasts_a_statement(settings):
    settings.BULKQL_STATEMENT_SECONDS = 30
    settings.BULKQL_CHUNK_SECONDS = 30

    assert [(error.id, error.msg, error.hint) for error in check_limits()] == [
        (
            "bulkql.E010",
            "BULKQL_STATEMENT_SECONDS (30) is not less than BULKQL_CHUNK_SECONDS (30).",
            "A worker must give up a statement before its chunk is given to another.",
        )
    ]


class Scoped:
    """A resource that says whose its rows are."""

    def get_queryset(self, user):
        raise NotImplementedError

    def get_targets(self, field, user):
        raise NotImplementedError


def test_a_scope_says_where_its_rows_may_point_to(registry):
    own, targets = {"get_queryset": Scoped.get_queryset}, {"get_targets": Scoped.get_targets}
    fields = {"fields": ("title", "tags", "keepers")}
    registry[Tag] = BulkResource(Tag)

    assert found(Note, **fields) == found(Note, **fields, **own, **targets) == []
    assert found(Note, **fields, **own) == [
        (
            "bulkql.E017",
            "Wrong has a get_queryset, and keepers may point to all rows of zoo.Keeper, which has no resource.",
            "Register zoo.Keeper with a get_queryset, or add to Wrong: "
            "def get_targets(self, field, user): return Keeper.objects.filter(...); Keeper.objects.all() says that all "
            "users may point to all of them.",
        )
    ]


def test_field_named_as_the_number_of_rows_and_a_hook_with_frames_are_refused():
    class Row(BulkResource):
        fields = ("row",)

        def clean_rows(self, rows):
            return None

    class Free(BulkResource):
        fields = ("row",)

    with isolate_apps("tests.zoo"):

        class Cell(models.Model):
            row = models.IntegerField()

            class Meta:
                app_label = "zoo"

    assert [error.id for error in resource_errors(Row(Cell))] == ["bulkql.E082"]
    assert list(resource_errors(Free(Cell))) == []
