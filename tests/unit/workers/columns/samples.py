"""Fields of every kind, and texts for all of them."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal

import polars as pl
from django.contrib.postgres.fields import ArrayField
from django.core import validators
from django.core.exceptions import ValidationError
from django.db import models

from bulkql.examples.ledger.models import FinancialTransaction
from bulkql.examples.places.models import City, Country
from bulkql.workers.frames import given as is_given
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.validation.values import parsed
from tests.zoo.models import even


def parse(column, texts):
    """One column's values, whether rows give them, and its errors."""
    rows, errors = parsed([column], pl.DataFrame({column.name: texts}))
    return (rows[column.name], rows[is_given(column.name)]), errors


class Flag(models.BooleanField):
    """A subclass changes nothing, and nobody can know that."""


class Moment(models.DateTimeField):
    """Another one."""


class Grumpy(models.CharField):
    def clean(self, value, model_instance):
        raise ValidationError({"x": ["Never."], "y": ["Ever."]})


class Letters(models.TextChoices):
    SMALL_B = "b", "B"
    LARGE_B = "B", "b"
    THIRD = "b_2", "third"
    NONE = "", "nothing"


UTC = dt.UTC


NOON = dt.datetime(2024, 2, 29, 12, tzinfo=UTC)


#: Fields that the zoo does not have: odd limits, odd choices, odd classes.
ODD_FIELDS = {
    "auto": models.BigAutoField(primary_key=True),
    "small": models.SmallIntegerField(),
    "positive_big": models.PositiveBigIntegerField(),
    "limited_integer": models.IntegerField(
        validators=[validators.MinValueValidator(-5), validators.MaxValueValidator(7)]
    ),
    "integer_with_a_fraction_for_limit": models.IntegerField(validators=[validators.MaxValueValidator(6.5)]),
    "integer_with_a_decimal_limit": models.IntegerField(validators=[validators.MaxValueValidator(Decimal("6.5"))]),
    "integer_with_a_huge_limit": models.IntegerField(validators=[validators.MaxValueValidator(10**30)]),
    "integer_with_a_callable_limit": models.IntegerField(validators=[validators.MaxValueValidator(lambda: 6)]),
    "integer_in_steps": models.IntegerField(validators=[validators.StepValueValidator(2)]),
    "wide_decimal": models.DecimalField(max_digits=20, decimal_places=10),
    "huge_decimal": models.DecimalField(
        max_digits=60, decimal_places=20, validators=[validators.MaxValueValidator(Decimal("1e39"))]
    ),
    "fraction": models.DecimalField(max_digits=3, decimal_places=3),
    "whole_decimal": models.DecimalField(max_digits=3, decimal_places=0),
    "decimal_from_a_cent": models.DecimalField(
        max_digits=6, decimal_places=2, validators=[validators.MinValueValidator(0.01)]
    ),
    "decimal_between": models.DecimalField(
        max_digits=6,
        decimal_places=2,
        validators=[
            validators.MinValueValidator(Decimal("-0.015")),
            validators.MaxValueValidator(Decimal("1.505")),
        ],
    ),
    "stricter_decimal": models.DecimalField(
        max_digits=6, decimal_places=2, validators=[validators.DecimalValidator(3, 1)]
    ),
    "latitude": models.FloatField(validators=[validators.MinValueValidator(-90), validators.MaxValueValidator(90.5)]),
    "float_with_a_huge_limit": models.FloatField(validators=[validators.MaxValueValidator(2**53 + 1)]),
    "blank_text": models.CharField(max_length=5, blank=True, validators=[validators.MinLengthValidator(2)]),
    "unlimited": models.CharField(),
    "url": models.URLField(blank=True),
    "shop": models.URLField(validators=[validators.URLValidator(schemes=["https"])]),
    "email": models.EmailField(),
    "mail_of_ours": models.CharField(validators=[validators.EmailValidator(allowlist=["localhost"])]),
    "slug": models.SlugField(allow_unicode=True, blank=True),
    "code": models.CharField(validators=[validators.RegexValidator(r"^[A-Z]{2}-?\d{2,4}\Z")]),
    "part": models.CharField(validators=[validators.RegexValidator(r"^(?:a|b.)+[^x\s]?$")]),
    "no_digit": models.CharField(validators=[validators.RegexValidator(r"[0-9]", inverse_match=True)]),
    "any_case": models.CharField(validators=[validators.RegexValidator("^[ab-]+$", flags=re.IGNORECASE)]),
    "looks_ahead": models.CharField(validators=[validators.RegexValidator("^(?=.*[0-9])[a-z0-9]+$")]),
    "address_of_4": models.GenericIPAddressField(protocol="ipv4"),
    "address_of_6": models.GenericIPAddressField(protocol="ipv6"),
    "text_of_4": models.CharField(validators=[validators.validate_ipv4_address]),
    "past": models.DateField(validators=[validators.MaxValueValidator(dt.date(2024, 2, 29))]),
    "until_noon": models.DateTimeField(validators=[validators.MaxValueValidator(NOON)]),
    "morning": models.TimeField(validators=[validators.MaxValueValidator(dt.time(12))]),
    "flag": Flag(),
    "moment": Moment(),
    "nullable_boolean": models.BooleanField(null=True),
    "grumpy": Grumpy(),
    "list": ArrayField(models.IntegerField()),
    "letter": models.CharField(max_length=3, choices=Letters, blank=True),
    "grade": models.IntegerField(choices=[("School", [(1, "one"), (2, "two")]), (None, "none"), ("", "nothing")]),
    "price": models.DecimalField(max_digits=4, decimal_places=2, choices=[(Decimal("1.50"), "low"), (Decimal(2), "x")]),
    "day": models.DateField(choices=[(dt.date(2024, 2, 29), "leap day")]),
    "which": models.UUIDField(choices=[(uuid.UUID(int=1), "one")]),
    "answer": models.BooleanField(choices=[(True, "yes"), (False, "no")]),
    "float_choice": models.FloatField(choices=[(0.5, "half")]),
    "odd_choice": models.IntegerField(choices=[(1, "one"), (2, "two")], validators=[even]),
}
for name, field in ODD_FIELDS.items():
    field.set_attributes_from_name(name)

