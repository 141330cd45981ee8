"""A value that a field refused -> the words of the field, and what helps: texts that are taken, options of the file."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.db import models

from bulkql.workers.columns.cells import MARK, shown
from bulkql.workers.columns.column import MISSPELLED, Column
from bulkql.workers.columns.kinds import BOOLEANS
from bulkql.workers.columns.spelling import DECIMALS, ISO_DATE, NUMBERS, Spelling, number_pattern, separators

#: Choices that a message lists.
LISTED = 20
#: Characters of a value that our words quote; the row error has all of it.
QUOTED = 100
DATE = re.compile(r"[0-9]{1,4}([./-])[0-9]{1,2}\1[0-9]{1,4}(?:[T ].*)?")
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]*")


def advised(column: Column, cell: str, error: ValidationError) -> str:
    """The message of a refusal."""
    words = " ".join(as_sent(error, cell).messages)
    if cell.startswith(MARK):
        return words
    text, field, spelling = cell.strip(), column.ruling_field, column.spelling
    if field.choices and error.code in ("invalid", "invalid_choice") and text not in choice_texts(column):
        return f"{in_quotes(text)} is none of the choices: {choices(column)}."
    if isinstance(field, models.BooleanField) and not field.choices and text not in BOOLEANS:
        return neither(text, spelling)
    if spelling is None or error.code not in ("invalid", MISSPELLED):
        return words
    if isinstance(field, NUMBERS):
        return in_sentences(words, number_otherwise(text, spelling))
    if isinstance(field, models.DateField):
        return in_sentences(words, date_otherwise(text, field, spelling))
    return words


def as_sent(error: ValidationError, cell: str) -> ValidationError:
    """A refusal that quotes the text as it was sent, and not what options and rules have made of it."""
    params = getattr(error, "params", None)
    if not isinstance(params, dict) or not isinstance(params.get("value"), str):
        return error
    return ValidationError(error.message, error.code, {**params, "value": shown(cell)})


def in_sentences(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def in_quotes(text: str) -> str:
    return f"“{text if len(text) <= QUOTED else f'{text[:QUOTED]}...'}”"


def choice_texts(column: Column) -> set[str]:
    """The texts that stand for choices."""
    return {*column.choice_names, *map(str, column.choice_names.values())}


def choices(column: Column) -> str:
    """The texts that are taken, with what they mean: R (Red), SMALL or 1."""
    labels = {str(value): str(label) for value, label in column.field.flatchoices}
    told = []
    for name, value in list(column.choice_names.items())[:LISTED]:
        texts, label = list(dict.fromkeys([name, str(value)])), labels[str(value)]
        says_more = label.casefold() not in {one.casefold() for one in texts}
        told.append(f"{' or '.join(texts)} ({label})" if says_more else " or ".join(texts))
    more = len(column.choice_names) - len(told)
    return ", ".join([*told, f"and {more:,} more"] if more > 0 else told)


def neither(text: str, spelling: Spelling | None) -> str:
    """The texts that mean true and false."""
    given = (spelling.true_values, spelling.false_values) if spelling else ((), ())
    true, false = (
        ", ".join(dict.fromkeys([*(one for one, is_true in BOOLEANS.items() if is_true is value), *more]))
        for value, more in zip((True, False), given, strict=True)
    )
    others = "; `trueValues` and `falseValues` name others." if spelling is not None else "."
    return f"{in_quotes(text)} means neither true ({true}) nor false ({false}){others}"


def number_otherwise(text: str, spelling: Spelling) -> str:
    """What a text would be with another `decimal`."""
    if PLAIN_NUMBER.fullmatch(text) and spelling.decimal is None and not re.match(number_pattern(","), text):
        return ""
    # By default the point is known already: it makes no whole number of 1.23E+05.
    is_said = spelling.decimal is not None
    ways = [
        f'with `decimal: "{decimal}"` it is {plain_number(text, decimal)}'
        for decimal in DECIMALS
        if decimal != spelling.decimal
        and re.match(number_pattern(decimal), text)
        and (is_said or plain_number(text, decimal) != text)
    ]
    sentence = ", ".join(ways)
    return f"{sentence[:1].upper()}{sentence[1:]}." if ways else ""


def plain_number(text: str, decimal: str) -> str:
    for one in separators(decimal):
        text = text.replace(one, "")
    return text.replace(decimal, ".")


def date_otherwise(text: str, field: models.Field[object, object], spelling: Spelling) -> str:
    """What an option can do for a text that looks like a date."""
    if spelling.date_format is None and (found := DATE.fullmatch(text)) and not re.match(ISO_DATE, text):
        return f"`dateFormat` sets another order, such as {found[1].join(('%d', '%m', '%Y'))}."
    if not isinstance(field, models.DateTimeField) and re.match(rf"{ISO_DATE}[T ]", text):
        return "A date cannot have a time other than midnight."
    return ""
