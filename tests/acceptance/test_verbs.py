"""Each verb, by each way in, on each database, with good rows and bad: the whole outcome and the whole table."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.expectation import Expectation, expect, rejected
from tests.acceptance.rows import Row
from tests.acceptance.service import Service
from tests.acceptance.subjects import CITIES, STATUSES, TRANSACTIONS, Key, Subject, Table, damaged
from tests.acceptance.ways import WAYS, given, inline

VERBS = ("Create", "Update", "Replace", "Upsert", "Delete")
CASES = [
    *((verb, subject) for verb in VERBS[:-1] for subject in (TRANSACTIONS, CITIES)),
    ("Delete", TRANSACTIONS),
    ("Delete", STATUSES),
]
#: Every case by each way on PostgreSQL; on SQLite, where ways in are the same code, by one way after the other.
PLACES = [
    *(("started", verb, subject, way) for verb, subject in CASES for way in WAYS),
    *(("started_on_sqlite", *case, WAYS[place % len(WAYS)]) for place, case in enumerate(CASES)),
]

#: Rows of a request; the table has a few more, which nobody must touch. Bad requests damage about one in fifty.
ROWS = 600
CHUNK_SIZE = 170
UNTOUCHED = 20


@pytest.fixture
def service(each_service: Service) -> Service:
    return each_service


def table_rows(verb: str, subject: Subject, count: int) -> list[Row]:
    """What is in the table before a request of so many rows. Of an upsert's rows, each second is."""
    numbers = range(0, count, 2) if verb == "Upsert" else range(0 if verb == "Create" else count)
    return [subject.row(number) for number in [*numbers, *range(count, count + UNTOUCHED)]]


def good_rows(verb: str, subject: Subject, count: int) -> list[Row]:
    """Rows of a request, in another order than the table's; neighbours give different fields."""
    return [good_row(verb, subject, number) for number in reversed(range(count))]


