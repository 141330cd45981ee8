"""What calls itself PostgreSQL and is not is refused before anything is written to it."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.db import connection

from bulkql.workers.resources.imitations import check_databases, imitation_of

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("PostgreSQL 11.2-YB-2.20.1.0-b0 on x86_64-pc-linux-gnu, compiled by clang", "YugabyteDB"),
        ("CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu, built 2023/09/27 01:53:43, go1.19.10)", "CockroachDB"),
        ("PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc, Redshift 1.0.63269", "Amazon Redshift"),
        ("PostgreSQL 17.2 (Debian 17.2-1.pgdg120+1) on x86_64-pc-linux-gnu, compiled by gcc", None),
    ],
)
def test_imitations_are_known_by_their_version(version, name):
    assert imitation_of(version) == name


def test_database_is_asked_only_where_checks_may_ask_databases():
    assert check_databases(databases=None) == []
    assert [error.id for error in run_checks(databases=["default"]) if error.id in ("bulkql.E040", "bulkql.E041")] == []


def test_table_that_citus_distributes_is_refused():
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO pg_extension VALUES (99999, 'citus', 10, 2200, false, '12.1')")
        cursor.execute("CREATE TABLE pg_dist_partition (logicalrelid regclass)")
        cursor.execute("INSERT INTO pg_dist_partition VALUES ('places_city')")

    (error,) = check_databases(databases=["default"])

    assert (error.id, error.msg) == (
        "bulkql.E041",
        "places.City has the table places_city, which Citus distributes; COPY with checks and deferred constraints "
        "does not work there.",
    )
