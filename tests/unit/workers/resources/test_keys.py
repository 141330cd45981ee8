"""The unique keys of models."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower
from django.test.utils import isolate_apps

from bulkql.examples.ledger.models import FinancialTransaction
from bulkql.examples.places.models import Country
from bulkql.workers.resources.keys import UniqueKey, unique_keys
from tests.zoo.models import Animal

# ruff: noqa: DJ008 (nobody reads the names of these models' rows)
with isolate_apps("tests.zoo"):

    class Owner(models.Model):
        class Meta:
            app_label = "zoo"

    class Ticket(models.Model):
        owner = models.OneToOneField(Owner, on_delete=models.CASCADE)
        day = models.DateField()
        seat = models.IntegerField(null=True)
        code = models.CharField(max_length=8)

        class Meta:
            app_label = "zoo"
            unique_together = [("owner_id", "day")]
            constraints = [
                models.UniqueConstraint(fields=["owner_id", "day"], name="the_same_again"),
                models.UniqueConstraint(fields=["day", "seat"], name="seats", nulls_distinct=False),
                models.UniqueConstraint(fields=["code"], condition=models.Q(seat=1), name="conditional"),
                models.UniqueConstraint(Lower("code"), name="expression"),
            ]

    class Booking(models.Model):
        name = models.CharField(max_length=8)
        day = models.DateField()
        room = models.IntegerField()

        class Meta:
            app_label = "zoo"
            constraints = [
                models.UniqueConstraint("name", models.F("day").desc(), name="of_plain_expressions"),
                models.UniqueConstraint("room", Lower("name"), name="of_others"),
            ]


def test_expressions_that_are_fields_are_keys():
    assert unique_keys(Booking) == (UniqueKey(("id",)), UniqueKey(("name", "day")))


def test_primary_keys_and_unique_fields_are_keys():
    assert unique_keys(Country) == (UniqueKey(("iso",)), UniqueKey(("iso3",)))


def test_constraints_of_several_fields_are_keys():
    assert unique_keys(FinancialTransaction) == (UniqueKey(("id",)), UniqueKey(("financial_account", "datetime")))


def test_conditional_constraints_and_those_on_expressions_are_left_to_the_database():
    assert unique_keys(Animal) == (UniqueKey(("id",)), UniqueKey(("token",)))


def test_keys_name_fields_and_not_columns_and_come_once():
    assert unique_keys(Ticket) == (
        UniqueKey(("id",)),
        UniqueKey(("owner",)),
        UniqueKey(("owner", "day")),
        UniqueKey(("day", "seat"), nulls_distinct=False),
    )
