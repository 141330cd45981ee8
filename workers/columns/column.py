"""A model field -> how its text becomes a value.

Each column has a fast path, an expression over the whole column that yields values only for text that is certainly
valid (workers/columns/kinds.py); every other text goes through the field itself, whose verdict and message count. So no
field type is refused, and the field's own rule is the one that counts.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import polars as pl
from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError, models

from bulkql.workers.columns.cells import MARK, ExactFloat, kind_of
from bulkql.workers.columns.choices import choice_names, path_of_choices
from bulkql.workers.columns.cleaning import (
    check_exact,
    cleaned_by,
    failure_of,
    in_utc,
    json_of,
    note_refusal,
    text_of,
)
from bulkql.workers.columns.collations import comparable_texts
from bulkql.workers.columns.kinds import BOOLEANS, fast_paths, kind_of_field, value_field_of
from bulkql.workers.columns.rules import Parse
from bulkql.workers.columns.spelling import NUMBERS, DateFormat, Spelling, tidy

#: The code of a value that is spelled otherwise than the file's options say.
MISSPELLED = "misspelled"


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
    #: Certainly valid text -> value, any other text -> null; the usual spelling first, then rarer ones, which are tried
    #: on columns of which something is left. Empty where only the field itself can tell.
    parse: tuple[Parse, ...]
    #: The JSON kinds whose text is the value.
    accepts: frozenset[type]
    #: The text of a cell is JSON.
    as_json: bool = False
    #: The values can go into COPY as they are.
    is_plain: bool = True
    #: GraphQL enum name -> the value in the database.
    choice_names: dict[str, Any]
    #: The foreign key whose row this column names by a key of its own: `account.name` is of `account`.
    names: str | None = None
    #: How the file spells values; None for rows that came with the request.
    spelling: Spelling | None = None
    #: Text in a file's spelling -> in the field's, null where the options do not allow it. None if texts may stay.
    tidy: Parse | None = None

    @property
    def is_required(self) -> bool:
        """A created row must give it."""
        field = self.field
        if (
            self.names is not None
            or isinstance(field, models.AutoField)
            or field.has_default()
            or field.has_db_default()
            or field.null
        ):
            return False
        has_clock = getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
        return not has_clock and not (field.blank and field.empty_strings_allowed)

    @property
    def target_field(self) -> models.Field[Any, Any]:
        """The field whose values a foreign key or a list takes."""
        assert isinstance(self.field, models.ForeignKey | models.ManyToManyField)
        return self.field.target_field

    def clean(self, cell: str) -> Any:
        """The value of a cell, by the field's own rules; raises ValidationError."""
        (text,) = self.tidied(pl.Series([cell], dtype=pl.String))
        return self.clean_tidy(text)

    def tidied(self, cells: pl.Series) -> pl.Series:
        """Cells in the spelling that the field takes; null where the file's options do not allow theirs."""
        tidy = self.tidy
        return cells if tidy is None else pl.select(tidy(pl.lit(cells)).alias(cells.name)).to_series()

    def clean_tidy(self, text: str | None) -> Any:
        """The value of a cell in the field's spelling; raises ValidationError."""
        if text is None:
            raise ValidationError(self.misspelled(), code=MISSPELLED)
        if text.startswith(MARK):
            raise ValidationError(f"{self.expected()} is expected here, not {kind_of(text)}.", code="invalid")
        if MARK in text:
            raise ValidationError("Null characters are not allowed.", code="invalid")
        try:
            value = self.checked(self.decode(text))
            check_exact(self.value_field, text, value)
            # What goes wrong on a value's way to the database is known here, where it has a name.
            self.value_field.get_prep_value(value)
        except (ValidationError, DatabaseError, InterfaceError):
            raise
        except Exception as error:
            # A field's code may raise anything, and one such cell would fail its whole chunk: base64 with a digit too
            # many, a moment past the end of the calendar, an amount without its currency, a file that is not there.
            note_refusal(self.field, error)
            raise failure_of(self.value_field, error) from error
        return value

    def misspelled(self) -> str:
        """What the options of the file say of this field's values."""
        assert self.spelling is not None
        if self.is_number:
            return f"A number is expected here, with {self.spelling.decimal!r} before its fraction (`decimal`)."
        return f"A date is expected here, of the form {self.spelling.date_format} (`dateFormat`)."

    def checked(self, value: Any) -> Any:
        """A decoded value, by the field's own rules."""
        if self.target is not None:
            # Whether the row that a key points to is there, is asked once for the whole column.
            value = self.value_field.to_python(value)
            self.value_field.run_validators(value)
        else:
            value = cleaned_by(self.field, value)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValidationError("A finite number is expected here.", code="invalid")
        return value

    def decode(self, cell: str) -> Any:
        """Text -> what the field's to_python takes."""
        if self.as_json:
            return json_of(cell)
        if cell in self.choice_names:
            return self.choice_names[cell]
        if isinstance(self.value_field, models.BooleanField):
            return BOOLEANS.get(cell, cell)
        if isinstance(self.value_field, models.IntegerField):
            return re.sub(r"^([+-]?[0-9]+)\.0+$", r"\1", cell)
        if isinstance(self.value_field, models.DateTimeField):
            # Validators compare moments with others, which a naive one is not comparable to.
            return in_utc(self.value_field.to_python(cell))
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
        if self.as_json:
            return [None if text is None else self.value_field.to_python(json.loads(text)) for text in values]
        if not self.is_plain:
            return [None if text is None else self.value_field.to_python(self.decode(text)) for text in values]
        return [None if text is None else self.value_field.to_python(text) for text in values]

    def comparable(self, values: pl.Series) -> pl.Series:
        """Values of a frame in a form in which equal ones are the same: 1.5 and 1.50, an address in two spellings.

        Those that only the database holds for equal, too: texts whose column ignores case.
        """
        if isinstance(self.value_field, models.DecimalField) and self.is_plain:
            return values.cast(pl.Decimal(38, self.value_field.decimal_places), strict=False)
        if self.is_plain:
            return comparable_texts(self.value_field, values)
        texts = values.unique().drop_nulls()
        # A field may make null of the empty text, which is equal to no other then.
        found = [self.value_field.get_prep_value(value) for value in self.python(texts)]
        prepared = pl.Series([None if value is None else str(value) for value in found], dtype=pl.String)
        keys = comparable_texts(self.value_field, prepared)
        return values.replace_strict(texts, keys, default=None, return_dtype=pl.String)

    @property
    def ruling_field(self) -> models.Field[Any, Any]:
        """The field that says how values are spelled: choices are of the field itself."""
        return self.field if self.field.choices else self.value_field

    @property
    def date_format(self) -> DateFormat | None:
        """How the file writes this field's dates; None for ISO 8601, and for what is no date."""
        written = self.spelling.date_format if self.spelling is not None else None
        is_date = isinstance(self.ruling_field, models.DateField) and not self.field.choices
        return DateFormat.of(written) if written is not None and is_date else None

    @property
    def is_text(self) -> bool:
        return isinstance(self.value_field, models.CharField | models.TextField) and not self.choice_names

    @property
    def is_number(self) -> bool:
        return isinstance(self.ruling_field, NUMBERS) and not self.field.choices

    def expected(self) -> str:
        """What the field wants, in words, with its article."""
        if self.choice_names:
            return f"One of {', '.join(self.choice_names)}"
        if bool in self.accepts and self.is_plain:
            return "A boolean"
        if ExactFloat in self.accepts:
            return "A string or a number"
        if self.accepts == {str}:
            return "A string"
        return "A string or a number" if str in self.accepts else "A number"


