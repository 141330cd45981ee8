"""Failed rows come back in the shape in which they were sent, and results of all rows in three formats."""

from __future__ import annotations

import io
import json

import polars as pl
import pytest

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.downloads.files import downloads
from bulkql.workers.enums import Verb
from bulkql.workers.intake import accept
from bulkql.workers.intake.requests import InputRequest
from bulkql.workers.ledger import endings
from bulkql.workers.operations.running import run
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, UnknownColumns
from bulkql.workers.resources.registry import resource_named
from tests.integration.downloads import (
    CSV,
    TEXTS,
    animals,
    csv_of,
    failed_objects,
    fetched,
    file,
    imported,
    objects,
    read,
    request,
    sent,
    written_by,
)
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)


def test_csv_has_the_senders_header_delimiter_and_encoding(user):
    options = FileOptions(
        format=FileFormat.CSV,
        columns={"Größe": "integer", "=Name": "char"},
        unknown_columns=UnknownColumns.IGNORE,
        delimiter=";",
        encoding="cp1252",
    )
    content = 'colour;Größe;=Name;text\nred;4;good;x\n=blue;5;büd;"a;b"\nred;x;u;""\n'.encode("cp1252")

    operation = imported(user, content, options)

    assert fetched(operation, "animals-failed.csv").decode("cp1252") == (
        "colour;Größe;'=Name;text;';bulkql_row;bulkql_code;bulkql_path;bulkql_message\n"
        '\'=blue;5;büd;"a;b";;1;INVALID;integer;5 is not even.\n'
        'red;x;u;"";;2;"INVALID; INVALID";"char; integer";'
        '"Ensure this value has at least 2 characters (it has 1).; “x” value must be an integer."\n'
    )


@pytest.mark.parametrize(
    "options",
    [
        CSV,
        FileOptions(format=FileFormat.CSV, delimiter="\t", encoding="utf-16"),
        FileOptions(format=FileFormat.CSV, null_values=("NA", ""), encoding="utf-8-sig"),
        FileOptions(format=FileFormat.CSV, null_values=("-",), empty_cells=EmptyCells.NULL),
        FileOptions(format=FileFormat.CSV, empty_cells=EmptyCells.NULL),
    ],
)
def test_failed_rows_of_csv_are_read_as_the_rows_that_were_sent(user, options):
    rows, bad = animals()
    operation = imported(user, csv_of(rows, options), options, chunk_size=400)
    failed = [row["bulkql_row"] for row in objects(fetched(operation, "animals-failed.ndjson"))]

    again = read(fetched(operation, "animals-failed.csv"), options)

    assert set(bad) <= set(failed)
    assert again.equals(sent(operation, failed))


def test_failed_rows_of_ndjson_are_read_as_the_rows_that_were_sent(user):
    options = FileOptions(format=FileFormat.NDJSON, columns={"Größe": "integer"}, null_values=("NA",))
    rows, bad = animals()
    rows = [{"Größe" if name == "integer" else name: value for name, value in row.items()} for row in rows]
    rows[150] |= {"colour": {"a": [1.50, None]}, "Größe": 1.50, "json": {"a": None}, "plate": None}
    content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()

    operation = imported(user, content, options, chunk_size=400)

    failed = fetched(operation, "animals-failed.ndjson")
    assert [row["bulkql_row"] for row in objects(failed)] == bad
    again = read(failed, options)
    assert again.equals(sent(operation, bad).select(again.columns))
    (colourful,) = [row for row in objects(failed) if row["bulkql_row"] == 150]
    errors = colourful.pop("bulkql_errors")
    assert [(error["path"], error["code"]) for error in errors] == [("colour", "UNKNOWN_FIELD"), ("integer", "INVALID")]
    assert colourful == {
        "char": "a150",
        "colour": {"a": [1.50, None]},
        "Größe": 1.50,
        "json": {"a": None},
        "plate": None,
        "text": "'=1+1",
        "bulkql_row": 150,
    }


