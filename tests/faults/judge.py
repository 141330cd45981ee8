"""What an operation must have done, and what it did: row by row, against the table, the ledger and the watchers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from tests.acceptance.expectation import COUNTED, Expectation, rejected
from tests.acceptance.rows import START, Row
from tests.acceptance.subjects import TRANSACTIONS, Key, Table
from tests.faults.client import Client
from tests.faults.requests import Request
from tests.faults.work import RANGE

#: Field -> what an export calls it.
EXPORTED = {name: name.replace("By.", ".") for name in TRANSACTIONS.fields}


@dataclass
class Verdict:
    """What is wrong with an operation, counted and told; and the table after it."""

    table: Table
    pks: dict[Key, str]
    #: Rows that should be in the table as asked for, and are not; rows that are there though nobody asked.
    lost: int = 0
    doubled: int = 0
    told: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)


def stored(client: Client, first: int) -> tuple[Table, dict[Key, str], int]:
    """The rows of a range, their primary keys, and how many have a key that another has too."""
    columns = ", ".join(column for column, _ in TRANSACTIONS.fields.values())
    table: Table = {}
    pks: dict[Key, str] = {}
    found = client.sql(
        f"SELECT id, {columns} FROM {TRANSACTIONS.table} WHERE datetime >= %s::timestamptz + %s * interval '1 minute'"
        " AND datetime < %s::timestamptz + %s * interval '1 minute'",
        *(START, first, START, first + RANGE),
    )
    for pk, *values in found:
        row = TRANSACTIONS.python(dict(zip(TRANSACTIONS.fields, values, strict=True)))
        key = tuple(row[name] for name in TRANSACTIONS.key)
        table[key], pks[key] = row, str(pk)
    return table, pks, len(found) - len(table)


def expectation(request: Request, table: Table) -> Expectation:
    """What a request must come to, if nobody cancels it."""
    expected = request.work.expected(table, request.rows)
    if request.rejects_all and "FAILED" in expected.outcomes:
        return rejected(expected, table)
    return expected


def judge(
    client: Client, request: Request, operation: dict[str, Any], first: int, table: Table, pks: dict[Key, str]
) -> Verdict:
    """Compare everything; `table` and `pks` are the range's before the operation."""
    results = client.results(operation["id"])
    expected = as_told(expectation(request, table), len(request.rows), results, pks)
    after, pks_after, repeated = stored(client, first)
    verdict = Verdict(after, pks_after, outcomes=[row["outcome"] for row in results])
    is_canceled = operation["state"] == "CANCELED"
    if is_canceled and len(results) == len(request.rows):
        expected = first_of(expected, len(results))  # it was canceled before it was known what is missing
    wanted = wanted_outcomes(expected, verdict.outcomes, is_canceled)
    wanted_table = table if request.dry_run else table_of(expected, table, wanted)
    compare_tables(verdict, wanted_table, after, repeated)
    states = {"FAILED" if request.rejects_all and "FAILED" in expected.outcomes else "COMPLETED"}
    if request.cancels:
        states.add("CANCELED")
    if operation["state"] not in states:
        verdict.told.append(f"state {operation['state']} ({operation['message']}), not {'/'.join(sorted(states))}")
    compare_results(verdict, request, expected, wanted, results, {**pks_after, **pks})
    compare_ledger(verdict, expected, wanted, operation)
    return verdict


def judge_revert(
    client: Client, written: Counter[str], operation: dict[str, Any], first: int, table: Table, pks: dict[Key, str]
) -> Verdict:
    """Compare what an undone operation has left with what was there before it, `table` and `pks`.

    `written` counts the outcomes of that operation.
    """
    after, pks_after, repeated = stored(client, first)
    results = client.results(operation["id"])
    verdict = Verdict(after, pks_after, outcomes=[row["outcome"] for row in results])
    compare_tables(verdict, table, after, repeated)
    if {key: pks_after.get(key) for key in pks} != pks:
        verdict.told.append("rows have come back under other primary keys")
    undone = {"created": written["DELETED"], "updated": written["UPDATED"], "deleted": written["CREATED"]}
    due = {"total": sum(undone.values()), **undone, "failed": 0, "skipped": 0}
    got = {name: operation[name] for name in due}
    if operation["state"] != "COMPLETED" or got != due:
        verdict.told.append(f"{operation['state']} ({operation['message']}), totals {got}, not {due}")
    indexes = {row["index"] for row in results}
    verdict.doubled += len(results) - len(indexes)
    if len(indexes) != due["total"]:
        verdict.told.append(f"{len(indexes)} results for {due['total']} rows")
    return verdict


def judge_export(client: Client, operation: dict[str, Any], first: int, table: Table, pks: dict[Key, str]) -> Verdict:
    """Compare an export's file with the table, which it leaves as it is."""
    after, pks_after, repeated = stored(client, first)
    verdict = Verdict(after, pks_after)
    compare_tables(verdict, table, after, repeated)
    if operation["state"] != "COMPLETED":
        verdict.told.append(f"state {operation['state']} ({operation['message']})")
        return verdict
    told = [TRANSACTIONS.python(exported(line)) for line in client.file(operation["id"]).splitlines()]
    found = {tuple(row[name] for name in TRANSACTIONS.key): row for row in told}
    if found != table or len(told) != len(table):
        verdict.told.append(f"the file has {len(told)} rows, the table {len(table)}, or they differ")
    return verdict


