"""Failed rows come back in the shape in which they were sent, and results of all rows in three formats."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import polars as pl
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.test import AsyncClient

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.server.auth import token_for
from bulkql.server.downloads import in_thread
from bulkql.workers.downloads import signatures
from bulkql.workers.downloads.files import downloads
from bulkql.workers.enums import Verb
from bulkql.workers.frames import unpack
from bulkql.workers.intake import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import endings
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.operations.steps import run
from bulkql.workers.readers import files
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, UnknownColumns
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads
from tests.plans import creating
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

CSV = FileOptions(format=FileFormat.CSV)
NDJSON = FileOptions(format=FileFormat.NDJSON)


def request(user: Any, *inputs: InputRequest, **options: Any) -> BulkRequest:
    return BulkRequest(verb=Verb.CREATE, user=user, inputs=list(inputs), mode=Mode.SYNC, **options)


def file(user: Any, content: bytes, options: FileOptions, resource: str = "animals") -> InputRequest:
    upload = uploads.fill(uploads.announce(user, "file", None), ContentFile(content))
    return InputRequest(resource=resource_named(resource), upload=upload, file_options=options)


def imported(
    user: Any, content: bytes, options: FileOptions = CSV, resource: str = "animals", **more: Any
) -> Operation:
    return run(request(user, file(user, content, options, resource), **more))


def fetched(operation: Operation, name: str) -> bytes:
    (found,) = [download for download in downloads(operation.pk) if download.name == name]
    return b"".join(found.pieces())


def objects(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def own_columns(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(name for name in frame.columns if not name.startswith("__"))


def read(content: bytes, options: FileOptions) -> pl.DataFrame:
    """What the reader makes of a file."""
    return own_columns(
        pl.concat(files.read_file(io.BytesIO(content), creating(resource_named("animals")), options), how="diagonal")
    )


def sent(operation: Operation, indexes: list[int]) -> pl.DataFrame:
    """The cells of these rows, as they were stored."""
    frames = [unpack(chunk.payload) for chunk in operation.chunks.order_by("number")]
    return own_columns(pl.concat(frames, how="diagonal"))[indexes]


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


#: Texts that lose something where somebody is careless.
TEXTS = [
    "=1+1",
    "'=1+1",
    "-5",
    "+a",
    "@x",
    "\tx",
    "\rx",
    "",
    " ",
    "a;b,c",
    'say "hi"',
    "two\nlines",
    "\0nul",
    "NA",
    "'",
]
#: Every hundredth row is bad, each in its own way.
DAMAGES = [
    {"integer": "x"},
    {"integer": "3"},
    {"char": "a"},
    {"decimal": "=1"},
    {"keeper": "-nobody"},
    {"char": "unicorn"},
    {"plate": "''@"},
]


def animals(count: int = 1_500) -> tuple[list[dict[str, Any]], list[int]]:
    """Rows as strings, and the indexes of the bad ones."""
    rows: list[dict[str, Any]] = [{"char": f"a{index}"} for index in range(count)]
    bad = list(range(50, count, 100))
    for index, place in enumerate(bad):
        rows[place] |= {"text": TEXTS[index % len(TEXTS)], **DAMAGES[index % len(DAMAGES)]}
    return rows, bad


def csv_of(rows: list[dict[str, Any]], options: FileOptions = CSV) -> bytes:
    """Rows with every column that some row gives."""
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.write_csv(separator=options.delimiter).encode(options.encoding)


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


def failed_objects(operation: Operation) -> list[dict[str, Any]]:
    return objects(fetched(operation, "animals-failed.ndjson"))


def written_by(operation: Operation) -> list[str]:
    return [row["pk"] for row in objects(fetched(operation, "results.ndjson")) if row["pk"] is not None]


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
        },
    ]
    assert fetched(done.operation, "animals-failed.csv").decode().splitlines()[:2] == [
        "char,decimal,integer,json,plate,text,',bulkql_row,bulkql_code,bulkql_path,bulkql_message",
        f'a,1.50,4,"{{""a"": [1]}}",,\'=1,,1,INVALID,char,{too_short}',
    ]


def test_failed_inline_rows_are_read_as_a_file(create):
    rows, bad = animals()
    first = create("animals", rows)

    again = read(fetched(first.operation, "animals-failed.ndjson"), NDJSON)

    assert again.equals(sent(first.operation, bad).select(again.columns))


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


def test_files_are_written_a_chunk_at_a_time(user):
    rows, _ = animals(500)
    operation = imported(user, csv_of(rows), chunk_size=100)
    pieces = downloads(operation.pk)[0].pieces()

    header, first = next(pieces), next(pieces)
    Chunk.objects.filter(operation=operation, number=4).delete()

    assert header.startswith(b"char,")
    assert first.startswith(b"a50,")
    with pytest.raises(Chunk.DoesNotExist):
        list(pieces)


def test_a_client_that_goes_away_leaves_no_file_behind(user, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    operation = failing(user)
    (parquet,) = [one for one in downloads(operation.pk) if one.name == "results.parquet"]

    async def begin_and_leave() -> tuple[bytes, int]:
        stream = in_thread(parquet.pieces())
        piece, files_on_disk = await anext(stream), len(list(tmp_path.iterdir()))
        await stream.aclose()
        return piece, files_on_disk

    piece, files_on_disk = async_to_sync(begin_and_leave)()

    assert (piece[:4], files_on_disk) == (b"PAR1", 1)
    assert list(tmp_path.iterdir()) == []


def failing(user: Any) -> Operation:
    return imported(user, b"char\na\n")


def path_of(operation: Operation, name: str = "animals-failed.csv") -> str:
    signature, _ = signatures.sign(operation.pk, name)
    return f"/files/{operation.pk}/{signature}/{name}"


def get(path: str, user: Any = None) -> tuple[Any, bytes]:
    """An answer of the service, and its whole body."""
    headers = {"Authorization": f"Bearer {token_for(user)}"} if user is not None else {}

    async def ask() -> tuple[Any, bytes]:
        answer = await AsyncClient().get(path, headers=headers)
        body = b"".join([part async for part in answer]) if answer.streaming else answer.content
        return answer, body

    return async_to_sync(ask)()


def refusal(path: str, user: Any = None) -> tuple[int, str]:
    answer, body = get(path, user)
    return answer.status_code, json.loads(body)["errors"][0]["extensions"]["code"]


def test_a_file_is_sent_to_those_who_may_see_the_operation(user, django_user_model):
    ann = django_user_model.objects.create_user("ann")
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_animal"))
    stranger = django_user_model.objects.create_user("stranger")
    operation = failing(user)
    Operation.objects.update(created_by=ann)
    path = path_of(operation)

    for allowed in (ann, staff):
        answer, body = get(path, allowed)
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert answer["Content-Disposition"] == 'attachment; filename="animals-failed.csv"'
        assert body.startswith(b"char,bulkql_row,")
    assert refusal(path, stranger) == (404, "NOT_FOUND")
    assert refusal(path) == (401, "UNAUTHENTICATED")


def test_the_encoding_in_the_header_is_python_s_name_for_it(user):
    operation = imported(user, b"char\na\n", FileOptions(format=FileFormat.CSV, encoding="UTF-8\n"))

    answer, _ = get(path_of(operation), user)

    assert answer["Content-Type"] == "text/csv; charset=utf-8"


def test_a_link_is_good_for_one_file_of_one_operation(user):
    operation, other = failing(user), failing(user)
    path = path_of(operation)

    assert get(path, user)[0].status_code == 200
    assert refusal(path.replace("failed.csv", "failed.ndjson"), user) == (404, "NOT_FOUND")
    assert refusal(path.replace(str(operation.pk), str(other.pk)), user) == (404, "NOT_FOUND")
    assert refusal(path_of(operation, "keepers-failed.csv"), user) == (404, "NOT_FOUND")
    assert refusal(f"/files/{operation.pk}/nonsense/results.csv", user) == (404, "NOT_FOUND")


def test_a_link_expires_after_an_hour(user, monkeypatch):
    operation = failing(user)
    now = time.time()
    with monkeypatch.context() as past:
        past.setattr("django.core.signing.time.time", lambda: now - 3_610)
        expired = path_of(operation)
        past.setattr("django.core.signing.time.time", lambda: now - 3_500)
        good = path_of(operation)

    assert refusal(expired, user) == (410, "NOT_FOUND")
    assert get(good, user)[0].status_code == 200


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