FIELDS = {
    **ODD_FIELDS,
    **{f"animal.{column.name}": column.field for column in resource_named("animals").columns.values()},
    **{
        f"{model.__name__.lower()}.{field.name}": field
        for model in (FinancialTransaction, City, Country)
        for field in model._meta.concrete_fields
    },
}


TEXTS = [
    "", " ", "a", "ab", "abc", "ÄÖÜẞ😀", "x" * 10, "x" * 11, "x" * 300, "AB-12", "ab-12", "a b", "a\nb", '"',
    "a\0b", "\\", "null", "None", "NULL", "NaN", "nan", "inf", "-Infinity", "infinity", "true", "True", "TRUE",
    "t", "T", "false", "False", "FALSE", "f", "yes", "no", "on", "0", "1", "2", "-1", "-0", "+1", "7", "8",
    "007", " 1", "1 ", "1_0", "٣", "１", "0x10", "1e2", "1E2", "1,5", "--1", "+", "-", "32767", "32768",
    "-32768", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "-9223372036854775809", "9" * 30, "9" * 5000, "1.0", "7.00", "-1.0", "1.", ".5",
    "0.5", "-.5", "1.5", "1.50", "1.505", "1.51", "6.5", "0.01", "0.00", "-0.01", "-0.02", "0.001", "0.999",
    "1.001", "123.4", "1234.56", "12345.67", "1234.567", "-1234.56", "0001.5", "+1.5", "1.5e0",
    "9999999999.9999999999", "99999999999.9", "1" * 40, "1" * 40 + "." + "1" * 20, "1" * 41, "90", "90.5",
    "90.50001", "-91", "9007199254740992", "9007199254740993", "1e400", "1e-400", "0.1", "0.30000000000000004",
    "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "٣.٥", "0e999", "1e999999", "2024-02-29",
    "2024-03-01", "2023-02-29", "2024-2-9", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "20240229",
    "2024-W09-4", "٢٠٢٤-٠٢-٢٩", "2024-02-29 ", "29.02.2024", "2024-02-30", "2024-13-01", "2024-00-10",
    "10:11:12", "10:11", "24:00:00", "23:59:59", "23:59:60", "10:11:12.5", "10:11:12.1234567", "12:00:00",
    "12:00:01", "1:2:3", "10:11:12+02:00", "101112", "٠١:٠٢:٠٣", "2024-02-29T12:00:00Z", "2024-02-29T12:00:01Z",
    "2024-02-29T12:00:00", "2024-02-29 12:00:00", "2024-02-29 12:00:00Z", "2024-02-29T12:00:00+00:00",
    "2024-02-29T14:00:00+02:00", "2024-02-29T14:00:01+02:00", "2024-02-29T12:00:00.5Z",
    "2024-02-29T11:59:59.999999Z", "2024-02-29T12:00:00.000001+00:00", "2024-02-29T12:00:00.1234567Z",
    "2024-02-29T12:00Z", "2024-02-29T12:00:00-00:00", "2024-02-29T12:00:00+14:00", "2024-02-29T12:00:00+23:59",
    "2024-02-29T12:00:00+24:00", "2024-02-29T12:00:00+14:60", "2024-02-29T12:00:00+14:99",
    "2024-02-29T12:00:00+02", "2024-02-29T12:00:00+0200", "2024-02-29t12:00:00z", "2023-02-29T12:00:00Z",
    "2024-02-29T24:00:00Z", "2024-02-29T23:59:60Z", "2016-12-31T23:59:60+00:00", "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-05:00",
    "9999-12-31T23:59:59.999999+00:00", "٢٠٢٤-٠٢-٢٩T12:00:00Z", "2024-02-29T12:00:00 Z", "1709208000",
    "12345678-1234-5678-1234-567812345678", "12345678-ABCD-5678-1234-567812345678",
    "{12345678-1234-5678-1234-567812345678}", "12345678123456781234567812345678",
    "2024-02-29T12:00", "2024-02-29 12:00", "2024-02-29 12:00:00.5", "2024-02-29 12:00:60", "2024-02-29 24:00",
    "2024-02-29 12:00+02", "2024-02-29 12:00:00+0200", "2024-02-29  12:00:00", "0000-01-01 00:00",
    "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "2023-02-29 12:00", " null ", '{"a": 1e400}', '{"a": 1E5}',
    '["\\n"]', '["\\udc00"]', "[NaN]", '["a", 1.0]', "{ }", '""', "-0", "[1" + "0" * 400 + "]", "[01]", "[1.]",
    '{"a": 1, "a": 2}', "[1,]", '{"b": {}}', "2024-02-29T12:00:00.", "2024-02-29 12:00:00.1234567", "10:11:60",
    "10:60", "24:00", "10:11:12.", "{12345678-1234-5678-1234-567812345678", "AB-123", "AB12", "AB-12\n", "aab",
    "abx", "ba ", "a-b_c", "ä-b", "KK", "\u212a", "-ab", "0a", "1.2.3.4 ", "1.2.3.04", "256.1.1.1", "1.2.3.4.5",
    "a.b+c@mail.example.org", "a..b@example.org", ".a@example.org", "a@example.org\n", "a@-example.org",
    "ä@example.org", "a@localhost", "a@[1.2.3.4]", '"a b"@example.org', "a@example.o", "a@example.org.",
    "a@exa_mple.org", "a@" + "b" * 64 + ".org", "a@" + "b." * 140 + "org", "http://example.org",
    "https://example.org:8000/a?b=c#d", "ftp://example.org", "https://example.org:1/",
    "https://example.org:123456/", "https://localhost/", "https://example.org/a b", "https://example.org/\t",
    "https://exa mple.org", "https://example.org/[", "HTTPS://EXAMPLE.ORG", "https://user:pw@example.org/",
    "https://[::1]/", "https://" + "a" * 64 + ".org", "https://" + "a." * 130 + "org/",
    "https://example.org/" + "a" * 300, "https://example-.org/", "https://example.org./", "//example.org",
    "12345678-1234-5678-1234-56781234567", "00000000-0000-0000-0000-000000000001", "a@b.org", "a@b",
    "https://example.org/", "javascript:x", "1.2.3.4", "::1", "0:0:0:0:0:0:0:1", "1.2.3", "AAEC", "AAE", "é==",
    "1 02:03:04", "P1DT2H", "-P1D", "99999999999999999", "999999999 days", "{}", "[]", "[1, 2]", '["a"]',
    '{"a": [1, null]}', "[NaN]", "1e999", '"\\u0000"', '"\\\\u0000"', '"\\ud800"', "[" * 5000, "{'a': 1}", "AF",
    "af", "AFRICA", "SMALL", "LARGE", "ONE", "TWO", "LOW", "X", "LEAP_DAY", "YES", "NO", "HALF", "B", "b",
    "B_1", "B_2", "b_2", "B_2_2",
]  # fmt: skip


def fast(column, texts):
    """What the fast paths alone make of texts, each by itself."""
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
    return [
        (text, value)
        for parse in column.parse
        for text, value in zip(texts, column.python(values_of(column, parse, frame)), strict=True)
        if value is not None
    ]


def values_of(column, parse, frame):
    return frame.select(parse(pl.col("text")).cast(column.dtype)).to_series()
