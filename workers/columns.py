"""A model field -> how its text becomes a value.

Each column has a fast path, an expression over the whole column that yields values only for text that is certainly
valid; every other text goes through the field itself, whose verdict and message count. So no field type is refused,
and no rule is written twice.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias

import polars as pl
from django.core import validators
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from workers.cells import MARK, kind_of

Parse: TypeAlias = Callable[[pl.Expr], pl.Expr]

UTC_MICROSECONDS = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """One field of a resource, as rows give it.

    `dtype` is the type of its values in frames. Values of fields that polars has no type for stay text.
    """

    name: str
    graphql_name: str
    field: models.Field[Any, Any]
    #: The field that rules the values: the field itself, or the one that a foreign key points to.
    value_field: models.Field[Any, Any]
    #: The model that a foreign key points to.
    target: type[models.Model] | None
    dtype: pl.DataType
    #: Certainly valid text -> value, any other text -> null. None where only the field itself can tell.
    parse: Parse | None
    #: The JSON kinds whose text is the value.
    accepts: frozenset[type]
    #: The text of a cell is JSON.
    as_json: bool = False
    #: The values can go into COPY as they are.
    is_plain: bool = True
    #: GraphQL enum name -> the value in the database.
    choice_names: dict[str, Any]

    @property
    def is_required(self) -> bool:
        """A created row must give it."""
        field = self.field
        if field.has_default() or field.has_db_default() or field.null or getattr(field, "auto_now", False):
            return False
        return not (field.blank and field.empty_strings_allowed) and not getattr(field, "auto_now_add", False)

    def clean(self, cell: str) -> Any:
        """The value of a cell, by the field's own rules; raises ValidationError."""
        if cell.startswith(MARK):
            raise ValidationError(f"{self.expected()} is expected here, not {kind_of(cell)}.", code="invalid")
        if MARK in cell:
            raise ValidationError("Null characters are not allowed.", code="invalid")
        value = self.decode(cell)
        if self.target is not None:
            # Whether the row that a key points to is there, is asked once for the whole column.
            value = self.value_field.to_python(value)
            self.value_field.run_validators(value)
            return value
        value = self.field.clean(value, None)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValidationError("A finite number is expected here.", code="invalid")
        if self.dtype == UTC_MICROSECONDS and isinstance(value, datetime) and timezone.is_naive(value):
            return timezone.make_aware(value)
        return value

    def decode(self, cell: str) -> Any:
        """Text -> what the field's to_python takes."""
        if self.as_json:
            try:
                value = json.loads(cell, parse_constant=refuse_constant)
            except ValueError as error:
                raise ValidationError(f"This is not JSON: {error}.", code="invalid") from error
            if "\\u0000" in json.dumps(value):
                raise ValidationError("Null characters are not allowed.", code="invalid")
            return value
        if self.choice_names and cell in self.choice_names:
            return self.choice_names[cell]
        return cell

    def series(self, values: list[Any], texts: list[str]) -> pl.Series:
        """Cleaned values, and the texts that they come from, as a series of the column's type."""
        if not self.is_plain:
            return pl.Series(texts, dtype=pl.String)
        if self.dtype == pl.String:
            return pl.Series([text_of(value) for value in values], dtype=pl.String)
        return pl.Series(values, dtype=self.dtype, strict=False)

    def python(self, values: pl.Series) -> list[Any]:
        """Values of a frame -> what the model's attribute takes."""
        if self.dtype != pl.String:
            return values.to_list()
        if not self.is_plain:
            return [None if text is None else self.value_field.to_python(self.decode(text)) for text in values]
        return [None if text is None else self.value_field.to_python(text) for text in values]

    def expected(self) -> str:
        """What the field wants, in words, with its article."""
        if self.choice_names:
            return f"One of {', '.join(self.choice_names)}"
        if self.accepts == {bool}:
            return "A boolean"
        if self.accepts == {str}:
            return "A string"
        return "A string or a number" if str in self.accepts else "A number"


def refuse_constant(name: str) -> Any:
    """NaN and Infinity are Python's JSON, and nobody else's."""
    raise ValueError(f"{name} is not a JSON value")


