"""The query of an export -> records of CSV, by PostgreSQL's own COPY TO, in the spelling that readers take.

Without ever making Python values of them: the query selects columns as they are, and one around it writes their texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connections, models
from django.db.models import OuterRef, QuerySet

from bulkql.workers.backends import backend
from bulkql.workers.columns.column import Column
from bulkql.workers.columns.copied import copied_out
from bulkql.workers.columns.kinds import KINDS
from bulkql.workers.columns.rules import TEXTS
from bulkql.workers.exports.fields import ExportField
from bulkql.workers.exports.lists import members_of
from bulkql.workers.exports.rows import columns_to_export, selected
from bulkql.workers.readers.formulas import FORMULA, GUARD, NUMBER
from bulkql.workers.readers.returned import BLANK

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: The fields whose texts PostgreSQL writes as readers take them; of a class that is derived from one, nobody knows.
KNOWN = frozenset[type]().union(
    *(kind.fields for kind in KINDS),
    {models.BinaryField, models.DurationField, models.GenericIPAddressField, models.JSONField},
    {models.FileField, models.ImageField, models.FilePathField},
)
#: PostgreSQL's own spelling but for the T and the Z; what Python's calendar does not have stays as it is.
MOMENT = (
    "CASE WHEN {0} BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00'"
    " THEN replace(left({0}::text, -3), ' ', 'T') || 'Z' ELSE {0}::text END"
)
TEXT_OF: dict[type, str] = {
    models.BooleanField: "{0}::text",
    models.DateTimeField: MOMENT,
    models.BinaryField: "translate(encode({0}, 'base64'), E'\\n', '')",
    models.GenericIPAddressField: "host({0})",
    models.JSONField: "nullif({0}::text, 'null')",
    models.DurationField: "{0}::text",
}
#: The code points of what a formula begins with, or a text that looks guarded (readers/formulas.py).
SIGNS = tuple(map(ord, "=+-@\t\r'＝＋－＠"))
#: What a spreadsheet cannot take for a formula: numbers, moments, booleans, keys of digits.
HARMLESS = (
    models.IntegerField,
    models.FloatField,
    models.DecimalField,
    models.BooleanField,
    models.DateField,
    models.TimeField,
    models.UUIDField,
    models.GenericIPAddressField,
    models.JSONField,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyQuery:
    """What is copied, and how."""

    alias: str
    fields: Sequence[ExportField]
    rows: QuerySet[Any]
    user: User | None

    @classmethod
    def of(cls, alias: str, fields: Sequence[ExportField], rows: QuerySet[Any], user: User | None) -> CopyQuery | None:
        """The query, where the database has COPY and knows how to write each column; else None."""
        if not backend(alias).supports_copy or any(type(one.column.value_field) not in KNOWN for one in fields):
            return None
        return cls(alias=alias, fields=fields, rows=rows, user=user)

    def examined(self) -> tuple[int, bool, bool]:
        """How many rows there are, and whether any text may be a formula and any row is blank; in one look at them."""
        texts = [place for place, one in enumerate(self.fields) if may_be_run(one)]
        signs = ", ".join(map(str, SIGNS))
        shown = [text_sql(self.fields[place], f"c{place}")[0] for place in texts]
        # Most texts begin with no sign, and are asked no more.
        found = " OR ".join(f"(ascii({one}) IN ({signs}) AND {one} ~ %s AND {one} !~ %s)" for one in shown)
        inner, params = self._inner(self.rows.order_by())
        verdict = f"coalesce(bool_or({found}), false)" if texts else "false"
        blank, blanks = blank_sql(self.fields)
        lead = [*[FORMULA, NUMBER] * len(texts), *blanks]
        sql = f"SELECT count(*), {verdict}, coalesce(bool_or({blank}), false) FROM {inner}"  # noqa: S608  (Django's own)
        with connections[self.alias].cursor() as cursor:
            cursor.execute(sql, [*lead, *params])
            count, has_formulas, has_blanks = cursor.fetchone()
        return count, has_formulas, has_blanks

    def blocks(self, *, is_guarded: bool = False, mark: bool = False) -> Iterator[tuple[bytes, int]]:
        """Whole records of CSV, and how many they are; null is an empty cell, and an empty text a quoted one.

        `is_guarded`: formulas are neutralised, and one more column has a cell where a row is blank. `mark`: one more
        column, without a null: no record is an empty line.
        """
        texts, lead = [], list[Any]()
        for place, field in enumerate(self.fields):
            text, params = text_sql(field, f"c{place}")
            if is_guarded and may_be_run(field):
                text = f"CASE WHEN {text} ~ %s AND {text} !~ %s THEN '''' || {text} ELSE {text} END"
                params = [FORMULA, NUMBER]  # choices have parameters of their own, and are names
            lead += params
            texts.append(text)
        if is_guarded:
            blank, blanks = blank_sql(self.fields)
            texts.append(f"CASE WHEN {blank} THEN '{GUARD * 2}' END")
            lead += blanks
        texts += ["1"] if mark else []
        inner, its_params = self._inner(self.rows)
        # A text of blanks, alone on its line, would be none.
        quoted = ", FORCE_QUOTE *" if len(texts) == 1 and may_be_run(self.fields[0]) else ""
        statement = f"COPY (SELECT {', '.join(texts)} FROM {inner}) TO STDOUT (FORMAT csv{quoted})"  # noqa: S608
        yield from copied_out(self.alias, statement, (*lead, *its_params))

    def _inner(self, rows: QuerySet[Any]) -> tuple[str, tuple[Any, ...]]:
        """The rows' columns as the table has them, called c0, c1, ..."""
        values = columns_to_export(self.fields, self.user)
        columns = [
            array_of_members(one, self.rows.model, self.user) if one.member else value
            for one, value in zip(self.fields, values, strict=True)
        ]
        # Of a filter that lets no row through, Django makes no SQL unless it is told to.
        sql, params = selected(rows, columns).query.get_compiler(using=self.alias, elide_empty=False).as_sql()
        names = ", ".join(f"c{place}" for place in range(len(self.fields)))
        return f"({sql}) AS t({names})", params


