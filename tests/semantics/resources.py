"""The resources of the model: what rows may say of their fields, and what is stored of it.

They are the zoo's toys and shelves, written down once more, without Django.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

Values: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, ...]
Error: TypeAlias = tuple[str | None, str]  # path and code

REQUIRED = object()  # the default of a field that has none


class Bad(Exception):
    """What is wrong with a row, or with a value of it."""

    def __init__(self, *errors: Error) -> None:
        super().__init__(*errors)
        self.errors = list(errors)


@dataclass(frozen=True)
class Field:
    """A field. `parse` makes what is stored of what a row gives, or raises Bad."""

    parse: Callable[[Any], Any]
    default: Any = REQUIRED
    takes_null: bool = False
    refers_to: str | None = None


@dataclass(frozen=True)
class Resource:
    """Rows with keys that no two of them share. A key with a null in it is equal to nothing."""

    fields: dict[str, Field]
    keys: tuple[Key, ...]
    match_fields: Key
    #: The check constraint.
    is_allowed: Callable[[Values], bool] = lambda row: True

    @property
    def required(self) -> set[str]:
        return {name for name, field in self.fields.items() if field.default is REQUIRED}

    @property
    def defaults(self) -> Values:
        return {name: field.default for name, field in self.fields.items() if field.default is not REQUIRED}


def text(length: int, *, may_be_blank: bool = False) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not isinstance(value, str):
            raise Bad((None, "INVALID"))
        if not value and not may_be_blank:
            raise Bad((None, "REQUIRED"))
        if len(value) > length:
            raise Bad((None, "TOO_LONG"))
        return value

    return parse


def integer(value: Any) -> int:
    """GraphQL's Int takes 3.0, and no text."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise Bad((None, "INVALID"))
    if not -(2**31) <= value < 2**31:
        raise Bad((None, "OUT_OF_RANGE"))
    return int(value)


def price(value: Any) -> Decimal:
    """Four digits, two of them behind the point; a number, or text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Bad((None, "INVALID"))
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Bad((None, "INVALID")) from None
    if abs(number) >= 100 or number != round(number, 2):
        raise Bad((None, "OUT_OF_RANGE"))
    return number


def primary_key(value: Any) -> int:
    """An ID is a number, or text."""
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Bad((None, "INVALID")) from None


PK = Field(primary_key)

#: Parents before children.
RESOURCES = {
    "shelves": Resource(
        fields={
            "code": Field(text(3)),
            "note": Field(text(5, may_be_blank=True), default=""),
        },
        keys=(("code",),),
        match_fields=("code",),
    ),
    "toys": Resource(
        fields={
            "sku": Field(text(3)),
            "name": Field(text(5)),
            "price": Field(price, default=None, takes_null=True),
            "stock": Field(integer, default=0),
            "shelf": Field(primary_key, default=None, takes_null=True, refers_to="shelves"),
            "place": Field(integer, default=None, takes_null=True),
        },
        keys=(("sku",), ("shelf", "place")),
        match_fields=("sku",),
        is_allowed=lambda toy: toy["stock"] >= 0,
    ),
}
