"""How the rows of a request find those of the table: by primary key, by a unique key, by the resource's own choice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.rows import write_csv
from tests.acceptance.service import Service
from tests.acceptance.ways import given

Row = dict[str, Any]

WHEN = [f"2024-01-01T00:00:0{second}Z" for second in range(6)]
GERMANY = {"iso": "DE", "iso3": "DEU", "name": "Germany", "continent": "EU"}

#: Verb, rows, matchBy -> outcome and pk of each row, row errors, and the capitals (and more) in the table then.
COUNTRIES: dict[str, tuple[str, list[Row], list[str] | None, list[Any], list[Any], dict[str, tuple[str, str]]]] = {
    "create": (
        "Create",
        [
            GERMANY,
            GERMANY | {"iso": "LI", "iso3": "XXX"},
            GERMANY | {"iso": "XX", "iso3": "LIE"},
            GERMANY | {"iso": "XY", "iso3": "XXY", "continent": "XX"},
        ],
        None,
        [("CREATED", "DE"), ("FAILED", None), ("FAILED", None), ("FAILED", None)],
        [(1, "iso", "ALREADY_EXISTS"), (2, "iso3", "ALREADY_EXISTS"), (3, "continent", "NOT_A_CHOICE")],
        {"DE": ("Germany", "")},
    ),
    "update by natural primary key": (
        "Update",
        [{"iso": "LI", "capital": "Vaduz"}, {"iso": "CH"}, {"iso": "AT", "iso3": "CHE"}, {"iso": "XX", "name": "?"}],
        None,
        [("UPDATED", "LI"), ("UNCHANGED", "CH"), ("FAILED", None), ("FAILED", None)],
        [(2, "iso3", "ALREADY_EXISTS"), (3, "iso", "NOT_FOUND")],
        {"LI": ("Country LI", "Vaduz")},
    ),
    "update by another unique key": (
        "Update",
        [{"iso3": "LIE", "capital": "Vaduz"}, {"iso3": "XXX", "name": "?"}, {"capital": "Bern"}],
        ["ISO3"],
        [("UPDATED", "LI"), ("FAILED", None), ("FAILED", None)],
        [(1, "iso3", "NOT_FOUND"), (2, "iso3", "REQUIRED")],
        {"LI": ("Country LI", "Vaduz")},
    ),
    "replace": (
        "Replace",
        [
            {"iso": "LI", "iso3": "LIE", "name": "Liechtenstein", "continent": "EU"},
            {"iso": "AT", "iso3": "AUT", "name": "Austria", "continent": "EU", "capital": "Vienna"},
            {"iso": "CH", "name": "Switzerland"},
            GERMANY,
        ],
        None,
        [("UPDATED", "LI"), ("UPDATED", "AT"), ("FAILED", None), ("FAILED", None)],
        [(2, "continent", "REQUIRED"), (2, "iso3", "REQUIRED"), (3, "iso", "NOT_FOUND")],
        {"LI": ("Liechtenstein", ""), "AT": ("Austria", "Vienna")},
    ),
    "upsert": (
        "Upsert",
        [
            {"iso": "FR", "capital": "Paris"},
            GERMANY,
            {"iso": "LI", "capital": "Vaduz"},
            GERMANY | {"iso": "XX", "iso3": "AUT"},
        ],
        None,
        [("FAILED", None), ("CREATED", "DE"), ("UPDATED", "LI"), ("FAILED", None)],
        [
            (0, "continent", "REQUIRED"),
            (0, "iso3", "REQUIRED"),
            (0, "name", "REQUIRED"),
            (3, "iso3", "ALREADY_EXISTS"),
        ],
        {"DE": ("Germany", ""), "LI": ("Country LI", "Vaduz")},
    ),
    "upsert by another unique key": (
        "Upsert",
        [GERMANY | {"iso": "XX"}, {"iso3": "LIE", "capital": "Vaduz"}, GERMANY],
        ["ISO3"],
        [("FAILED", None), ("UPDATED", "LI"), ("CREATED", "DE")],
        [(0, "iso3", "DUPLICATE_IN_REQUEST")],
        {"DE": ("Germany", ""), "LI": ("Country LI", "Vaduz")},
    ),
}


@pytest.fixture
def service(each_service: Service) -> Service:
    return each_service


def told(service: Service, operation: Row) -> tuple[list[Any], list[Any]]:
    """Outcome and pk of each row; index, path and code of each row error, sorted."""
    finished = service.finished(operation["id"])
    assert finished["state"] == "COMPLETED"
    errors = [edge["node"] for edge in finished["rowErrors"]["edges"]]
    return (
        [(row["outcome"], row["pk"]) for row in service.results(operation["id"])],
        sorted(((one["index"], one["path"], one["code"]) for one in errors), key=str),
    )


def transactions(service: Service, *amounts: str) -> list[str]:
    """Transactions of account 1 in the table, one at each moment; gives their ids."""
    rows = [
        {"amount": amount, "description": "", "datetime": when, "financialAccount": 1, "classificationStatus": 1}
        for amount, when in zip(amounts, WHEN, strict=False)
    ]
    rows = [row | {"description": f"at {row['datetime']}"} for row in rows]
    operation = service.create({"mode": "SYNC"}, financialTransactions={"rows": rows})
    return [row["pk"] for row in service.results(operation["id"])]


def table(service: Service) -> dict[str, tuple[float, str]]:
    """Amount and description of each transaction by its id."""
    rows = service.sql("SELECT id, amount, description FROM ledger_financialtransaction")
    return {str(pk): (float(amount), description) for pk, amount, description in rows}


@pytest.mark.parametrize("way", ["inline", "csv"])
@pytest.mark.parametrize("case", COUNTRIES)
def test_countries(service, tmp_path, case, way):
    verb, rows, match_by, outcomes, errors, changed = COUNTRIES[case]
    before = {iso: (f"Country {iso}", "") for iso in ("LI", "AT", "CH")}
    options = {} if match_by is None else {"matchBy": match_by}

    operation = service.bulk(verb, countries={**given(service, verb, rows, way, tmp_path), **options})

    assert told(service, operation) == (outcomes, errors)
    stored = service.sql("SELECT iso, name, capital FROM places_country")
    assert {iso: (name, capital) for iso, name, capital in stored} == before | changed


@pytest.mark.parametrize("way", ["inline", "csv", "ndjson"])
def test_two_rows_of_one_update_touch_only_what_each_gives(service, tmp_path, way):
    a, b = transactions(service, "5", "6")
    rows = [{"id": a, "amount": "1"}, {"id": b, "description": "x"}]

    operation = service.bulk("Update", financialTransactions=given(service, "Update", rows, way, tmp_path))

    assert told(service, operation) == ([("UPDATED", a), ("UPDATED", b)], [])
    assert table(service) == {a: (1, f"at {WHEN[0]}"), b: (6, "x")}


@pytest.mark.parametrize("match_by", [None, ["ID"]])
def test_update_by_id_may_move_a_row_to_a_free_key(service, match_by):
    a, b, c, d = transactions(service, "1", "2", "3", "4")
    rows = [
        {"id": a, "datetime": WHEN[5]},
        {"id": b, "datetime": WHEN[2]},
        {"id": "4711", "amount": "9"},
        {"id": "first", "amount": "9"},
        {"amount": "9"},
        {"id": d, "amount": "8"},
        {"id": d, "amount": "9"},
        {"id": None, "amount": "9"},
    ]
    options = {} if match_by is None else {"matchBy": match_by}

    operation = service.bulk("Update", financialTransactions={"rows": rows, **options})

    nothing = ("FAILED", None)
    assert told(service, operation) == (
        [("UPDATED", a), nothing, nothing, nothing, nothing, nothing, ("UPDATED", d), nothing],
        [
            (1, None, "ALREADY_EXISTS"),
            (2, "id", "NOT_FOUND"),
            (3, "id", "INVALID"),
            (4, "id", "REQUIRED"),
            (5, "id", "DUPLICATE_IN_REQUEST"),
            (7, "id", "NULL_NOT_ALLOWED"),
        ],
    )
    assert {pk: amount for pk, (amount, _) in table(service).items()} == {a: 1, b: 2, c: 3, d: 9}


def test_replace_by_id_needs_all_required_fields(service):
    a, b = transactions(service, "1", "2")
    whole = {
        "amount": "9",
        "description": "x",
        "datetime": WHEN[5],
        "financialAccount": 2,
        "classificationStatusBy": {"name": "Doubtful"},
    }
    rows = [{"id": a, **whole}, {"id": b, "amount": "9", "description": "x", "datetime": WHEN[4]}]

    operation = service.bulk("Replace", financialTransactions={"rows": rows})

    assert told(service, operation) == (
        [("UPDATED", a), ("FAILED", None)],
        [(1, "classificationStatus", "REQUIRED"), (1, "financialAccount", "REQUIRED")],
    )
    assert service.sql(
        "SELECT id, description, financial_account_id, classification_status_id FROM ledger_financialtransaction"
        " ORDER BY id"
    ) == [(int(a), "x", 2, 3), (int(b), f"at {WHEN[1]}", 1, 1)]


def test_id_is_no_field_where_rows_are_found_otherwise(service):
    a, _ = transactions(service, "1", "2")
    rows = [
        {"id": a, "financialAccount": 1, "datetime": WHEN[0], "amount": "9"},
        {"financialAccount": 1, "datetime": WHEN[0], "amount": "8"},
    ]

    operation = service.bulk(
        "Update", financialTransactions={"rows": rows[:1], "matchBy": ["FINANCIAL_ACCOUNT", "DATETIME"]}
    )
    second = service.bulk(
        "Update", financialTransactions={"rows": rows[1:], "matchBy": ["DATETIME", "FINANCIAL_ACCOUNT"]}
    )

    assert told(service, operation) == ([("FAILED", None)], [(0, "id", "UNKNOWN_FIELD")])
    assert told(service, second) == ([("UPDATED", a)], [])
    assert table(service)[a] == (8, f"at {WHEN[0]}")


@pytest.mark.parametrize("verb", ["Create", "Upsert"])
def test_one_key_told_in_two_ways_is_one_key(service, verb):
    row = {"amount": "1", "description": "x", "classificationStatus": 1}
    rows = [
        row | {"financialAccount": 1, "datetime": WHEN[0]},
        row | {"financialAccountBy": {"name": "Account 0"}, "datetime": "2024-01-01T01:00:00+01:00", "amount": "2"},
    ]

    operation = service.bulk(verb, {"chunkSize": 1}, financialTransactions={"rows": rows})

    outcomes, errors = told(service, operation)
    assert [outcome for outcome, _ in outcomes] == ["FAILED", "CREATED"]
    assert errors == [(0, None, "DUPLICATE_IN_REQUEST")]
    assert [amount for amount, _ in table(service).values()] == [2]


@pytest.mark.parametrize("header", ["financial_account.name", "financialAccount.name", "financialAccountBy.name"])
def test_file_may_name_a_foreign_keys_target_in_any_case(service, tmp_path, header):
    (a,) = transactions(service, "1")
    path = write_csv(tmp_path / "t.csv", [{header: "Account 0", "datetime": WHEN[0], "amount": "2"}])

    operation = service.bulk("Update", financialTransactions={"file": {"uploadId": service.client.upload(path)}})

    assert told(service, operation) == ([("UPDATED", a)], [])


ROW = {"amount": "1"}
IDS_AND_KEYS = ("[ID]", "[FINANCIAL_ACCOUNT, DATETIME]")
KEYS = IDS_AND_KEYS[1:]  # an upsert cannot create a row of a given id


@pytest.mark.parametrize(
    ("verb", "given", "allowed"),
    [
        ("Update", {"rows": [ROW], "matchBy": ["AMOUNT"]}, IDS_AND_KEYS),
        ("Replace", {"rows": [ROW], "matchBy": ["DATETIME"]}, IDS_AND_KEYS),
        ("Upsert", {"rows": [ROW], "matchBy": ["FINANCIAL_ACCOUNT", "DATETIME", "AMOUNT"]}, KEYS),
        ("Delete", {"keys": [{"datetime": WHEN[0]}], "matchBy": ["DATETIME"]}, IDS_AND_KEYS),
    ],
)
def test_match_by_that_is_no_unique_key(service, verb, given, allowed):
    code, message = service.refused(verb, financialTransactions=given)

    assert code == "BAD_INPUT"
    assert all(way in message for way in allowed)


def test_unknown_update_field(service):
    code, message = service.refused(
        "Upsert", financialTransactions={"rows": [ROW], "updateFields": ["AMOUNT", "COLOUR"]}
    )

    assert code == "BAD_INPUT"
    assert "COLOUR" in message
    assert "AMOUNT, DESCRIPTION, DATETIME, FINANCIAL_ACCOUNT, CLASSIFICATION_STATUS" in message
