"""What COPY takes, and what it sends, also where it ends with an error (workers/columns/copying.py, copied.py)."""

from __future__ import annotations

import polars as pl
import pytest
from django.db import DataError, connection, transaction

from bulkql.workers.columns.copied import frame_of
from bulkql.workers.columns.copying import copy

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


def test_an_empty_text_and_a_null_stay_two_things():
    found = frame_of("default", "SELECT * FROM (VALUES (1, ''), (2, NULL)) t", (), {"n": pl.Int32, "text": pl.String})

    assert found.rows() == [(1, ""), (2, None)]


def test_a_column_alone_may_have_what_once_ended_a_copy():
    texts = ["before", "\\.", None, "", 'a "b"', "two\nlines", "\\N", "behind"]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE copied_texts (text text) ON COMMIT DROP")

    assert copy("default", "copied_texts", ("text",), pl.DataFrame({"text": texts})) == len(texts)

    assert frame_of("default", "TABLE copied_texts", (), {"text": pl.String})["text"].to_list() == texts


@pytest.mark.parametrize("records", [0, 3, 100_000])
def test_a_refused_statement_leaves_its_connection_to_the_transaction(records):
    query = "SELECT 1 / (n - %s) FROM generate_series(1, 200000) n"
    process = connection.connection.info.backend_pid

    with pytest.raises(DataError, match="division by zero"), transaction.atomic():
        frame_of("default", query, [records + 1], {"value": pl.Int64})

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() == (process,)
