"""The files of an export over HTTP: whole or in parts, a broken download goes on where it was."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

import bulkql
from bulkql.server.auth import token_for
from bulkql.workers.downloads import signatures
from tests.zoo.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = b"code,note\na,one\nb,two\n"


@pytest.fixture
def operation(user):
    Item.objects.create(code="a", note="one")
    Item.objects.create(code="b", note="two")
    return bulkql.export(Item, user=user, fields=["code", "note"])


@pytest.fixture
def fetch(user, operation):
    """Status, headers and body of a request for the file."""
    token = token_for(user)

    def ask(method: str = "GET", name: str = "items.csv", of: Any = operation, **headers: str) -> Any:
        signature, _ = signatures.sign(of.id, name)

        async def answer() -> Any:
            found = await AsyncClient().generic(
                method, f"/files/{of.id}/{signature}/{name}", headers={"Authorization": f"Bearer {token}", **headers}
            )
            # Django's client takes the body of an answer to HEAD away itself, if it is streamed.
            is_stream = found.streaming and method != "HEAD"
            body = b"".join([part async for part in found]) if is_stream else getattr(found, "content", b"")
            return found.status_code, found.headers, body

        return async_to_sync(answer)()

    return ask


def test_a_file_is_told_by_its_headers(fetch):
    status, headers, body = fetch()

    assert (status, body) == (200, CONTENT)
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Disposition"] == 'attachment; filename="items.csv"'
    assert headers["Content-Length"] == str(len(CONTENT))
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["ETag"].startswith('"')


def test_head_tells_the_same_without_the_bytes(fetch):
    (_, whole, _), (status, headers, body) = fetch(), fetch("HEAD")

    assert (status, body) == (200, b"")
    for name in ("Content-Type", "Content-Length", "ETag", "Accept-Ranges", "Content-Disposition"):
        assert headers[name] == whole[name]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=5-", 5, 22), ("bytes=3-9", 3, 10), ("bytes=-4", 18, 22), ("bytes=20-99", 20, 22),
     ("bytes=-99", 0, 22)],
)  # fmt: skip
def test_a_part_is_sent_alone(fetch, asked, start, end):
    status, headers, body = fetch(Range=asked)

    assert (status, body) == (206, CONTENT[start:end])
    assert headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=22-", "bytes=99-100", "bytes=-0"])
def test_a_part_behind_the_end_is_refused(fetch, asked):
    status, headers, _ = fetch(Range=asked)

    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=5-3", "bytes=0-1,3-4", "bytes=x", "bytes=-"])
def test_what_is_no_single_range_is_passed_over(fetch, asked):
    assert fetch(Range=asked)[0::2] == (200, CONTENT)


def test_a_part_is_sent_only_of_the_file_that_was_begun(fetch):
    etag = fetch()[1]["ETag"]

    assert fetch(Range="bytes=5-", **{"If-Range": etag})[0::2] == (206, CONTENT[5:])
    assert fetch(Range="bytes=5-", **{"If-Range": '"another"'})[0::2] == (200, CONTENT)
    assert fetch(**{"If-None-Match": etag})[0::2] == (304, b"")


@pytest.mark.parametrize(
    ("form", "compression", "name", "media_type"),
    [
        ("NDJSON", None, "items.ndjson", "application/x-ndjson"),
        ("CSV", "GZIP", "items.csv.gz", "application/gzip"),
        ("NDJSON", "ZSTD", "items.ndjson.zst", "application/zstd"),
        ("PARQUET", "ZSTD", "items.parquet", "application/vnd.apache.parquet"),
        ("XLSX", None, "items.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ],
)
def test_each_format_has_its_type(fetch, user, operation, form, compression, name, media_type):
    other = bulkql.export(Item, user=user, format=form, compression=compression)

    status, headers, body = fetch(name=name, of=other)

    assert (status, headers["Content-Type"]) == (200, media_type)
    assert body == other.files[0].read()


def test_the_url_of_a_file_that_is_written_while_it_is_sent_takes_head_too(fetch, user):
    failed = bulkql.create(Item, [{"code": "a"}], user=user)

    status, headers, body = fetch("HEAD", name="items-failed.csv", of=failed)

    assert (status, body) == (200, b"")
    assert "Content-Length" not in headers  # which nobody knows yet
    assert headers["Content-Type"] == "text/csv; charset=utf-8"


def test_a_project_that_debugs_gets_its_file(user, settings):
    settings.DEBUG = True  # Django's cursor for it takes fewer arguments

    assert bulkql.export(Item, user=user, fields=["code"]).exported == 0


@pytest.mark.parametrize(
    ("name", "condition", "status"),
    [("If-Match", '"another"', 412), ("If-Match", 'W/{etag}', 412), ("If-Match", '"another", {etag}', 206),
     ("If-Match", "*", 206), ("If-None-Match", '"another", W/{etag}', 304), ("If-None-Match", '"another"', 206)],
)  # fmt: skip
def test_a_condition_comes_before_the_part(fetch, name, condition, status):
    etag = fetch()[1]["ETag"]

    assert fetch(Range="bytes=5-", **{name: condition.format(etag=etag)})[0] == status


def test_head_has_no_parts(fetch):
    status, headers, _ = fetch("HEAD", Range="bytes=99-")

    assert (status, headers["Content-Length"], "Content-Range" in headers) == (200, str(len(CONTENT)), False)
