"""Models that no resource can have, or not without more words; and what is wrong with resources."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models.functions import Now
from django.test.utils import isolate_apps

from bulkql.workers.resources.checks import resource_errors
from bulkql.workers.resources.registry import BulkResource
from tests.zoo.models import Animal, Keeper

# ruff: noqa: DJ008 (nobody reads the names of these models' rows)
with isolate_apps("tests.zoo"):

    class Parent(models.Model):
        name = models.CharField(max_length=10)

        class Meta:
            app_label = "zoo"

    class Child(Parent):
        toy = models.CharField(max_length=10)

        class Meta:
            app_label = "zoo"

    class Composite(models.Model):
        pk = models.CompositePrimaryKey("a", "b")
        a = models.IntegerField()
        b = models.IntegerField()

        class Meta:
            app_label = "zoo"

    class Homonyms(models.Model):
        area1 = models.IntegerField(null=True)
        area_1 = models.IntegerField(null=True)
        friends = models.ManyToManyField("self")

        class Meta:
            app_label = "zoo"
            verbose_name_plural = "städte & dörfer"

    class Membership(models.Model):
        club = models.ForeignKey("Club", models.CASCADE)
        keeper = models.ForeignKey(Keeper, models.CASCADE)
        since = models.DateField()

        class Meta:
            app_label = "zoo"

    class Club(models.Model):
        keepers = models.ManyToManyField(Keeper, through=Membership)
        animals = models.ManyToManyField(Animal)

        class Meta:
            app_label = "zoo"

    class Owing(models.Model):
        """Fields that somebody gives, and two that nobody does."""

        text = models.TextField()
        number = models.IntegerField()
        blank = models.TextField(blank=True)
        blank_number = models.IntegerField(blank=True)
        null = models.IntegerField(null=True)
        default = models.IntegerField(default=0)
        callable_default = models.DecimalField(max_digits=5, decimal_places=2, default=Decimal)
        db_default = models.DateTimeField(db_default=Now())
        created = models.DateTimeField(auto_now_add=True)
        changed = models.DateField(auto_now=True)
        doubled = models.GeneratedField(
            expression=models.F("number") * 2, output_field=models.IntegerField(), db_persist=True
        )

        class Meta:
            app_label = "zoo"


def found(model, **attributes):
    """Id, message and hint of what is wrong with a registration."""
    rules = type("Wrong", (BulkResource,), attributes)
    rules.__qualname__ = "Wrong"
    return [(error.id, error.msg, error.hint) for error in resource_errors(rules(model))]