def exported(line: bytes) -> Row:
    """A row as the file has it, under the names that rows are sent with."""
    row = json.loads(line)
    return {name: row[called] for name, called in EXPORTED.items()}


def as_told(expected: Expectation, sent: int, results: list[dict[str, Any]], pks: dict[Key, str]) -> Expectation:
    """Behind the rows that were sent come those that were missing, in the order in which they are told."""
    keys = {pk: key for key, pk in pks.items()}
    left = dict.fromkeys(expected.keys[sent:])
    told = [keys.get(str(row["pk"])) for row in results[sent:]]
    for key in told:
        left.pop(key, None)
    others = iter(left)
    in_order = [key if key is not None else next(others, None) for key in told]
    if len(in_order) != len(expected.keys) - sent or set(in_order) != set(expected.keys[sent:]):
        return expected
    return replace(expected, keys=[*expected.keys[:sent], *in_order])


def first_of(expected: Expectation, count: int) -> Expectation:
    """Only what becomes of so many rows; the table is asked for row by row."""
    return replace(expected, outcomes=expected.outcomes[:count], keys=expected.keys[:count])


def wanted_outcomes(expected: Expectation, outcomes: list[str], is_canceled: bool) -> list[str]:
    """Under a cancel each row is as expected or SKIPPED: which, the ledger says, and the table must agree."""
    if not is_canceled or len(outcomes) != len(expected.outcomes):
        return expected.outcomes
    return ["SKIPPED" if is_one == "SKIPPED" else due for is_one, due in zip(outcomes, expected.outcomes, strict=True)]


def table_of(expected: Expectation, before: Table, wanted: list[str]) -> Table:
    """The table with the rows that are not skipped."""
    table = dict(before)
    for outcome, key in zip(wanted, expected.keys, strict=True):
        if key is None or outcome in ("SKIPPED", "FAILED"):
            continue
        if key in expected.table:
            table[key] = expected.table[key]
        else:
            table.pop(key, None)
    return table


def compare_tables(verdict: Verdict, wanted: Table, after: Table, repeated: int) -> None:
    missing = [key for key, row in wanted.items() if after.get(key) != row]
    surplus = [key for key in after if key not in wanted]
    verdict.lost, verdict.doubled = len(missing), len(surplus) + repeated
    if missing:
        verdict.told.append(f"{len(missing)} rows are not as they should be, such as {missing[0]}")
    if surplus or repeated:
        verdict.told.append(f"{len(surplus)} rows should not be there, {repeated} keys are there twice")


def compare_results(
    verdict: Verdict,
    request: Request,
    expected: Expectation,
    wanted: list[str],
    results: list[dict[str, Any]],
    pks: dict[Key, str],
) -> None:
    """Every row's index, outcome and primary key."""
    due = []
    for index, (outcome, key) in enumerate(zip(wanted, expected.keys, strict=True)):
        has_pk = key is not None and outcome not in ("SKIPPED", "FAILED")
        is_unborn = request.dry_run and outcome == "CREATED"
        due.append((index, outcome, pks.get(key) if has_pk and not is_unborn and key is not None else None))
    got = [(row["index"], row["outcome"], row["pk"]) for row in results]
    verdict.doubled += len(got) - len({index for index, _, _ in got})
    if got != due:
        wrong = sorted(set(got) ^ set(due))[:6]
        verdict.told.append(f"{len(got)} results for {len(due)} rows; wrong are such as {wrong}")


def compare_ledger(verdict: Verdict, expected: Expectation, wanted: list[str], operation: dict[str, Any]) -> None:
    """The totals, and the row errors."""
    sums = Counter(wanted)
    counts = {name: sums[outcome] for outcome, name in COUNTED.items()}
    due = {"total": len(wanted), "processed": len(wanted), **counts}
    got = {name: operation[name] for name in due}
    if got != due:
        verdict.told.append(f"totals {got}, not {due}")
    errors = {
        (error["index"], error["path"], error["code"])
        for error in (edge["node"] for edge in operation["rowErrors"]["edges"])
    }
    wanted_errors = {error for error in expected.errors if wanted[error[0]] == "FAILED"}
    if errors != wanted_errors:
        verdict.told.append(f"row errors differ: {sorted(errors ^ wanted_errors, key=str)[:6]}")


def rows_to_retry(request: Request, outcomes: list[str]) -> list[Row]:
    """The rows that a retry takes up: failed and skipped ones, but those of which a later one has the key."""
    keys = [TRANSACTIONS.key_of(row) for row in request.rows]
    last = {key: index for index, key in enumerate(keys)}
    return [
        row
        for index, (row, outcome, key) in enumerate(zip(request.rows, outcomes, keys, strict=True))
        if outcome in ("FAILED", "SKIPPED") and (key is None or last[key] == index)
    ]
