"""Only READ COMMITTED shows whoever waited for a lock what its holder has written."""

from __future__ import annotations

import pytest
from django.db import connection
from psycopg import IsolationLevel

from bulkql.checks import check_isolation

pytestmark = pytest.mark.django_db(transaction=True)

#: How each vendor is told the level of a session's transactions.
OF_A_SESSION = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {}",
    "mysql": "SET SESSION TRANSACTION ISOLATION LEVEL {}",
}


def refused():
    (error,) = check_isolation(["default"])
    assert error.id == "bulkql.E049"
    assert error.hint.startswith('Remove "isolation_level" from DATABASES["default"]["OPTIONS"], or the default')
    return error.msg.partition(",")[0]


def of_a_session(level):
    with connection.cursor() as cursor:
        cursor.execute(OF_A_SESSION[connection.vendor].format(level))


def test_what_django_does_by_itself_is_right():
    assert check_isolation(["default"]) == []


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_default_of_a_role_or_a_server_is_refused(level):
    of_a_session(level)
    try:
        assert refused() == f"Transactions in the database `default` are {level}"
        assert check_isolation() == []  # not asked to look into a database
    finally:
        of_a_session("READ COMMITTED")


@pytest.mark.postgresql
@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_level_that_django_gives_each_transaction_is_refused(level):
    connection.ensure_connection()
    connection.connection.isolation_level = level
    try:
        assert refused() == f"Transactions in the database `default` are {level.name.replace('_', ' ')}"
    finally:
        connection.connection.isolation_level = None