def text_of(value: Any) -> str | None:
    """A cleaned value as the database reads it."""
    if value is None:
        return None
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def column_for(field: models.Field[Any, Any]) -> Column:
    """The column of a model field."""
    value_field, target = field, None
    if isinstance(field, models.ForeignKey):
        target = field.remote_field.model
        while isinstance(value_field, models.ForeignKey):
            value_field = value_field.target_field
    kind = next((kind for kind in KINDS if type(value_field) in kind.fields), SLOW)
    return Column(
        name=field.name,
        graphql_name=graphql_name(field.name),
        field=field,
        value_field=value_field,
        target=target,
        dtype=kind.dtype,
        parse=fast_path(kind, field, value_field),
        # Choices are given by their enum's names.
        accepts=kind.accepts | ({str, int} if is_id(field) else set()) | ({str} if field.choices else set()),
        as_json=isinstance(value_field, models.JSONField),
        is_plain=kind is not SLOW,
        choice_names=choice_names(field),
    )


def is_id(field: models.Field[Any, Any]) -> bool:
    """Keys travel as ID, and numbers of 64 bits as BigInt: both as strings too."""
    return field.primary_key or isinstance(field, models.ForeignKey | models.BigIntegerField)


def graphql_name(name: str) -> str:
    """financial_account -> financialAccount, area_km2 -> areaKm2."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def choice_names(field: models.Field[Any, Any]) -> dict[str, Any]:
    """GraphQL enum names -> the values of a field's choices."""
    names: dict[str, Any] = {}
    for value, label in field.flatchoices:
        if value in (None, ""):
            continue
        name = enum_name(str(value)) or enum_name(str(label)) or f"CHOICE_{len(names)}"
        names[name if name not in names else f"{name}_{len(names)}"] = value
    return names


def enum_name(text: str) -> str | None:
    """UPPER_SNAKE of a text, where GraphQL allows it as an enum's name."""
    name = re.sub(r"\W+", "_", text.strip(), flags=re.ASCII).strip("_").upper()
    return name if re.fullmatch(r"[A-Z][A-Z0-9_]*", name) and name not in ("TRUE", "FALSE", "NULL") else None


def fast_path(kind: KindOfField, field: models.Field[Any, Any], value_field: models.Field[Any, Any]) -> Parse | None:
    """A kind's own path, then the field's choices and validators; None if one of them is unknown here."""
    rules = rules_of(value_field if field is not value_field else field)
    if kind.parse is None or rules is None:
        return None
    parse = kind.parse
    choices = [value for value, _ in field.flatchoices]

    def expression(text: pl.Expr) -> pl.Expr:
        value = parse(text, value_field)
        for rule in rules:
            value = pl.when(rule(value)).then(value)
        if choices:
            value = pl.when(value.is_in(choices)).then(value)
        return value

    return expression


def rules_of(field: models.Field[Any, Any]) -> list[Parse] | None:
    """A field's validators as expressions that are true for certainly valid values; None if one has no expression."""
    rules: list[Parse] = []
    if isinstance(field, models.CharField | models.TextField) and not field.blank:
        rules.append(lambda value: value != "")
    for validator in field.validators:
        rule = rule_of(validator, field)
        if rule is None:
            return None
        rules.append(rule)
    return rules


def rule_of(validator: Any, field: models.Field[Any, Any]) -> Parse | None:
    """One validator as an expression."""
    limit = getattr(validator, "limit_value", None)
    if callable(limit):
        return None
    if isinstance(field, models.DecimalField) and type(validator) in LIMITS:
        # Decimals stay text in frames; they are compared as what they are.
        exact = pl.Decimal(38, field.decimal_places or 0)
        bound = pl.lit(Decimal(limit), dtype=exact)
        if type(validator) is validators.MaxValueValidator:
            return lambda value: value.cast(exact, strict=False) <= bound
        return lambda value: value.cast(exact, strict=False) >= bound
    if type(validator) is validators.MaxLengthValidator:
        return lambda value: value.str.len_chars() <= limit
    if type(validator) is validators.MinLengthValidator:
        return lambda value: value.str.len_chars() >= limit
    if type(validator) is validators.MaxValueValidator:
        return lambda value: value <= limit
    if type(validator) is validators.MinValueValidator:
        return lambda value: value >= limit
    if type(validator) is validators.DecimalValidator:
        return lambda value: pl.lit(True)  # parse_decimal has counted the digits already
    if type(validator) is validators.ProhibitNullCharactersValidator:
        return lambda value: pl.lit(True)  # parse_text has looked for them already
    return None


LIMITS = (validators.MaxValueValidator, validators.MinValueValidator)


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOfField:
    """Fields that are read alike. Only Django's own classes: a subclass may change anything, and is asked itself."""

    fields: frozenset[type]
    dtype: pl.DataType
    parse: Callable[[pl.Expr, Any], pl.Expr] | None
    accepts: frozenset[type]


def parse_text(text: pl.Expr, field: Any) -> pl.Expr:
    return pl.when(~text.str.contains(MARK, literal=True)).then(text)


