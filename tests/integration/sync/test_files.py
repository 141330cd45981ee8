"""A sync of a file without rows."""

from __future__ import annotations

import io
from dataclasses import replace

import polars as pl
import pytest

from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.intake.requests import BulkRequest, Guard, Mode
from bulkql.workers.operations.running import run
from bulkql.workers.readers.options import FileFormat, FileOptions, UnknownColumns
from tests.integration.downloads import file
from tests.integration.sync.told import names

pytestmark = pytest.mark.django_db(transaction=True)


def in_csv():
    return b"name\n"


def in_csv_with_a_blank_line():
    return b"name,\n,\n \n"


def in_parquet():
    data = io.BytesIO()
    pl.DataFrame({"name": []}, schema={"name": pl.String}).write_parquet(data)
    return data.getvalue()


def in_xlsx():
    data = io.BytesIO()
    pl.DataFrame({"name": []}, schema={"name": pl.String}).write_excel(data)
    return data.getvalue()


HEADERS = pytest.mark.parametrize(
    ("file_format", "content"),
    [
        (FileFormat.CSV, in_csv),
        (FileFormat.CSV, in_csv_with_a_blank_line),
        (FileFormat.PARQUET, in_parquet),
        (FileFormat.XLSX, in_xlsx),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)


def synced(user, file_format, content, guard):
    options = FileOptions(format=file_format, unknown_columns=UnknownColumns.IGNORE)
    item = file(user, content(), options, "financialAccounts")
    request = BulkRequest(verb=Verb.SYNC, user=user, inputs=[replace(item, guard=guard)], mode=Mode.SYNC)
    operation = run(request)
    operation.refresh_from_db()
    return operation


@HEADERS
def test_a_file_with_a_header_alone_is_for_the_guard_to_judge(user, accounts, file_format, content):
    refused = synced(user, file_format, content, Guard.of(None, None))

    assert (refused.state, len(names())) == ("FAILED", 10)
    assert "maxDelete" in refused.message
    assert synced(user, file_format, content, Guard.of(None, 100)).state == "COMPLETED"
    assert names() == []


@HEADERS
def test_a_file_with_a_header_alone_brings_nothing_to_any_other_sync(user, accounts, file_format, content):
    try:
        message = synced(user, file_format, content, None).message
    except BadInput as error:
        message = str(error)

    assert (message, len(names())) == ("The file has no rows.", 10)