def array_of_members(field: ExportField, model: type[models.Model], user: User | None) -> ArraySubquery:
    """A list, in the order of its members' keys."""
    found = members_of(model, field, user)
    return ArraySubquery(found.rows.filter(**{found.owner: OuterRef(found.way)}).values(found.member))


def text_sql(field: ExportField, name: str) -> tuple[str, list[Any]]:
    """The text of a column, and its parameters."""
    column = field.column
    if field.member:
        return f"array_to_json({name})::text", []
    if column.choice_names:
        cases = " ".join("WHEN %s THEN %s" for _ in column.choice_names)
        pairs = [one for choice, value in column.choice_names.items() for one in (value, choice)]
        return f"CASE {name} {cases} ELSE {name}::text END", pairs
    return TEXT_OF.get(type(column.value_field), "{0}").format(name), []


def blank_sql(fields: Sequence[ExportField]) -> tuple[str, list[Any]]:
    """Whether a row has only cells that say nothing, and the parameters of that."""
    if not may_be_blank(fields):
        return "false", []
    tests, params = [], list[Any]()
    # What is quick to tell comes first.
    for place, field in sorted(enumerate(fields), key=lambda one: is_told_by_null(one[1]), reverse=True):
        if is_told_by_null(field):
            tests.append(f"c{place} IS NULL")
        else:
            text = f"c{place}::text" if field.column.choice_names else text_sql(field, f"c{place}")[0]
            tests.append(f"({text} IS NULL OR {text} ~ %s)")
            params.append(BLANK)
    return " AND ".join(tests), params


def may_be_blank(fields: Sequence[ExportField]) -> bool:
    """Whether a row may have only cells that say nothing; none has that has a key of digits or a moment."""
    return all(one.column.field.null or one.targets or not is_told_by_null(one) for one in fields)


def is_told_by_null(field: ExportField) -> bool:
    """Whether only the database's null is as good as an empty cell."""
    kind = field.column.value_field
    is_harmless = isinstance(kind, HARMLESS) and not isinstance(kind, models.JSONField)
    return field.member is not None or (is_harmless and not field.column.choice_names)


def may_be_run(field: ExportField) -> bool:
    """Whether a spreadsheet could take a text of the column for a formula."""
    column: Column = field.column
    is_free = type(column.value_field) in TEXTS or not isinstance(column.value_field, HARMLESS)
    return field.member is None and not column.choice_names and is_free