def test_failed_rows_sent_again_are_written_once_each_when_mended(user):
    rows, bad = animals()
    first = imported(user, csv_of(rows))

    mended = fetched(first, "animals-failed.csv").decode()
    for damage, remedy in ((",x,", ",2,"), (",3,", ",2,"), ("\na,", "\nmended,"), ("'=1,", "1,"), ("'-nobody", "")):
        mended = mended.replace(damage, remedy)
    second = imported(user, mended.replace("unicorn", "horse").replace("'''@", "AB-1").encode())

    # The null character, which no database text can have, is still there.
    assert [(row["bulkql_row"], row["bulkql_errors"][0]["path"]) for row in failed_objects(second)] == [(12, "text")]
    assert Animal.objects.count() == len(rows) - 1
    stored = Animal.objects.filter(pk__in=written_by(second)).order_by("pk").values_list("text", flat=True)
    assert list(stored) == [TEXTS[index % len(TEXTS)] for index in range(len(bad)) if index != 12]


def test_a_null_is_the_first_text_that_stands_for_it(user):
    some = FileOptions(format=FileFormat.CSV, null_values=("-", "NA"))
    empty = FileOptions(format=FileFormat.CSV, empty_cells=EmptyCells.NULL)

    with_texts = imported(user, b"char,plate,text\na,NA,-\n", some)
    with_empty_cells = imported(user, b'char,plate,text\na,,""\n', empty)

    assert fetched(with_texts, "animals-failed.csv").splitlines()[1].startswith(b"a,'-,'-,,0,")
    assert fetched(with_empty_cells, "animals-failed.csv").splitlines()[1].startswith(b'a,,"",0,')


def test_a_record_with_too_many_cells_has_them_still_and_fails_again(user):
    first = imported(user, b'char,text\nab,x\ncd,y,"=z,z"\nef,\ng,\n')

    failed = fetched(first, "animals-failed.csv")
    second = imported(user, failed)

    assert failed.decode() == (
        "char,text,bulkql_row,bulkql_code,bulkql_path,bulkql_message,bulkql_line\n"
        'cd,y,1,MALFORMED,,"Line 3: the record has 3 cells, and the header 2; quote cells that contain the delimiter.",'
        '"cd,y,""=z,z""","\'=z,z"\n'
        "g,,3,INVALID,char,Ensure this value has at least 2 characters (it has 1).,\n"
    )
    assert [(row["bulkql_row"], row["bulkql_errors"][0]["path"]) for row in failed_objects(second)] == [
        (0, None),
        (1, "char"),
    ]


def test_failed_rows_of_parquet_have_the_names_of_the_options_or_the_fields(user):
    buffer = io.BytesIO()
    pl.DataFrame({"Größe": [4, 5], "char": ["ab", "cd"]}).write_parquet(buffer)
    options = FileOptions(format=FileFormat.PARQUET, columns={"Größe": "integer"})

    operation = imported(user, buffer.getvalue(), options)

    assert fetched(operation, "animals-failed.csv").decode().splitlines() == [
        "Größe,char,bulkql_row,bulkql_code,bulkql_path,bulkql_message",
        "5,cd,1,INVALID,integer,5 is not even.",
    ]
    (row,) = failed_objects(operation)
    assert (row["Größe"], row["char"], row["bulkql_row"]) == (5, "cd", 1)


def test_rows_that_a_later_one_superseded_are_among_the_failed(user):
    token = b"00000000-0000-0000-0000-000000000001"

    operation = imported(user, b"char,token\nab,%b\ncd,%b\n" % (token, token))

    assert [(row["char"], row["bulkql_errors"][0]["code"]) for row in failed_objects(operation)] == [
        ("ab", "DUPLICATE_IN_REQUEST")
    ]


