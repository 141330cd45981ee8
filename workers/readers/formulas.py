"""Texts that a spreadsheet would run as formulas <-> texts that it shows.

OWASP's remedy (https://owasp.org/www-community/attacks/CSV_Injection), made exact: a text that looks guarded already
gets another quote, so that taking one off again gives back what was there.
"""

from __future__ import annotations

import re

import polars as pl

GUARD = "'"
#: What a spreadsheet takes for a formula's beginning; some take the full-width signs too.
SIGNS = r"[=+\-@\t\r＝＋－＠]"
#: Behind any number of guards.
FORMULA = f"^'*{SIGNS}"
GUARDED = f"^'+{SIGNS}"
#: -5 and +1.5e3 begin so too, and are no formulas.
NUMBER = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def is_run(text: pl.Expr) -> pl.Expr:
    """Whether a spreadsheet would run a text, or might take it for one that is guarded."""
    return text.str.contains(FORMULA) & ~text.str.contains(NUMBER)


def neutralised(text: pl.Expr) -> pl.Expr:
    """Texts that no spreadsheet runs."""
    return pl.when(is_run(text)).then(text.str.replace("^", GUARD)).otherwise(text)


def restored(text: pl.Expr) -> pl.Expr:
    """What was neutralised, as it was."""
    return pl.when(text.str.contains(GUARDED)).then(text.str.slice(1)).otherwise(text)


def without_guard(text: str) -> str:
    """The same for one text."""
    return text[1:] if re.match(GUARDED, text) else text
