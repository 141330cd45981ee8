"""Row contents reach neither logs nor messages, also when a worker fails over them."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import pytest
from django.db import DatabaseError, connection

from bulkql.server.embedded import DISCREET
from bulkql.workers import actors
from bulkql.workers.errors import WorkFailed
from tests import servers

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


QUOTING = {
    "value": "SELECT '{secret}'::int",
    "key": "INSERT INTO ledger_financialaccount (name) VALUES ('{secret}'), ('{secret}')",
    "row": "INSERT INTO ledger_financialaccount (id, name) VALUES (NULL, '{secret}')",
    "exception": "DO $$ BEGIN RAISE EXCEPTION 'of {secret}'; END $$",
    "warning": "DO $$ BEGIN RAISE WARNING 'of {secret}'; END $$",
    "syntax": "SELEC '{secret}'",
}


@pytest.mark.parametrize("name", QUOTING)
def test_log_of_the_database_itself_quotes_nothing(name):
    if name != "warning":
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute(QUOTING[name].format(secret=SECRET))
    else:
        with connection.cursor() as cursor:
            cursor.execute(QUOTING[name].format(secret=SECRET))

    told = (servers.directory / "postgres.log").read_text()
    assert "ready to accept connections" in told, "the log that is meant"
    assert SECRET not in told


def test_compose_has_a_log_as_discreet():
    compose = (Path(__file__).parents[2] / "docker-compose.yml").read_text()

    assert [setting for setting in DISCREET if f"-c {setting}" not in compose] == []
