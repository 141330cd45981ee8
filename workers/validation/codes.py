"""Codes of Django and of users' rules -> the codes of row errors."""

from __future__ import annotations

import polars as pl
from django.core.exceptions import ValidationError

from bulkql.workers.errors import Code

#: What a rule may call an error: by our own codes, or by Django's.
CODES = {
    **{code.value: code for code in Code},
    "blank": Code.REQUIRED,
    "null": Code.NULL_NOT_ALLOWED,
    "max_length": Code.TOO_LONG,
    "max_value": Code.OUT_OF_RANGE,
    "min_value": Code.OUT_OF_RANGE,
    "max_digits": Code.OUT_OF_RANGE,
    "max_whole_digits": Code.OUT_OF_RANGE,
    "max_decimal_places": Code.OUT_OF_RANGE,
    "invalid_choice": Code.NOT_A_CHOICE,
    **dict.fromkeys(("unique", "unique_together", "unique_for_date"), Code.ALREADY_EXISTS),
}
#: What a foreign key says of a row that is not there; its code is that of any wrong value.
OF_FOREIGN_KEY = frozenset({"model", "pk", "field", "value"})
#: Clients know RowErrorCode and nothing else: a rule's own code must not break their query for row errors.
OTHER = Code.INVALID


def code_of(error: ValidationError) -> Code:
    """The code of a single ValidationError."""
    if error.code == "invalid" and isinstance(error.params, dict) and error.params.keys() >= OF_FOREIGN_KEY:
        return Code.REFERENCE_NOT_FOUND
    return CODES.get(error.code or "", OTHER)


def code_expression(column: str) -> pl.Expr:
    """The same for a column of codes as text."""
    return pl.col(column).replace_strict(
        list(CODES), [code.value for code in CODES.values()], default=OTHER.value, return_dtype=pl.String
    )
