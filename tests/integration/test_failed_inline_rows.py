"""Failed rows of requests come back in GraphQL's names, and are read as a file."""

from __future__ import annotations

import pytest

from tests.integration.downloads import (
    CSV,
    NDJSON,
    animals,
    failed_objects,
    fetched,
    imported,
    objects,
    read,
    sent,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_inline_rows_come_back_in_graphqls_names(create):
    rows = [
        {"char": "good"},
        {"char": "a", "integer": 4, "decimal": "1.50", "json": {"a": [1]}, "plate": None, "text": "=1"},
        {"char": 5, "colour": "red"},
        "no object",
    ]

    done = create("animals", rows)

    too_short = "Ensure this value has at least 2 characters (it has 1)."
    assert failed_objects(done.operation) == [
        {
            **rows[1],
            "bulkql_row": 1,
            "bulkql_errors": [{"path": "char", "code": "INVALID", "message": too_short}],
        },
        {
            **rows[2],
            "bulkql_row": 2,
            "bulkql_errors": [
                {"path": "char", "code": "INVALID", "message": "A string is expected here, not a number."},
                {"path": "colour", "code": "UNKNOWN_FIELD", "message": done.errors[2]["message"]},
            ],
        },
        {
            "bulkql_row": 3,
            "bulkql_errors": [{"path": None, "code": "INVALID", "message": "A row is an object of fields and values."}],
            "bulkql_line": '"no object"',
        },
    ]
    assert fetched(done.operation, "animals-failed.csv").decode().splitlines()[:2] == [
        "char,decimal,integer,json,plate,text,',bulkql_row,bulkql_code,bulkql_path,bulkql_message,bulkql_empty,"
        "bulkql_line",
        f'a,1.50,4,"{{""a"": [1]}}",,\'=1,,1,INVALID,char,{too_short},"{{""plate"": null}}",',
    ]


def test_failed_inline_rows_are_read_as_a_file(create):
    rows, bad = animals()
    first = create("animals", rows)

    again = read(fetched(first.operation, "animals-failed.ndjson"), NDJSON)

    assert again.equals(sent(first.operation, bad).select(again.columns))


NAMED = [
    {"char": "ab", "keeperBy": {"code": "nobody"}},
    {"char": "a", "keeperBy": None, "text": "x"},
    {"char": "cd", "keeperBy": 5},
    {"char": "ef", "keeperBy": {"colour": "red"}},
]


def test_inline_rows_that_name_others_by_a_key_come_back_nested_and_are_read_as_a_file(create):
    done = create("animals", NAMED)

    failed = fetched(done.operation, "animals-failed.ndjson")

    given = [{name: row[name] for name in row if not name.startswith("bulkql_")} for row in objects(failed)]
    # An explicit null is the same by either name.
    assert given == [NAMED[0], {"char": "a", "keeper": None, "text": "x"}, *NAMED[2:]]
    assert read(failed, NDJSON).equals(sent(done.operation, [0, 1, 2, 3]))


def test_files_that_name_others_by_a_key_come_back_as_they_were(user):
    csv, ndjson = b"char,keeper.code\nab,nobody\n", b'{"char":"ab","keeper_by":{"code":"nobody"}}\n'

    of_csv, of_ndjson = imported(user, csv, CSV), imported(user, ndjson, NDJSON)

    assert fetched(of_csv, "animals-failed.csv").splitlines()[:1] == [
        b"char,keeper.code,bulkql_row,bulkql_code,bulkql_path,bulkql_message"
    ]
    assert failed_objects(of_csv)[0]["keeper.code"] == "nobody"
    assert failed_objects(of_ndjson)[0]["keeperBy"] == {"code": "nobody"}