def good_row(verb: str, subject: Subject, number: int) -> Row:
    row = subject.row(number)
    changed = {**subject.row(number + 7), **subject.only_key(row)}
    others = [name for name in row if name not in subject.key]
    if verb == "Delete":
        return subject.only_key(row)
    if verb == "Create" or (verb == "Upsert" and number % 2):
        return row if number % 3 else without(row, subject.defaults)
    if verb == "Replace":
        return (row, changed, without(changed, subject.defaults))[number % 3]
    # Some fields of a row that is there: one, two, ..., all; or none; or those that it has already.
    given = others[: number // 2 % (len(others) + 1)]
    return {**subject.only_key(row), **{name: (row if number % 5 == 0 else changed)[name] for name in given}}


def bad_rows(verb: str, subject: Subject, count: int, way: str = "inline") -> list[Row]:
    """The good rows, some of them damaged. Whether a damaged row is bad is for the verb to say."""
    rows = good_rows(verb, subject, count)
    step = count // (len(subject.damages) + 1)
    for place, damage in zip(range(step, count, step), subject.damages, strict=False):
        # A whole row: whether an upsert's owes all fields, its key tells, which may be the damage.
        if verb in ("Update", "Upsert"):
            rows[place] = subject.row(place) | subject.only_key(rows[place])
        rows[place] = damaged(rows[place], damage)
        if verb == "Delete":
            rows[place] = without(rows[place], subject.fields.keys() - set(subject.key))
        if way == "csv":  # where an unknown column is the whole file's mistake
            rows[place] = without(rows[place], rows[place].keys() - subject.fields.keys())
    # Three rows of one key, far from each other; a row whose key a bad one has again; one that is in the table.
    rows[1] |= subject.only_key(rows[-1])
    rows[count // 2 + 1] |= subject.only_key(rows[-1])
    rows[2] |= subject.only_key(rows[step])
    rows[3] |= subject.only_key(subject.row(count + 1))
    return rows


def without(row: Row, names: Any) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def assert_as_expected(
    service: Service, subject: Subject, operation_id: str, expected: Expectation, pks_before: dict[Key, str]
) -> None:
    """Every outcome and pk, every row error, all counts, the whole table."""
    operation = service.operation(operation_id)
    table, pks = subject.stored(service)
    assert {name: operation[name] for name in expected.counts} == expected.counts
    assert operation["resources"] == [{"resource": subject.resource, **expected.counts}]
    assert errors_of(operation) == sorted(expected.errors, key=str_path)
    pks_of_rows = {**pks, **pks_before}
    assert [(row["index"], row["outcome"], row["pk"]) for row in service.results(operation_id)] == [
        (index, outcome, pks_of_rows.get(key) if key is not None else None)
        for index, (outcome, key) in enumerate(zip(expected.outcomes, expected.keys, strict=True))
    ]
    assert table == expected.table
    assert {key: pks[key] for key in pks_before.keys() & pks.keys()} == {
        key: pk for key, pk in pks_before.items() if key in expected.table
    }


def errors_of(operation: dict[str, Any]) -> list[tuple[int, str | None, str]]:
    """Index, path and code; those of one row sorted, rows as they come."""
    errors = [edge["node"] for edge in operation["rowErrors"]["edges"]]
    found = [(error["index"], error["path"], error["code"]) for error in errors]
    assert [index for index, _, _ in found] == sorted(index for index, _, _ in found)
    assert all(error["message"] for error in errors)
    return sorted(found, key=str_path)


def str_path(error: tuple[int, str | None, str]) -> tuple[int, str, str]:
    index, path, code = error
    return index, path or "", code


def prepared(service: Service, verb: str, subject: Subject, count: int) -> tuple[Table, dict[Key, str]]:
    """The table as it is before the request."""
    fill(service, subject, table_rows(verb, subject, count))
    if subject is STATUSES:  # of which these protect Open and Doubtful
        fill(service, TRANSACTIONS, [TRANSACTIONS.row(0), TRANSACTIONS.row(2)])
    return subject.stored(service)


def fill(service: Service, subject: Subject, rows: list[Row]) -> None:
    """Put rows into the table, all of them."""
    operation = service.create({"mode": "SYNC"}, **{subject.resource: {"rows": [inline(row) for row in rows]}})
    assert operation["created"] == len(rows), operation


@pytest.mark.parametrize("is_bad", [False, True], ids=["clean", "bad"])
@pytest.mark.parametrize(
    ("each_service", "verb", "subject", "way"),
    PLACES,
    indirect=["each_service"],
    ids=[f"{place}-{verb}-{subject.resource}-{way}" for place, verb, subject, way in PLACES],
)
def test_outcome_and_table(service, tmp_path, verb, subject, way, is_bad):
    table, pks = prepared(service, verb, subject, ROWS)
    rows = bad_rows(verb, subject, ROWS, way) if is_bad else good_rows(verb, subject, ROWS)
    expected = expect(verb, subject, table, rows)

    operation = service.bulk(
        verb, {"chunkSize": CHUNK_SIZE}, **{subject.resource: given(service, verb, rows, way, tmp_path)}
    )

    finished = service.finished(operation["id"])
    assert (finished["state"], finished["message"], finished["cascades"]) == ("COMPLETED", None, [])
    assert_as_expected(service, subject, operation["id"], expected, pks)
    assert ("FAILED" in expected.outcomes) == is_bad


@pytest.mark.parametrize("mode", ["SYNC", "ASYNC"])
@pytest.mark.parametrize("verb", VERBS)
def test_modes(service, tmp_path, verb, mode):
    table, pks = prepared(service, verb, TRANSACTIONS, 60)
    rows = bad_rows(verb, TRANSACTIONS, 60)

    operation = service.bulk(verb, {"mode": mode}, financialTransactions=given(service, verb, rows, "inline", tmp_path))

    assert operation["state"] in (("COMPLETED",) if mode == "SYNC" else ("QUEUED", "RUNNING", "COMPLETED"))
    assert service.finished(operation["id"])["state"] == "COMPLETED"
    assert_as_expected(service, TRANSACTIONS, operation["id"], expect(verb, TRANSACTIONS, table, rows), pks)


@pytest.mark.parametrize(("verb", "subject"), CASES[1::2], ids=VERBS)
def test_reject_all(service, tmp_path, verb, subject):
    table, pks = prepared(service, verb, subject, 110)
    options = {"onError": "REJECT_ALL", "chunkSize": 50}
    bad, good = bad_rows(verb, subject, 110, "csv"), good_rows(verb, subject, 110)
    expected = rejected(expect(verb, subject, table, bad), table)

    refused = service.bulk(verb, options, **{subject.resource: given(service, verb, bad, "csv", tmp_path)})

    finished = service.finished(refused["id"])
    assert (finished["state"], finished["onError"]) == ("FAILED", "REJECT_ALL")
    assert finished["message"].startswith(f"{expected.counts['failed']} of 110 rows are bad; nothing was written")
    assert_as_expected(service, subject, refused["id"], expected, pks)

    taken = service.bulk(verb, options, **{subject.resource: given(service, verb, good, "csv", tmp_path)})

    assert service.finished(taken["id"])["state"] == "COMPLETED"
    assert_as_expected(service, subject, taken["id"], expect(verb, subject, table, good), pks)


@pytest.mark.parametrize("verb", VERBS)
def test_dry_run_foretells_the_real_one(service, tmp_path, verb):
    table, pks = prepared(service, verb, TRANSACTIONS, 110)
    rows = bad_rows(verb, TRANSACTIONS, 110, "csv")
    expected = expect(verb, TRANSACTIONS, table, rows)
    request = {"financialTransactions": given(service, verb, rows, "csv", tmp_path)}

    dry = service.bulk(verb, {"dryRun": True, "chunkSize": 50}, **request)

    foretold = service.finished(dry["id"])
    results = service.results(dry["id"])
    assert (foretold["state"], foretold["dryRun"]) == ("COMPLETED", True)
    assert TRANSACTIONS.stored(service) == (table, pks)
    assert [(row["outcome"], row["pk"]) for row in results] == [
        (outcome, pks.get(key) if key is not None else None)
        for outcome, key in zip(expected.outcomes, expected.keys, strict=True)
    ]
    assert changes_of(results) == expected.changes

    real = service.finished(service.bulk(verb, {"chunkSize": 50}, **request)["id"])

    same = (*expected.counts, "state", "message", "cascades", "resources", "rowErrors")
    assert {name: real[name] for name in same} == {name: foretold[name] for name in same}
    assert all(row["changes"] is None for row in service.results(real["id"]))
    assert_as_expected(service, TRANSACTIONS, real["id"], expected, pks)


@pytest.mark.parametrize("way", WAYS)
def test_upsert_changes_only_its_update_fields(service, tmp_path, way):
    table, pks = prepared(service, "Upsert", TRANSACTIONS, 110)
    rows = bad_rows("Upsert", TRANSACTIONS, 110, way)
    inputs = given(service, "Upsert", rows, way, tmp_path)

    operation = service.bulk(
        "Upsert",
        {"chunkSize": 50},
        financialTransactions={**inputs, "updateFields": ["AMOUNT", "CLASSIFICATION_STATUS"]},
    )

    service.finished(operation["id"])
    expected = expect("Upsert", TRANSACTIONS, table, rows, update_fields=("amount", "classificationStatus"))
    assert_as_expected(service, TRANSACTIONS, operation["id"], expected, pks)


def changes_of(results: list[dict[str, Any]]) -> dict[int, dict[str, tuple[Any, Any]]]:
    """The changes of rows that would be updated, in Python's values."""
    python = {name: kind for name, (_, kind) in TRANSACTIONS.fields.items()}
    return {
        row["index"]: {
            one["field"]: (python[one["field"]](one["before"]), python[one["field"]](one["after"]))
            for one in row["changes"]
        }
        for row in results
        if row["outcome"] == "UPDATED"
    }
