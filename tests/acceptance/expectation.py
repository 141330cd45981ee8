"""A table and the rows of a request -> what must become of them: the verbs' semantics, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.rows import Row
from tests.acceptance.subjects import Key, Subject, Table

#: A row error: index, path, code.
Error = tuple[int, str | None, str]

COUNTED = {
    "CREATED": "created",
    "UPDATED": "updated",
    "UNCHANGED": "unchanged",
    "DELETED": "deleted",
    "FAILED": "failed",
    "SKIPPED": "skipped",
}


@dataclass(frozen=True)
class Expectation:
    """What an operation tells, and what it leaves behind."""

    table: Table
    outcomes: list[str] = field(default_factory=list)
    #: Of each row; whoever fails has none.
    keys: list[Key | None] = field(default_factory=list)
    errors: list[Error] = field(default_factory=list)
    #: Index -> field -> its value before and after, for rows that are UPDATED.
    changes: dict[int, dict[str, tuple[Any, Any]]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        counts = {name: self.outcomes.count(outcome) for outcome, name in COUNTED.items()}
        return {"total": len(self.outcomes), "processed": len(self.outcomes), **counts}


def expect(
    verb: str, subject: Subject, table: Table, rows: list[Row], update_fields: tuple[str, ...] | None = None
) -> Expectation:
    """What a verb makes of a table, row by row."""
    expected = Expectation(dict(table))
    last = {subject.key_of(row): index for index, row in enumerate(rows)}
    for index, row in enumerate(rows):
        key = subject.key_of(row)
        record = table.get(key) if key is not None else None
        found = mistakes(verb, subject, row, key, record)
        if key is not None and last[key] > index:
            found = [(path_of_key(subject), "DUPLICATE_IN_REQUEST")]
        expected.errors.extend((index, *one) for one in found)
        expected.keys.append(None if found else key)
        if found:
            expected.outcomes.append("FAILED")
            continue
        assert key is not None
        values = subject.python(row)
        if verb == "Upsert" and record is not None and update_fields is not None:
            values = {name: value for name, value in values.items() if name in update_fields}
        outcome, new = becomes(verb, subject.defaults, record, values)
        expected.outcomes.append(outcome)
        if new is None:
            del expected.table[key]
        else:
            expected.table[key] = new
        if record is not None and new is not None and new != record:
            expected.changes[index] = {name: (record[name], new[name]) for name in new if new[name] != record[name]}
    return expected


def becomes(verb: str, defaults: Row, record: Row | None, values: Row) -> tuple[str, Row | None]:
    """A good row's outcome, and what is in the table then."""
    if verb == "Delete":
        return "DELETED", None
    if record is None:
        return "CREATED", {**defaults, **values}
    new = {**record, **(defaults if verb == "Replace" else {}), **values}
    return "UNCHANGED" if new == record else "UPDATED", new


def mistakes(
    verb: str, subject: Subject, row: Row, key: Key | None, record: Row | None
) -> list[tuple[str | None, str]]:
    """Path and code of what is wrong with a row; whether it is in the table matters only to a row that is sound."""
    found = [subject.wrong[item] for item in row.items() if item in subject.wrong]
    found += [(name, "NULL_NOT_ALLOWED") for name, value in row.items() if value is None]
    found += [(name, "UNKNOWN_FIELD") for name in row if name not in subject.fields]
    found += [(name, "REQUIRED") for name in owed(verb, subject, key, record) if name not in row]
    if found:
        return found
    if record is None and verb in ("Update", "Replace", "Delete"):
        return [(path_of_key(subject), "NOT_FOUND")]
    if record is not None and verb == "Create":
        return [(path_of_key(subject), "ALREADY_EXISTS")]
    return []


def owed(verb: str, subject: Subject, key: Key | None, record: Row | None) -> list[str]:
    """The fields that a row must give: all without a default for a new or replaced row, else the key."""
    is_whole = verb in ("Create", "Replace") or (verb == "Upsert" and key is not None and record is None)
    return [name for name in subject.fields if name in subject.key or (is_whole and name not in subject.defaults)]


def path_of_key(subject: Subject) -> str | None:
    """The field that is to blame where a key is, if it is one field."""
    return subject.key[0] if len(subject.key) == 1 else None


def rejected(expected: Expectation, table: Table) -> Expectation:
    """The same under REJECT_ALL, if there is a bad row: nothing is written."""
    outcomes = ["FAILED" if outcome == "FAILED" else "SKIPPED" for outcome in expected.outcomes]
    return Expectation(table, outcomes, [None] * len(outcomes), expected.errors)
