"""One model with every Django field, and some with unusual rules."""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.core.validators import MinLengthValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Lower, Now, Upper


def even(value: int) -> None:
    """A validator that only Python can run."""
    if value % 2:
        raise ValidationError("%(value)s is not even.", code="odd", params={"value": value})


class ShoutField(models.CharField):
    """A custom field: it changes its values on their way in and on their way to the database."""

    def to_python(self, value):
        value = super().to_python(value)
        return value if value is None else value.strip()

    def get_prep_value(self, value):
        value = super().get_prep_value(value)
        return value if value is None else value.upper()


class AnyCaseField(models.CharField):
    """Texts that the database holds for equal whatever their case: by a type like citext, or a collation."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{"db_collation": "NOCASE", **kwargs})

    def db_type(self, connection):
        return "anycase" if connection.vendor == "postgresql" else super().db_type(connection)

    def db_parameters(self, connection):
        # MariaDB's own collation ignores case.
        is_named = connection.vendor == "sqlite"
        return {**super().db_parameters(connection), "collation": self.db_collation if is_named else None}


class Keeper(models.Model):
    """A target of foreign keys, by its own pk and by a unique field."""

    code = models.SlugField(unique=True)

    def __str__(self) -> str:
        return self.code


class Animal(models.Model):
    """Every field that Django has for plain values."""

    class Size(models.IntegerChoices):
        SMALL = 1, "Small"
        LARGE = 2, "Large"

    big = models.BigIntegerField(null=True)
    binary = models.BinaryField(null=True, editable=True)
    boolean = models.BooleanField(default=True)
    char = models.CharField(max_length=10, validators=[MinLengthValidator(2)])
    date = models.DateField(null=True)
    datetime = models.DateTimeField(null=True)
    decimal = models.DecimalField(max_digits=6, decimal_places=2, null=True, validators=[MinValueValidator(0)])
    duration = models.DurationField(null=True)
    email = models.EmailField(blank=True)
    number = models.FloatField(null=True)
    address = models.GenericIPAddressField(null=True)
    integer = models.IntegerField(default=2, validators=[even])
    json = models.JSONField(null=True)
    positive = models.PositiveSmallIntegerField(default=0)
    shout = ShoutField(max_length=20, blank=True, default="quiet")
    size = models.IntegerField(choices=Size, default=Size.SMALL)
    slug = models.SlugField(blank=True)
    plate = models.CharField(max_length=8, null=True, validators=[RegexValidator(r"^[A-Z]{2}-\d+$")])
    text = models.TextField(blank=True)
    time = models.TimeField(null=True)
    token = models.UUIDField(default=uuid.uuid4, unique=True)
    keeper = models.ForeignKey(Keeper, on_delete=models.CASCADE, null=True, to_field="code")
    born = models.DateTimeField(db_default=Now())
    created = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)
    secret = models.CharField(max_length=10, default="hidden", db_column="hush hush")
    loud = models.GeneratedField(
        expression=Upper("char"), output_field=models.CharField(max_length=10), db_persist=True
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(char="unicorn"),
                name="no_unicorns",
                violation_error_message="Unicorns do not exist.",
            ),
            models.UniqueConstraint(Lower("text"), condition=~models.Q(text=""), name="text_once_in_any_case"),
        ]

    def __str__(self) -> str:
        return self.char


class Folder(models.Model):
    """A tree: rows that point to rows of their own table."""

    name = models.CharField(max_length=20, unique=True)
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True)

    def __str__(self) -> str:
        return self.name


class Reading(models.Model):
    """A table in partitions, which Django knows nothing of: tests create it."""

    sensor = models.CharField(max_length=10)
    day = models.DateField()
    value = models.IntegerField()

    class Meta:
        managed = False
        db_table = "zoo_reading"
        constraints = [models.UniqueConstraint(fields=["sensor", "day"], name="one_reading_a_day")]

    def __str__(self) -> str:
        return f"{self.sensor} on {self.day}"


class Tag(models.Model):
    """A target of lists, by its pk and by two keys."""

    name = models.CharField(max_length=20, unique=True)
    color = models.CharField(max_length=10, blank=True)
    number = models.IntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["color", "number"], name="one_number_a_color")]

    def __str__(self) -> str:
        return self.name


class Note(models.Model):
    """Something with lists: of rows with a number for a key, and of others."""

    title = models.CharField(max_length=20, unique=True)
    text = models.CharField(max_length=20, blank=True)
    changed = models.DateTimeField(auto_now=True)
    tags = models.ManyToManyField(Tag, blank=True)
    keepers = models.ManyToManyField(Keeper, related_name="notes", db_table="who keeps what")

    def __str__(self) -> str:
        return self.title


class Shelf(models.Model):
    """Where toys stand; the model of tests/semantics.py knows it."""

    code = models.CharField(max_length=3, unique=True)
    note = models.CharField(max_length=5, blank=True)
    hidden = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "shelves"

    def __str__(self) -> str:
        return self.code


class Toy(models.Model):
    """Keys, defaults, nulls, a check and a reference on little space, for tests/semantics.py."""

    sku = models.CharField(max_length=3, unique=True)
    name = models.CharField(max_length=5)
    price = models.DecimalField(max_digits=4, decimal_places=2, null=True)
    stock = models.IntegerField(default=0)
    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE, null=True)
    place = models.IntegerField(null=True)
    hidden = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(stock__gte=0), name="stock_is_no_debt"),
            models.UniqueConstraint(fields=["shelf", "place"], name="one_toy_a_place"),
        ]

    def __str__(self) -> str:
        return self.sku


class Berth(models.Model):
    """A key in which nulls are equal: a ship without cabins has one berth of each number."""

    cabin = models.CharField(max_length=5, null=True)
    number = models.IntegerField(null=True)
    guest = models.CharField(max_length=10, unique=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cabin", "number"], name="one_guest_a_berth", nulls_distinct=False),
        ]

    def __str__(self) -> str:
        return self.guest


class Seal(models.Model):
    """Keeps a toy from being deleted."""

    toy = models.ForeignKey(Toy, on_delete=models.PROTECT)

    def __str__(self) -> str:
        return f"on {self.toy_id}"


class Locker(models.Model):
    """Keys of many kinds, and nothing nullable, for rows that hand them on."""

    number = models.PositiveIntegerField(unique=True)
    keeper = models.OneToOneField(Keeper, on_delete=models.CASCADE)
    floor = models.IntegerField(default=0)
    place = models.IntegerField(default=0)
    label = models.CharField(max_length=10)
    badge = models.CharField(max_length=10)
    is_open = models.BooleanField(default=True)

    class Meta:
        unique_together = [("floor", "place")]
        constraints = [
            models.UniqueConstraint(Lower("label"), name="label_once_in_any_case"),
            models.UniqueConstraint(fields=["badge"], condition=models.Q(is_open=True), name="one_open_locker_a_badge"),
        ]

    def __str__(self) -> str:
        return str(self.number)


class Wheel(models.Model):
    """Keys that the database makes of the fields that rows give."""

    name = models.CharField(max_length=10, unique=True)
    size = models.IntegerField()
    spokes = models.IntegerField()
    rim = models.IntegerField(default=0)
    build = models.GeneratedField(
        expression=models.F("size") * 100 + models.F("spokes"),
        output_field=models.IntegerField(),
        db_persist=True,
        unique=True,
    )
    half = models.GeneratedField(expression=models.F("spokes") + 1, output_field=models.IntegerField(), db_persist=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rim", "half"], name="one_half_a_rim")]

    def __str__(self) -> str:
        return self.name


class Handle(models.Model):
    """A key whose texts may differ and be the same."""

    name = AnyCaseField(max_length=20, unique=True)
    size = models.IntegerField(default=0)
    friend = models.ForeignKey("self", models.CASCADE, null=True, to_field="name", db_constraint=False)

    def __str__(self) -> str:
        return self.name


class Vehicle(models.Model):
    """A parent by multi-table inheritance, whose key its children have."""

    plate = models.CharField(max_length=10, unique=True)
    maker = models.CharField(max_length=10, blank=True)

    def __str__(self) -> str:
        return self.plate


class Car(Vehicle):
    """Rows in two tables, with a key in each."""

    chassis = models.CharField(max_length=10, unique=True)
    seats = models.IntegerField(default=4)


class Item(models.Model):
    """What people's files are full of (tests/integration/test_cases.py)."""

    code = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=200, blank=True, default="")
    qty = models.IntegerField(null=True, blank=True)
    big = models.BigIntegerField(null=True, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    ratio = models.FloatField(null=True, blank=True)
    active = models.BooleanField(null=True, blank=True)
    day = models.DateField(null=True, blank=True)
    at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(null=True, blank=True)
    colour = models.CharField(max_length=5, choices=[("R", "Red"), ("G", "Green")], null=True, blank=True)

    def __str__(self) -> str:
        return self.code
