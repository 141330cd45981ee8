"""A bad request gets one clear error with its code, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.rows import transactions
from tests.acceptance.service import CREATE, Service

TABLES = ("bulkql_operation", "bulkql_input", "bulkql_chunk", "ledger_financialtransaction")


@pytest.fixture(autouse=True)
def nothing_left_behind(service: Service) -> Iterator[None]:
    """No table has more rows than before."""

    def counts() -> list[Any]:
        return [service.sql(f"SELECT count(*) FROM {table}") for table in TABLES]

    before = counts()
    yield
    assert counts() == before


def refused(service: Service, input: Any, options: Any = None) -> tuple[str, str]:
    """The only error's code and message."""
    body = service.post(CREATE, input=input, options=options)
    (error,) = body["errors"]
    assert body.get("data") in (None, {"bulkCreate": None})
    return error["extensions"]["code"], error["message"]


def file(service: Service, directory: Path, content: bytes, name: str = "t.csv", **options: Any) -> Any:
    path = directory / name
    path.write_bytes(content)
    return {"financialTransactions": {"file": {"uploadId": service.client.upload(path), **options}}}


def test_unknown_resource(service):
    code, message = refused(service, {"financialTransaction": {"rows": transactions(1)}})

    assert code == "BAD_INPUT"
    assert "unknown field 'financialTransaction'. Did you mean 'financialTransactions'?" in message


def test_no_resource(service):
    assert refused(service, {}) == (
        "BAD_INPUT",
        "The input names no resource; give rows or a file for at least one.",
    )


def test_both_rows_and_file(service, tmp_path):
    given = file(service, tmp_path, b"amount\n1\n")
    given["financialTransactions"]["rows"] = transactions(1)

    assert refused(service, given) == (
        "BAD_INPUT",
        "financialTransactions has both rows and a file; give exactly one of the two.",
    )


def test_neither_rows_nor_file(service):
    assert refused(service, {"financialTransactions": {}}) == (
        "BAD_INPUT",
        "financialTransactions has neither rows nor a file; give exactly one of the two.",
    )


def test_empty_rows(service):
    assert refused(service, {"financialTransactions": {"rows": []}}) == (
        "BAD_INPUT",
        "financialTransactions.rows is empty; give at least one row.",
    )


def test_too_many_inline_rows(service):
    assert refused(service, {"financialTransactions": {"rows": transactions(10_001)}}) == (
        "LIMIT_EXCEEDED",
        "10,001 rows in one request exceed the limit of 10,000 (BULKQL_INLINE_ROWS); send them as a file.",
    )


def test_too_large_a_body(service):
    rows = [row | {"description": "x" * 5_000} for row in transactions(8_000)]

    code, message = refused(service, {"financialTransactions": {"rows": rows}})

    assert code == "LIMIT_EXCEEDED"
    assert message.endswith(
        "bytes of JSON exceed the limit of 33,554,432 (BULKQL_REQUEST_BYTES); send the rows as a file."
    )


