"""tus 1.0 on /uploads/ID: what is stored is told and gone on from; what is no such request is told so."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.test import AsyncClient
from django.utils import timezone

from bulkql.server.auth import token_for
from bulkql.workers import conf
from bulkql.workers.errors import BadInput
from bulkql.workers.ledger.retention import purge
from bulkql.workers.models import StoredFile, StoredPart, Upload
from bulkql.workers.uploads import resumed, storage, uploads
from bulkql.workers.uploads.uploads import announce, fill, open_upload

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = b"name\n" + b"".join(b"Account %d\n" % number for number in range(100))


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    """Parts of 100 bytes, so that a few of them are a file."""
    for module in (storage, uploads):
        monkeypatch.setattr(module, "PART_BYTES", 100)


@async_to_sync
async def asked(method: str, path: str, *body: Any, **options: Any) -> Any:
    return await AsyncClient().generic(method, path, *body, **options)


@pytest.fixture
def ask(user):
    """A request of tus as ada; gives the answer."""

    def perform(method: str, path: Any, content: bytes = b"", **headers: str) -> Any:
        path = f"/uploads/{path.pk}" if isinstance(path, Upload) else path
        given = {"Tus-Resumable": "1.0.0", "Authorization": f"Bearer {token_for(user)}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        kind = "application/offset+octet-stream"
        return asked(method, path, content, kind, headers=given)

    return perform


def patch(ask, upload, offset, content, **headers):
    answer = ask("PATCH", upload, content, Upload_Offset=str(offset), **headers)
    return answer.status_code, answer.headers.get("Upload-Offset")


def code_of(answer):
    return answer.status_code, answer.json()["errors"][0]["extensions"]["code"]


@pytest.mark.parametrize("size", [99, 100, 101, 250, len(CONTENT)])
def test_bytes_in_steps_of_any_size_are_the_file(ask, user, size):
    upload = announce(user, "a.csv", len(CONTENT))

    for offset in range(0, len(CONTENT), size):
        piece = CONTENT[offset : offset + size]
        assert patch(ask, upload, offset, piece) == (204, str(offset + len(piece)))
    upload.refresh_from_db()

    assert open_upload(upload).read() == CONTENT
    assert upload.digest == fill(announce(user, "b.csv", None), ContentFile(CONTENT)).digest
    assert set(StoredPart.objects.filter(file__name=upload.path).values_list("number", flat=True)) == set(range(11))


def test_head_tells_where_to_go_on_and_until_when(ask, user):
    upload = announce(user, "a.csv", 10)
    patch(ask, upload, 0, b"name\n")

    answer = ask("HEAD", upload)

    told = {name: answer.headers[name] for name in ("Upload-Offset", "Upload-Length", "Cache-Control", "Tus-Resumable")}
    assert told == {"Upload-Offset": "5", "Upload-Length": "10", "Cache-Control": "no-store", "Tus-Resumable": "1.0.0"}
    assert answer.headers["Upload-Expires"].endswith("GMT")
    assert patch(ask, upload, 4, b"x") == (409, None)
    assert patch(ask, upload, 5, b"Cash\n") == (204, "10")
    assert ask("HEAD", upload).headers["Upload-Offset"] == "10"


def test_more_than_was_announced_is_refused_and_what_was_there_stays(ask, user):
    upload = announce(user, "a.csv", 10)
    patch(ask, upload, 0, b"name\n")

    assert code_of(ask("PATCH", upload, b"123456", Upload_Offset="5")) == (413, "LIMIT_EXCEEDED")
    assert ask("HEAD", upload).headers["Upload-Offset"] == "5"


@pytest.mark.parametrize("name", resumed.CHECKSUMS)
def test_a_checksum_that_differs_stores_nothing(ask, user, name):
    upload = announce(user, "a.csv", len(CONTENT))
    right = f"{name} {base64.b64encode(hashlib.new(name, CONTENT).digest()).decode()}"

    damaged = patch(ask, upload, 0, CONTENT.replace(b"7", b"8"), Upload_Checksum=right)
    offset = ask("HEAD", upload).headers["Upload-Offset"]
    whole = patch(ask, upload, 0, CONTENT, Upload_Checksum=right)

    assert (damaged, offset, whole) == ((460, None), "0", (204, str(len(CONTENT))))
    assert code_of(ask("PATCH", upload, b"x", Upload_Offset="0", Upload_Checksum="crc32 x")) == (400, "BAD_INPUT")


def test_an_upload_is_created_with_a_name_and_a_size_that_may_come_later(ask, user):
    metadata = f"filename {base64.b64encode('März.csv'.encode()).decode()},filetype dGV4dA=="

    known = ask("POST", "/uploads", Upload_Length="5", Upload_Metadata=metadata)
    later = ask("POST", "/uploads", Upload_Defer_Length="1", Upload_Metadata=metadata)
    path = later.headers["Location"].removeprefix("http://testserver")
    deferred = ask("HEAD", path).headers
    answer = ask("PATCH", path, b"name\nCash\n", Upload_Offset="0", Upload_Length="10")

    assert (known.status_code, known.headers["Upload-Length"]) == (201, "5")
    assert (deferred["Upload-Defer-Length"], "Upload-Length" in deferred) == ("1", False)
    assert answer.headers["Upload-Offset"] == "10"
    upload = Upload.objects.get(pk=path.removeprefix("/uploads/"))
    assert (upload.name, open_upload(upload).read()) == ("März.csv", b"name\nCash\n")


def test_a_size_below_what_is_stored_is_refused_and_not_kept(ask, user):
    upload = announce(user, "a.csv", None)
    patch(ask, upload, 0, b"name\n")

    refused = ask("PATCH", upload, b"Cash\n", Upload_Offset="5", Upload_Length="4")

    assert code_of(refused) == (400, "BAD_INPUT")
    assert refused.json()["errors"][0]["message"] == (
        "5 bytes of this upload are stored, and Upload-Length is 4; give the size of the whole file, or begin another "
        "upload."
    )
    assert ask("HEAD", upload).headers["Upload-Defer-Length"] == "1"
    assert patch(ask, upload, 5, b"Cash\n", Upload_Length="10") == (204, "10")
    assert open_upload(Upload.objects.get()).read() == b"name\nCash\n"


def test_what_is_given_up_is_gone(ask, user):
    upload = announce(user, "a.csv", 10)
    patch(ask, upload, 0, b"name\n")

    assert ask("DELETE", upload).status_code == 204
    assert ask("HEAD", upload).status_code == 404
    assert (Upload.objects.count(), StoredFile.objects.count()) == (0, 0)


def test_what_never_came_to_its_end_expires_and_is_purged(ask, user):
    upload = announce(user, "a.csv", 10)
    patch(ask, upload, 0, b"name\n")
    Upload.objects.update(created_at=timezone.now() - timedelta(seconds=conf.limits().upload_seconds + 1))

    assert (ask("HEAD", upload).status_code, patch(ask, upload, 5, b"Cash\n")[0]) == (410, 410)
    assert purge() == (0, 1)
    assert not StoredFile.objects.exists()


def test_a_put_begins_anew(ask, user):
    upload = announce(user, "a.csv", 10)
    patch(ask, upload, 0, b"nom\n")

    fill(upload, ContentFile(b"name\nCash\n"))

    assert open_upload(upload).read() == b"name\nCash\n"
    assert StoredFile.objects.count() == 1


def test_another_storage_gets_the_file_at_its_end(ask, user, settings, tmp_path):
    settings.STORAGES = {
        **settings.STORAGES,
        "bulkql": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}},
    }
    upload = announce(user, "a.csv", 10)
    patch(ask, upload, 0, b"name\n")
    assert not list(tmp_path.rglob("*-*"))
    patch(ask, upload, 5, b"Cash\n")

    upload.refresh_from_db()

    assert (tmp_path / upload.path).read_bytes() == b"name\nCash\n"
    assert not StoredFile.objects.exists()


def test_abilities_are_told_to_anybody():
    answer = asked("OPTIONS", "/uploads")

    assert answer.status_code == 204
    assert (answer.headers["Tus-Version"], answer.headers["Tus-Checksum-Algorithm"]) == ("1.0.0", "sha1,sha256,md5")
    assert answer.headers["Tus-Extension"] == "creation,creation-defer-length,checksum,expiration,termination"


def test_what_is_no_request_of_tus_is_told_so(ask, user, django_user_model):
    upload = announce(user, "a.csv", 10)
    others = announce(django_user_model.objects.create_user("bob"), "b.csv", 10)

    assert ask("HEAD", upload, Tus_Resumable="0.2.2").status_code == 412
    assert code_of(ask("PATCH", upload, b"x", Upload_Offset="-1")) == (400, "BAD_INPUT")
    assert code_of(ask("PATCH", upload, b"x")) == (400, "BAD_INPUT")
    assert code_of(ask("POST", "/uploads", Upload_Length="5")) == (400, "BAD_INPUT")
    assert code_of(ask("PATCH", others, b"x", Upload_Offset="0")) == (404, "NOT_FOUND")
    assert ask("POST", upload, X_HTTP_Method_Override="DELETE").status_code == 204


CONCAT = {"Upload_Length": "5", "Upload_Metadata": "filename YS5jc3Y=", "Upload_Concat": "partial"}


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (CONCAT, "Upload-Concat is not possible here; send the file as one upload (in tus-js-client, "
         "parallelUploads: 1)."),
        ({"Upload_Length": "5", "Upload_Defer_Length": "1"}, "Say how large the upload is, with Upload-Length, or send "
         "Upload-Defer-Length: 1; one of them."),
        ({"Upload_Defer_Length": "2"}, "Say how large the upload is, with Upload-Length, or send "
         "Upload-Defer-Length: 1; one of them."),
        ({"Upload_Length": "5", "Upload_Metadata": "filename a.csv"}, "The filename of Upload-Metadata is not base64 "
         "of UTF-8."),
        ({"Upload_Length": "5", "Upload_Metadata": "filename März"}, "The filename of Upload-Metadata is not base64 "
         "of UTF-8."),
        ({"Upload_Length": "5", "Upload_Metadata": "filename /w=="}, "The filename of Upload-Metadata is not base64 "
         "of UTF-8."),
    ],
)  # fmt: skip
def test_a_creation_that_asks_for_what_there_is_not_creates_nothing(ask, headers, message):
    answer = ask("POST", "/uploads", **headers)

    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (400, message)
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    "given", ["sha1", "sha1 ", "sha1 AAAA", "sha1 !!!!", "sha1 é", "md5 " + 28 * "A", "crc32 AA=="]
)
def test_a_checksum_that_is_none_is_another_mistake_than_one_that_differs(ask, user, given):
    upload = announce(user, "a.csv", 10)

    answer = ask("PATCH", upload, b"name\n", Upload_Offset="0", Upload_Checksum=given)

    assert code_of(answer) == (400, "BAD_INPUT")
    assert ask("HEAD", upload).headers["Upload-Offset"] == "0"


def test_bytes_of_another_content_type_are_not_stored(ask, user):
    upload = announce(user, "a.csv", 10)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Authorization": f"Bearer {token_for(user)}"}

    answer = asked("PATCH", f"/uploads/{upload.pk}", b"name\n", "text/csv", headers=headers)

    assert code_of(answer) == (415, "BAD_INPUT")
    assert ask("HEAD", upload).headers["Upload-Offset"] == "0"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_method_of_a_header_counts_and_not_that_of_the_request(ask, user, method):
    upload = announce(user, "a.csv", 10)

    answer = ask(method, upload, b"name\n", Upload_Offset="0", X_HTTP_Method_Override="PATCH")

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "5")
    assert ask("GET", upload, X_HTTP_Method_Override="DELETE").status_code == 405
    assert ask("HEAD", upload).headers["Upload-Offset"] == "5"


def test_every_answer_is_one_of_tus_and_kept_by_nobody(ask, user):
    upload = announce(user, "März.csv", 10)

    answers = [
        ask("HEAD", upload), ask("HEAD", f"/uploads/{uuid4()}"), ask("GET", upload), ask("GET", "/uploads"),
        ask("HEAD", upload, Authorization="Bearer x"), ask("PATCH", upload, b"x" * 11, Upload_Offset="0"),
        ask("HEAD", upload, Tus_Resumable="0.2.2"), ask("PATCH", upload, b"x", Upload_Offset="1"),
    ]  # fmt: skip

    assert [answer.status_code for answer in answers] == [200, 404, 405, 405, 401, 413, 412, 409]
    assert {(one.headers["Tus-Resumable"], one.headers["Cache-Control"]) for one in answers} == {("1.0.0", "no-store")}
    assert answers[0].headers["Upload-Metadata"] == "filename TcOkcnouY3N2"
    assert answers[4].headers["WWW-Authenticate"] == "Bearer"


def test_a_size_is_promised_once_whoever_asks_at_the_same_time(user):
    upload = announce(user, "a.csv", None)
    at_the_same_time = Upload.objects.get(pk=upload.pk)

    resumed.announce_size(upload, 10)

    with pytest.raises(BadInput, match=r"^The upload was announced with 10 bytes; it cannot have 20\.$"):
        resumed.announce_size(at_the_same_time, 20)
    assert Upload.objects.get().size == 10
