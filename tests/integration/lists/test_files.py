"""Lists in files, and in files of failed rows."""

from __future__ import annotations

import json

import pytest
from django.core.files.base import ContentFile

from bulkql.workers.downloads.files import downloads
from bulkql.workers.enums import Verb
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.operations.running import run
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads
from tests.conftest import Done
from tests.integration.lists.tables import table

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def upload(user):
    """Carry out a verb with a file, now."""

    def perform(verb, content, file_format):
        stored = uploads.fill(uploads.announce(user, "file", None), ContentFile(content))
        options = FileOptions(format=file_format)
        inputs = [InputRequest(resource=resource_named("notes"), upload=stored, file_options=options)]
        return Done(run(BulkRequest(verb=verb, user=user, inputs=inputs, mode=Mode.SYNC)))

    return perform


def test_csv_has_lists_with_commas_or_as_json(upload, tags):
    content = f"""title,tags
commas,"{tags[0]}, {tags[2]}"
json,"[{tags[0]}, ""{tags[3]}""]"
empty,""
missing,
unknown,"{tags[0]},0"
"""

    done = upload(Verb.CREATE, content.encode(), FileFormat.CSV)

    assert done.outcomes == ["CREATED"] * 4 + ["FAILED"]
    assert done.codes == [(4, "tags", "REFERENCE_NOT_FOUND")]
    assert table() == {"commas": "ac", "json": "ad", "empty": "", "missing": ""}


def test_csv_names_members_by_a_key(upload, note):
    content = b"""title,tags.name,keepersBy.code
first,"c,d",ada
new,"[""a"", ""x""]",
none,"[]","ada,bob"
"""

    done = upload(Verb.UPSERT, content, FileFormat.CSV)

    assert done.outcomes == ["UPDATED", "FAILED", "FAILED"]
    assert done.codes == [
        (1, "tagsBy.name", "REFERENCE_NOT_FOUND"),
        (2, "keepersBy.code", "REFERENCE_NOT_FOUND"),
    ]
    assert table() == {"first": "cd"}


def test_ndjson_has_lists_as_inline_rows_do(upload, tags):
    rows = [
        {"title": "ids", "tags": [tags[0], str(tags[1])]},
        {"title": "keys", "tagsBy": [{"name": "a"}, {"color": "red", "number": 3}]},
        {"title": "names", "tags.name": ["b", "c"]},
        {"title": "text", "tags": "1,2"},
    ]

    done = upload(Verb.CREATE, "\n".join(map(json.dumps, rows)).encode(), FileFormat.NDJSON)

    assert done.outcomes == ["CREATED"] * 3 + ["FAILED"]
    assert done.codes == [(3, "tags", "INVALID")]
    assert table() == {"ids": "ab", "keys": "ad", "names": "bc"}


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
def test_failed_rows_come_back_with_their_lists(bulk, upload, tags, file_format):
    rows = [{"title": "x" * 21, "tags": tags[:2]}, {"title": "y" * 21, "tagsBy": [{"name": "d"}]}]
    failed = bulk(Verb.CREATE, "notes", rows)
    assert failed.outcomes == ["FAILED", "FAILED"]

    download = next(one for one in downloads(failed.operation.pk) if one.format == file_format)
    mended = b"".join(download.pieces()).replace(b"x" * 21, b"first").replace(b"y" * 21, b"second")
    done = upload(Verb.CREATE, mended, file_format)

    assert done.outcomes == ["CREATED", "CREATED"]
    assert table() == {"first": "ab", "second": "d"}
