"""JSON values -> text cells, the one form in which rows wait in a chunk.

A cell is the text of a value as CSV would give it. Null in the frame means that the row does not give the field.
A text that begins with NUL, which no database text can, carries what CSV has no text for: JSON of another kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import polars as pl

# NUL, because PostgreSQL stores no text with it: with any printable mark, a name such as "null" or "[1]" that a user
# typed would be taken for JSON. A text that begins with NUL itself is marked as a JSON string, so that it stays text.
MARK = "\0"
#: An explicit null, which is not the same as a missing value.
NULL = f"{MARK}null"

#: In files that come back, until the options' own nulls stand in their frame: a cell that the row does not give, where
#: an empty one is null.
ABSENT = f"{MARK}absent"


class ExactFloat(float):
    """A JSON number that remembers its digits: 1234567890123456.78 is no float."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> ExactFloat:
        number = super().__new__(cls, text)
        number.text = text
        return number


class BareText(str):
    """The text of a file's cell that JSON has no value for: it is a cell as it stands."""

    __slots__ = ()


def cells(values: Sequence[Any], accepts: frozenset[type], *, as_json: bool = False) -> pl.Series:
    """The cells of one column.

    `values` are decoded JSON, with `...` where a row does not give the field. `accepts` are the kinds whose text is the
    value (a number for a decimal field); with ExactFloat among them, numbers are marked, and keep their digits.
    `as_json` is for fields whose text is JSON itself. A number with a fraction or an exponent may come as its digits,
    in bytes.
    """
    quick = None if as_json else of_one_kind(values, accepts)
    return series_of([cell(value, accepts, as_json) for value in values]) if quick is None else quick


def of_one_kind(values: Sequence[Any], accepts: frozenset[type]) -> pl.Series | None:
    """The cells of a column whose values are all texts, all whole numbers or all digits; None for any other."""
    kind = type(values[0]) if values else str
    dtype = {str: pl.String, int: pl.Int64, bytes: pl.Binary}.get(kind)
    if dtype is None or (float if kind is bytes else kind) not in accepts:
        return None
    # polars refuses values of other kinds by itself, but for nulls, and booleans among numbers.
    if kind is int and set(map(type, values)) != {int}:
        return None
    try:
        texts = pl.Series(values, dtype=dtype).cast(pl.String)
    except (TypeError, ValueError):
        return None
    # Texts are their own cells, but for those that begin with the mark themselves. No other comes before "\1" but the
    # empty one, which is sooner found out where texts are few.
    if texts.null_count() or (kind is str and (texts < "\1").any() and texts.str.starts_with(MARK).any()):
        return None
    return texts


def series_of(texts: Sequence[str | None]) -> pl.Series:
    """Texts as a series; what is not all characters is marked."""
    try:
        return pl.Series(texts, dtype=pl.String)
    except UnicodeEncodeError:
        return pl.Series([None if text is None else encodable(text) for text in texts], dtype=pl.String)


def escaped_column(texts: pl.Expr) -> pl.Expr:
    """A file's texts as they are, but for those that begin with the mark themselves."""
    return pl.when(texts.str.starts_with(MARK)).then(pl.format('{}"{}"', pl.lit(MARK), texts)).otherwise(texts)


def encodable(text: str) -> str:
    """A text as it is, or marked where it is not all characters."""
    return text if is_encodable(text) else f"{MARK}{exact_json(text)}"


def cell(value: Any, accepts: frozenset[type], as_json: bool) -> str | None:
    """The cell of one value."""
    if value is ...:
        return None
    if value is None:
        return NULL
    if isinstance(value, BareText) and not value.startswith(MARK):
        return str(value)
    if as_json:
        return exact_json(value)
    if isinstance(value, bytes):
        value = ExactFloat(value.decode())
    if isinstance(value, ExactFloat) and ExactFloat in accepts:
        return f"{MARK}{value.text}"
    kind = float if isinstance(value, float) else type(value)
    if kind not in accepts or (kind is str and value.startswith(MARK)):
        return f"{MARK}{exact_json(value)}"
    if kind in (bool, list, dict):
        return exact_json(value)
    return value.text if isinstance(value, ExactFloat) else str(value)


#: What may be a number that a float does not tell exactly.
DIGITS = re.compile(r"[0-9][.eE]")


def exact_json(value: Any) -> str:
    """JSON with the digits that its numbers came with."""
    text = json.dumps(value)
    return exact_parts(value) if DIGITS.search(text) else text


def exact_parts(value: Any) -> str:
    """The same, part by part: Python's own writer makes a float of each number with a fraction."""
    if isinstance(value, ExactFloat):
        return value.text
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {exact_parts(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(exact_parts, value))}]"
    return json.dumps(value)


def shown(cell_text: str) -> str:
    """A cell as its sender would recognise it."""
    return cell_text.removeprefix(MARK)


def value_of(marked_cell: str) -> Any:
    """What a marked cell carries: JSON, or a file's text in bare quotes."""
    try:
        return json.loads(shown(marked_cell))
    except ValueError:
        return shown(marked_cell)[1:-1]


def unreadable(what: str) -> str:
    """The cell of a file's value that has no text: an error of its row, which says what it is."""
    return f"{MARK}{json.dumps({UNREADABLE: what})}"


#: What such a cell calls the words.
UNREADABLE = "unreadable"


def kind_of(cell_text: str) -> str:
    """The JSON kind of a marked cell, in words."""
    value = value_of(cell_text)
    if isinstance(value, dict) and list(value) == [UNREADABLE]:
        return str(value[UNREADABLE])
    if not isinstance(value, str):
        return {bool: "a boolean", list: "a list", dict: "an object"}.get(type(value), "a number")
    if value.startswith(MARK):
        return "text that begins with a null character"
    if is_encodable(value):
        return "a string"
    # So Python has bytes that are not UTF-8 in a text.
    is_bytes = is_encodable(value, errors="surrogateescape")
    return "bytes that are not UTF-8" if is_bytes else "text with half a surrogate pair"


def is_encodable(text: str, errors: str = "strict") -> bool:
    """Whether a text has no half of a surrogate pair, which is no character."""
    try:
        text.encode(errors=errors)
    except UnicodeEncodeError:
        return False
    return True
