"""Files that come back are read by those who may, a chunk at a time, by links that expire."""

from __future__ import annotations

import time
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission

from bulkql.server.downloads import in_thread
from bulkql.workers.downloads import signatures
from bulkql.workers.downloads.files import downloads
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.readers.options import FileFormat, FileOptions
from tests.integration.downloads import animals, csv_of, get, imported, refusal

pytestmark = pytest.mark.django_db(transaction=True)


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