def test_too_large_a_body_that_does_not_say_so(service):
    def body() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 1024 * 1024

    headers = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/json"}
    try:
        answer = httpx.post(f"{service.url}/graphql", content=body(), headers=headers)
    except httpx.WriteError:
        is_refused = True  # the service hung up before it had been told all
    else:
        is_refused = (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (413, "LIMIT_EXCEEDED")

    assert is_refused
    assert service.post("{ bulkResources { name } }")["data"]


def test_too_many_rows_written_into_the_query(service):
    rows = " ".join(f'{{ name: "Account number {number}" }}' for number in range(5_000))

    body = service.post(f"mutation {{ bulkCreate(input: {{ financialAccounts: {{ rows: [{rows}] }} }}) {{ id }} }}")

    (error,) = body["errors"]
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert "limit 20,000, setting BULKQL_QUERY_TOKENS" in error["message"]


def test_chunk_size_out_of_bounds(service):
    given = {"financialTransactions": {"rows": transactions(1)}}

    assert refused(service, given, {"chunkSize": 0}) == (
        "BAD_INPUT",
        "chunkSize is 0; a chunk has at least one row.",
    )
    assert refused(service, given, {"chunkSize": 100_001}) == (
        "LIMIT_EXCEEDED",
        "100,001 rows in a chunk exceed the limit of 100,000 (BULKQL_MAX_CHUNK_SIZE); ask for smaller chunks.",
    )


def test_texts_that_the_ledger_does_not_take(service):
    given = {"financialTransactions": {"rows": transactions(1)}}

    assert refused(service, given, {"label": "x" * 201}) == (
        "BAD_INPUT",
        "label has 201 characters; 200 are the most.",
    )
    assert refused(service, given, {"idempotencyKey": " "}) == (
        "BAD_INPUT",
        "idempotencyKey is empty; give each request a key of its own, or leave it out.",
    )
    assert refused(service, given, {"idempotencyKey": "a\0"}) == (
        "BAD_INPUT",
        "$options.idempotencyKey has a null character, which the database does not take.",
    )


def test_not_a_csv(service, tmp_path):
    code, message = refused(service, file(service, tmp_path, b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"))

    assert (code, message) == (
        "BAD_INPUT",
        "Line 1 is not utf-8: invalid start byte (byte 0x89). It would be 'ëPNG' in cp850 or '塒NG' in gb18030. "
        "Save the file as UTF-8, or name its encoding.",
    )


def test_wrong_encoding(service, tmp_path):
    content = "amount,description\n1,Müller\n".encode("cp1252")

    assert refused(service, file(service, tmp_path, content)) == (
        "BAD_INPUT",
        "Line 2 is not utf-8: invalid start byte (byte 0xfc). It would be '1,Müller' in cp1252 or '1,Mьller' in "
        "cp1251. Save the file as UTF-8, or name its encoding.",
    )


def test_unknown_encoding(service, tmp_path):
    assert refused(service, file(service, tmp_path, b"amount\n1\n", encoding="utf-9")) == (
        "BAD_INPUT",
        "There is no encoding utf-9; utf-8, utf-16 and cp1252 are some.",
    )


def test_header_without_a_known_column(service, tmp_path):
    assert refused(service, file(service, tmp_path, b"betrag;text\n1;a\n")) == (
        "BAD_INPUT",
        "None of the file's columns ('betrag;text') is a field of financialTransactions. Its fields are amount, "
        "description, datetime, financial_account, classification_status; is the delimiter ',' right, and does the "
        "file have a header? With ',' the header is 'betrag;text', and the first row '1;a'; with ';' they would be "
        "'betrag', 'text', and '1', 'a'. Give `delimiter`.",
    )


def test_unknown_column(service, tmp_path):
    code, message = refused(service, file(service, tmp_path, b"amount,colour\n1,red\n"))

    assert code == "BAD_INPUT"
    assert message.startswith("financialTransactions has no field for the column 'colour'. Its fields are amount,")
    assert message.endswith("map others with `columns`, or set unknownColumns: IGNORE.")


def test_header_only(service, tmp_path):
    assert refused(service, file(service, tmp_path, b"amount,description\n")) == ("BAD_INPUT", "The file has no rows.")


def test_name_that_tells_no_format(service, tmp_path):
    assert refused(service, file(service, tmp_path, b"amount\n1\n", name="t.dat")) == (
        "BAD_INPUT",
        "The name t.dat does not show its format, and neither does the file, which begins with 'amount'; give "
        "`format`: CSV, "
        "NDJSON, PARQUET, XLSX.",
    )


def test_not_an_ndjson_and_not_a_parquet(service, tmp_path):
    assert refused(service, file(service, tmp_path, b"amount\n1\n", name="t.ndjson"))[0] == "BAD_INPUT"
    assert refused(service, file(service, tmp_path, b"amount\n1\n", name="t.parquet"))[0] == "BAD_INPUT"


def test_upload_that_is_not_there_or_not_filled(service):
    unknown = "00000000-0000-0000-0000-000000000000"
    empty = service.post('mutation { createUpload(name: "t.csv") { id } }')["data"]["createUpload"]["id"]

    assert refused(service, {"financialTransactions": {"file": {"uploadId": unknown}}}) == (
        "NOT_FOUND",
        f"There is no upload {unknown} of yours.",
    )
    assert refused(service, {"financialTransactions": {"file": {"uploadId": empty}}}) == (
        "BAD_INPUT",
        f"Upload {empty} is not complete; send the rest of its bytes to the URL from createUpload.",
    )


def test_upload_of_another_size_than_announced(service):
    place = service.post('mutation { createUpload(name: "t.csv", size: 100) { id url } }')["data"]["createUpload"]

    answer = httpx.put(place["url"], content=b"amount\n1\n", headers={"Authorization": f"Bearer {service.token}"})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (400, "BAD_INPUT")
    assert error["message"] == "The upload was announced with 100 bytes, but 9 came; send it again."
    assert service.sql("SELECT count(*) FROM bulkql_stored_file WHERE name LIKE %s", f"%{place['id']}%") == [(0,)]


def test_unauthenticated(service):
    body = service.post(CREATE, token="no token", input={"financialTransactions": {"rows": transactions(1)}})

    (error,) = body["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    assert error["message"].startswith("Sign in: send `Authorization: Bearer TOKEN`")


def test_no_credentials_at_all(service):
    for answer in (
        httpx.post(f"{service.url}/graphql", json={"query": "{ bulkResources { name } }"}),
        httpx.put(f"{service.url}/uploads/00000000-0000-0000-0000-000000000000", content=b"amount"),
    ):
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["extensions"]["code"]) == (401, "UNAUTHENTICATED")


def test_malformed_requests(service):
    headers = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/json"}
    deep = b"[" * 5_000 + b"]" * 5_000
    long = b'{"query": "{ a }", "variables": {"n": ' + b"1" * 5_000 + b"}}"
    for content in (b"{", b"[]", b'{"query": ""}', b'{"query": "{"}', b'{"query": "{ nothing }"}', deep, long):
        answer = httpx.post(f"{service.url}/graphql", content=content, headers=headers)

        codes = [error["extensions"]["code"] for error in answer.json()["errors"]]
        assert codes == ["BAD_INPUT"], content