def column_for(field: models.Field[Any, Any]) -> Column:
    """The column of a model field."""
    value_field = value_field_of(field)
    target = field.remote_field.model if isinstance(field, models.ForeignKey) else None
    kind = kind_of_field(value_field)
    column = Column(
        name=field.name,
        graphql_name=graphql_name(field.name),
        field=field,
        value_field=value_field,
        target=target,
        dtype=kind.dtype,
        parse=fast_paths(value_field),
        # Choices are given by their enum's names.
        accepts=kind.accepts | ({str, int} if is_id(field) else set()) | ({str} if field.choices else set()),
        as_json=isinstance(value_field, models.JSONField),
        is_plain=kind.is_plain,
        choice_names=choice_names(field),
    )
    if field.choices and column.parse:
        column = replace(column, parse=(path_of_choices(column),))
    expression = tidy(column.ruling_field, Spelling())
    if expression is None:
        return column
    if field.choices or not column.parse:
        return replace(column, tidy=expression)  # of choices few texts are left, each of which is cleaned once
    # The usual spelling is tried first, as it stands.
    usual, *rarer = column.parse
    paths = tuple(composed(parse, expression) for parse in rarer or [usual])
    return replace(column, tidy=expression, parse=(usual, *paths))


@lru_cache(maxsize=10_000)
def spelled(column: Column, spelling: Spelling | None) -> Column:
    """A column whose texts are spelled as a file's options say; None for rows that came with the request."""
    if spelling is None:
        return column
    if not spelling.concerns(column.ruling_field):
        return replace(column, spelling=spelling)
    expression = tidy(column.ruling_field, spelling)
    assert expression is not None
    accepts = column.accepts | {str}
    if column.is_number and spelling.decimal == ",":
        accepts = frozenset({str, ExactFloat})  # JSON's own numbers have a point, and are marked
    paths = tuple(composed(parse, expression) for parse in column.parse)
    return replace(column, spelling=spelling, tidy=expression, parse=paths, accepts=accepts)


def composed(parse: Parse, tidy: Parse) -> Parse:
    return lambda text: parse(tidy(text))


def naming(foreign_key: models.ForeignKey[Any, Any], field: models.Field[Any, Any]) -> Column:
    """The column in which rows give a foreign key by a field of its target: account.name, in GraphQL accountBy.name."""
    column = column_for(field)
    return replace(
        column,
        name=f"{foreign_key.name}.{column.name}",
        graphql_name=f"{by_name(foreign_key.name)}.{column.graphql_name}",
        names=foreign_key.name,
    )


def by_name(name: str) -> str:
    """financial_account -> financialAccountBy."""
    return f"{graphql_name(name)}By"


def is_id(field: models.Field[Any, Any]) -> bool:
    """Keys travel as ID, and numbers of 64 bits as BigInt: both as strings too."""
    return field.primary_key or isinstance(field, models.ForeignKey | models.BigIntegerField)


def graphql_name(name: str) -> str:
    """financial_account -> financialAccount, area_km2 -> areaKm2."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
