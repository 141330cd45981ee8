"""A model of each package, used as its documentation shows."""

from __future__ import annotations

from auditlog.registry import auditlog
from autoslug import AutoSlugField
from django.db import models
from django_countries.fields import CountryField
from django_fsm import FSMField, transition
from django_lifecycle import AFTER_DELETE, AFTER_UPDATE, BEFORE_SAVE, LifecycleModel, hook
from djmoney.models.fields import MoneyField
from model_utils import FieldTracker
from model_utils.fields import MonitorField
from model_utils.models import SoftDeletableModel, TimeStampedModel
from mptt.models import MPTTModel, TreeForeignKey
from parler.models import TranslatableModel, TranslatedFields
from phonenumber_field.modelfields import PhoneNumberField
from polymorphic.models import PolymorphicModel
from safedelete.config import SOFT_DELETE_CASCADE
from safedelete.models import SafeDeleteModel
from simple_history.models import HistoricalRecords
from taggit.managers import TaggableManager
from treebeard.al_tree import AL_Node
from treebeard.mp_tree import MP_Node


class Named(models.Model):
    """What all of them have: a key, and something that changes."""

    name = models.CharField(max_length=40, unique=True)
    number = models.IntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Log(models.Model):
    """What the hooks of other models leave behind."""

    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text


class Recorded(Named):
    history = HistoricalRecords()


class Audited(Named):
    pass


auditlog.register(Audited)


class Hooked(LifecycleModel, Named):
    shout = models.CharField(max_length=40, default="", blank=True)

    @hook(BEFORE_SAVE)
    def shout_name(self) -> None:
        self.shout = self.name.upper()

    @hook(AFTER_UPDATE, when="number", has_changed=True)
    def log_number(self) -> None:
        Log.objects.create(text=f"{self.name} {self.initial_value('number')} -> {self.number}")

    @hook(AFTER_DELETE)
    def log_end(self) -> None:
        Log.objects.create(text=f"{self.name} is gone")


class Monitored(TimeStampedModel, Named):
    moved = MonitorField(monitor="number", when=[10])
    tracker = FieldTracker(fields=["number"])

    def save(self, *args, **kwargs):
        Log.objects.create(text=f"{self.name}: {self.tracker.previous('number')} -> {self.number}")
        super().save(*args, **kwargs)


class Trashed(SoftDeletableModel, Named):
    pass


class Hidden(SafeDeleteModel, Named):
    _safedelete_policy = SOFT_DELETE_CASCADE


class Branch(MPTTModel):
    name = models.CharField(max_length=40, unique=True)
    number = models.IntegerField(default=0)
    parent = TreeForeignKey("self", models.CASCADE, null=True, blank=True, related_name="children")

    def __str__(self) -> str:
        return self.name


class Twig(AL_Node):
    name = models.CharField(max_length=40, unique=True)
    number = models.IntegerField(default=0)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children_set", db_index=True)
    node_order_by = ["name"]

    def __str__(self) -> str:
        return self.name


class Place(MP_Node):
    name = models.CharField(max_length=40, unique=True)
    number = models.IntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class Shape(PolymorphicModel):
    name = models.CharField(max_length=40, unique=True)
    number = models.IntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class Circle(Shape):
    radius = models.IntegerField(default=1)


class Tagged(Named):
    tags = TaggableManager(blank=True)


class Priced(Named):
    price = MoneyField(max_digits=10, decimal_places=2, default_currency="EUR", default=0)


class Located(Named):
    country = CountryField(blank=True)


class Called(Named):
    phone = PhoneNumberField(blank=True)


class Staged(Named):
    state = FSMField(default="new", protected=True)

    @transition(field=state, source="new", target="done")
    def finish(self) -> None:
        pass


class Translated(Named):
    title = models.CharField(max_length=40, blank=True, default="")


class Worded(TranslatableModel):
    name = models.CharField(max_length=40, unique=True)
    number = models.IntegerField(default=0)
    translations = TranslatedFields(title=models.CharField(max_length=40, blank=True))

    def __str__(self) -> str:
        return self.name


class Slugged(Named):
    slug = AutoSlugField(populate_from="name", unique=True)


class Guarded(Named):
    class Meta:
        permissions = [("see_guarded", "Can see it")]
