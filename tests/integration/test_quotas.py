"""What a user may store and ask for: told by `limits`, and held where things begin."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile

from bulkql.workers import conf, quotas
from bulkql.workers.columns.column import graphql_name
from bulkql.workers.errors import BadInput, LimitExceeded
from bulkql.workers.models import Operation, Upload
from bulkql.workers.uploads import uploads
from tests.integration.conftest import Refused

pytestmark = pytest.mark.django_db

CREATE = """
mutation ($rows: [ClassificationStatusCreateRow!]!, $mode: Mode!) {
  bulkCreate(input: {classificationStatuses: {rows: $rows}}, options: {mode: $mode}) { id created }
}
"""
LIMITS = "{ limits { name setting limit used resetAt } }"


@pytest.fixture(autouse=True)
def nothing_is_counted(monkeypatch):
    monkeypatch.setattr(quotas, "_counted", {})


@pytest.fixture
def clerk() -> User:
    found = User.objects.create_user("clerk")
    found.user_permissions.add(Permission.objects.get(codename="add_classificationstatus"))
    return found


@pytest.fixture
def limited(monkeypatch) -> Callable[..., None]:
    """Other limits, wherever they are asked for."""

    def change(**changed: int) -> None:
        given = replace(conf.limits(), **changed)
        for module in (quotas, uploads, conf):
            monkeypatch.setattr(module, "limits", lambda: given)
        monkeypatch.setattr("bulkql.schema.limits.usage.limits", lambda: given)

    return change


def statuses(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"name": f"Status {number}"} for number in range(start, start + count)]


def told(ask: Any, user: User) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in ask(user, LIMITS)["limits"]}


def test_limits_tells_what_is_used_and_when_it_begins_anew(ask, clerk):
    uploads.announce(clerk, "one.csv", 700)
    ask(clerk, CREATE, rows=statuses(3), mode="SYNC")
    ask(clerk, CREATE, rows=statuses(2, 3), mode="ASYNC")

    found = told(ask, clerk)

    used = {name: one["used"] for name, one in found.items() if name.startswith("user")}
    assert used == {
        "userStoredBytes": "700",
        "userUploadsWaiting": "1",
        "userOperationsWaiting": "1",
        "userRowsADay": "5",
        "userRequests": "0",
        "userRequestsWaiting": "0",
        "userDownloads": "0",
        "userSubscriptions": "0",
        "userFrameBytes": "0",
    }
    today = datetime.datetime.now(datetime.UTC).date()
    midnight = datetime.datetime.combine(today, datetime.time(), datetime.UTC) + datetime.timedelta(days=1)
    assert datetime.datetime.fromisoformat(found["userRowsADay"]["resetAt"]) == midnight
    assert found["pageRows"] == {
        "name": "pageRows",
        "setting": "BULKQL_PAGE_ROWS",
        "limit": "1000",
        "used": None,
        "resetAt": None,
    }


def test_another_users_use_is_not_counted(ask, clerk):
    other = User.objects.create_user("other")
    uploads.announce(other, "one.csv", 700)

    assert told(ask, clerk)["userStoredBytes"]["used"] == "0"


def test_announced_bytes_count_before_they_come(clerk, limited):
    limited(user_stored_bytes=1_000)
    uploads.announce(clerk, "one.csv", 700)

    with pytest.raises(LimitExceeded) as refused:
        uploads.announce(clerk, "two.csv", 301)

    assert str(refused.value) == (
        "700 bytes of uploads and exports are yours already, and 301 more would exceed the limit of 1,000 "
        "(BULKQL_USER_STORED_BYTES); they are removed some days after their operations are over."
    )
    uploads.announce(clerk, "two.csv", 300)


def test_bytes_that_nobody_announced_count_once_they_are_there(clerk, limited):
    limited(user_stored_bytes=1_000)
    upload = uploads.announce(clerk, "one.csv", None)

    with pytest.raises(LimitExceeded):
        uploads.fill(upload, ContentFile(b"x" * 1_001))

    assert not Upload.objects.exclude(uploaded_at=None).exists()
    assert not uploads.storage().exists(f"uploads/{upload.id}")
    assert uploads.fill(upload, ContentFile(b"x" * 1_000)).size == 1_000


def test_uploads_that_wait_are_counted_until_they_are_filled(clerk, limited):
    limited(user_uploads_waiting=1)
    first = uploads.announce(clerk, "one.csv", 3)

    with pytest.raises(LimitExceeded, match=r"1 uploads that wait .* limit of 1 \(BULKQL_USER_UPLOADS_WAITING\)"):
        uploads.announce(clerk, "two.csv", 3)

    uploads.fill(first, ContentFile(b"a\n1"))
    uploads.announce(clerk, "two.csv", 3)


def test_operations_that_are_not_over_are_counted(ask, clerk, limited):
    limited(user_operations_waiting=1)
    ask(clerk, CREATE, rows=statuses(2), mode="ASYNC")

    with pytest.raises(Refused, match=r"LIMIT_EXCEEDED.*BULKQL_USER_OPERATIONS_WAITING.*cancel them"):
        ask(clerk, CREATE, rows=statuses(2), mode="ASYNC")

    Operation.objects.update(finished_at=datetime.datetime.now(datetime.UTC))
    ask(clerk, CREATE, rows=statuses(2, 4), mode="ASYNC")


def test_rows_of_a_day_are_counted_however_small_the_requests(ask, clerk, limited):
    limited(user_rows_a_day=5)
    ask(clerk, CREATE, rows=statuses(3), mode="SYNC")

    with pytest.raises(Refused, match=r"LIMIT_EXCEEDED.*3 rows of today.*BULKQL_USER_ROWS_A_DAY.*next day begins"):
        ask(clerk, CREATE, rows=statuses(3, 3), mode="SYNC")

    assert ask(clerk, CREATE, rows=statuses(2, 3), mode="SYNC")["bulkCreate"]["created"] == 2
    # What was refused is not counted.
    assert told(ask, clerk)["userRowsADay"]["used"] == "5"


def test_upload_is_for_those_who_may_write_something(ask, clerk):
    document = 'mutation { createUpload(name: "t.csv", size: 5) { id } }'
    stranger = User.objects.create_user("stranger")

    with pytest.raises(Refused, match=r"FORBIDDEN.*An upload needs a permission to write some resource's rows"):
        ask(stranger, document)

    assert not Upload.objects.exists()
    assert ask(clerk, document)["createUpload"]["id"] == str(Upload.objects.get().id)


def test_all_limits_that_an_error_may_name_are_told_and_have_their_setting(ask, clerk):
    rooms = (Path(__file__).parents[2] / name for name in ("workers", "schema", "server"))
    source = "".join(path.read_text() for room in rooms for path in room.glob("**/[a-z]*.py"))
    named = set(re.findall(r"""(?:exceeds|setting_name|Quota|Share)\(\s*["'](\w+)["']""", source))
    # Messages and pages that name the setting itself.
    named |= {"image_rows", "max_rows_per_second", "statement_seconds", "webhook_seconds"}

    found = told(ask, clerk)

    assert len(named) > 15
    assert {graphql_name(name) for name in named} <= set(found)
    assert [one["setting"] for one in found.values() if not one["setting"].startswith("BULKQL_")] == []
    assert [one["name"] for one in found.values() if one["resetAt"] is not None] == ["userRowsADay"]


@pytest.mark.parametrize(
    ("announced", "message"),
    [
        (None, "The upload has no bytes; send at least one."),
        (1, "The upload was announced with 1 byte, but 0 came; send it again."),
        (2, "The upload was announced with 2 bytes, but 0 came; send it again."),
    ],
)
def test_an_upload_without_bytes_is_refused(clerk, announced, message):
    upload = uploads.announce(clerk, "a.csv", announced)

    with pytest.raises(BadInput) as refused:
        uploads.fill(upload, ContentFile(b""))

    assert str(refused.value) == message