def test_each_resource_has_its_own_failed_rows(user):
    accounts = file(user, b"name\nCash\nCash\n" + b"x" * 101 + b"\n", CSV, "financialAccounts")
    statuses = InputRequest(resource=resource_named("classificationStatuses"), rows=[{"name": "Open"}])
    keepers = InputRequest(resource=resource_named("keepers"), rows=[{"code": "a b"}])

    operation = run(request(user, accounts, statuses, keepers))

    assert sorted((one.name, one.format, one.rows) for one in downloads(operation.pk)) == [
        ("financialAccounts-failed.csv", FileFormat.CSV, 2),
        ("financialAccounts-failed.ndjson", FileFormat.NDJSON, 2),
        ("financialAccounts-failed.xlsx", FileFormat.XLSX, 2),
        ("keepers-failed.csv", FileFormat.CSV, 1),
        ("keepers-failed.ndjson", FileFormat.NDJSON, 1),
        ("keepers-failed.xlsx", FileFormat.XLSX, 1),
        ("results.csv", FileFormat.CSV, 5),
        ("results.ndjson", FileFormat.NDJSON, 5),
        ("results.parquet", FileFormat.PARQUET, 5),
    ]


def test_results_are_the_same_in_every_format(user):
    rows, bad = animals()
    operation = imported(user, csv_of(rows), chunk_size=100)

    csv = pl.read_csv(fetched(operation, "results.csv"), schema_overrides={"pk": pl.String})
    ndjson = pl.DataFrame(objects(fetched(operation, "results.ndjson")), infer_schema_length=None)
    parquet = pl.read_parquet(fetched(operation, "results.parquet"))

    pks = Animal.objects.in_bulk(field_name="pk").values()
    pk_of = {animal.char: str(animal.pk) for animal in pks}
    assert parquet.to_dict(as_series=False) == {
        "index": list(range(len(rows))),
        "resource": ["animals"] * len(rows),
        "outcome": ["FAILED" if index in bad else "CREATED" for index in range(len(rows))],
        "pk": [None if index in bad else pk_of[f"a{index}"] for index in range(len(rows))],
    }
    assert csv.equals(parquet)
    assert ndjson.equals(parquet)


def test_rows_whose_turn_did_not_come_are_among_those_to_send_again(user):
    operation, _ = accept.accept(request(user, InputRequest(resource=resource_named("keepers"), rows=[{"code": "a"}])))
    assert downloads(operation.pk) == []

    endings.fail(operation.pk, "Enough.")

    assert fetched(operation, "keepers-failed.csv").decode() == (
        "code,bulkql_row,bulkql_code,bulkql_path,bulkql_message\na,0,SKIPPED,,Not written: Enough.\n"
    )
    assert fetched(operation, "results.csv").decode() == "index,resource,outcome,pk\n0,keepers,SKIPPED,\n"


def test_rows_to_update_and_to_delete_come_back_by_their_key(bulk):
    account = FinancialAccount.objects.create(name="Cash")

    updated = bulk(Verb.UPDATE, "financialAccounts", [{"id": 4711, "name": "x"}, {"id": account.pk, "name": None}])
    deleted = bulk(Verb.DELETE, "financialAccounts", [{"id": "4711"}, {"id": str(account.pk)}])

    failed = objects(fetched(updated.operation, "financialAccounts-failed.ndjson"))
    assert [(row["id"], row["name"]) for row in failed] == [("4711", "x"), (str(account.pk), None)]
    assert fetched(deleted.operation, "financialAccounts-failed.csv").decode().splitlines()[:2] == [
        "id,bulkql_row,bulkql_code,bulkql_path,bulkql_message",
        f"4711,0,NOT_FOUND,id,{deleted.errors[0]['message']}",
    ]


def test_what_was_only_tried_offers_its_failed_rows(user):
    tried = imported(user, b"char\nab\na\ncd\n", dry_run=True)

    assert [(row["char"], row["bulkql_row"]) for row in failed_objects(tried)] == [("a", 1)]
    outcomes = [row["outcome"] for row in objects(fetched(tried, "results.ndjson"))]
    assert outcomes == ["CREATED", "FAILED", "CREATED"]