def parse_integer(text: pl.Expr, field: Any) -> pl.Expr:
    # Spreadsheets write 7.0 where they mean 7, and GraphQL's Int takes it too.
    zeros = pl.when(text.str.contains(r"^[+-]?\d+\.0+$")).then(text.str.replace(r"\.0+$", ""))
    return pl.coalesce(text.cast(pl.Int64, strict=False), zeros.cast(pl.Int64, strict=False))


def parse_decimal(text: pl.Expr, field: Any) -> pl.Expr:
    if field.max_digits is None or field.decimal_places is None:
        return pl.when(pl.lit(False)).then(text)
    whole, places = field.max_digits - field.decimal_places, field.decimal_places
    fraction = rf"(?:\.\d{{1,{places}}})?" if places else ""
    return pl.when(text.str.contains(rf"^[+-]?\d{{1,{max(whole, 1)}}}{fraction}$")).then(text)


def parse_float(text: pl.Expr, field: Any) -> pl.Expr:
    value = text.cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def parse_boolean(text: pl.Expr, field: Any) -> pl.Expr:
    return text.replace_strict(
        {"true": True, "True": True, "TRUE": True, "t": True, "1": True}
        | {"false": False, "False": False, "FALSE": False, "f": False, "0": False},
        default=None,
        return_dtype=pl.Boolean,
    )


def parse_date(text: pl.Expr, field: Any) -> pl.Expr:
    return pl.when(text.str.contains(r"^\d{4}-\d{2}-\d{2}$")).then(text.str.to_date("%Y-%m-%d", strict=False))


def parse_time(text: pl.Expr, field: Any) -> pl.Expr:
    return pl.when(text.str.contains(r"^\d{2}:\d{2}:\d{2}$")).then(text.str.to_time("%H:%M:%S", strict=False))


def parse_datetime(text: pl.Expr, field: Any) -> pl.Expr:
    """ISO 8601 in UTC by the second, the usual case; then with an offset and a fraction."""
    utc = text.str.contains(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")
    offset = text.str.contains(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:\d{2})$")
    return pl.coalesce(
        pl.when(utc).then(text).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", strict=False).dt.replace_time_zone("UTC"),
        pl.when(offset & ~utc).then(text).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC", strict=False),
    )


def parse_uuid(text: pl.Expr, field: Any) -> pl.Expr:
    return pl.when(text.str.contains(r"(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")).then(text.str.to_lowercase())


INTEGERS = frozenset(
    {
        models.AutoField,
        models.BigAutoField,
        models.SmallAutoField,
        models.IntegerField,
        models.BigIntegerField,
        models.SmallIntegerField,
        models.PositiveIntegerField,
        models.PositiveBigIntegerField,
        models.PositiveSmallIntegerField,
    }
)
TEXTS = frozenset({models.CharField, models.TextField, models.SlugField, models.EmailField, models.URLField})

KINDS = (
    KindOfField(fields=TEXTS, dtype=pl.String(), parse=parse_text, accepts=frozenset({str})),
    KindOfField(fields=INTEGERS, dtype=pl.Int64(), parse=parse_integer, accepts=frozenset({int, float})),
    KindOfField(
        fields=frozenset({models.DecimalField}),
        dtype=pl.String(),
        parse=parse_decimal,
        accepts=frozenset({str, int, float}),
    ),
    KindOfField(
        fields=frozenset({models.FloatField}), dtype=pl.Float64(), parse=parse_float, accepts=frozenset({int, float})
    ),
    KindOfField(
        fields=frozenset({models.BooleanField}), dtype=pl.Boolean(), parse=parse_boolean, accepts=frozenset({bool})
    ),
    KindOfField(fields=frozenset({models.DateField}), dtype=pl.Date(), parse=parse_date, accepts=frozenset({str})),
    KindOfField(fields=frozenset({models.TimeField}), dtype=pl.Time(), parse=parse_time, accepts=frozenset({str})),
    KindOfField(
        fields=frozenset({models.DateTimeField}),
        dtype=UTC_MICROSECONDS,
        parse=parse_datetime,
        accepts=frozenset({str}),
    ),
    KindOfField(fields=frozenset({models.UUIDField}), dtype=pl.String(), parse=parse_uuid, accepts=frozenset({str})),
)
SLOW = KindOfField(
    fields=frozenset(), dtype=pl.String(), parse=None, accepts=frozenset({str, int, float, bool, list, dict})
)

#: For annotations of values that frames hold.
Value: TypeAlias = "str | int | float | bool | date | time | datetime | None"
