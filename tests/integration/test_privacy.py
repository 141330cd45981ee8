"""Row contents reach neither logs nor messages, also when a worker fails over them."""

from __future__ import annotations

import logging
import traceback

import pytest
from django.db import connection

from bulkql.workers import actors
from bulkql.workers.errors import WorkFailed

SECRET = "A very private name"

pytestmark = pytest.mark.django_db(transaction=True)


def quote_the_row(_: int) -> None:
    """As PostgreSQL does: ERROR ... CONTEXT: COPY table, line 1: "the row"."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::int", [SECRET])


def test_failure_of_a_worker_says_where_and_not_what(caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises(WorkFailed) as failed:
        actors.work(quote_the_row, 1)

    # What dramatiq logs, and what it sends again with the message.
    told = "".join(traceback.format_exception(failed.value)) + caplog.text
    assert SECRET not in told
    assert str(failed.value).startswith("DataError at ")


def test_request_error_of_ours_is_logged_without_its_message(caplog):
    from graphql import GraphQLError

    from bulkql.schema import failures

    try:
        quote_the_row(1)
    except Exception as error:
        failures.log([GraphQLError("told to the client", path=["bulkCreate"], original_error=error)])

    assert SECRET not in caplog.text
    assert "DataError at " in caplog.text
