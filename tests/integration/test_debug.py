"""With DEBUG Django remembers thousands of statements with all that they store: here rows are not kept in them."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import signals
from django.test import override_settings

from bulkql.statements import CHARACTERS
from bulkql.workers.enums import Verb
from tests.integration.test_lanes import listening
from tests.zoo.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


def longest() -> int:
    """The characters of the longest statement that is remembered."""
    return max(len(query["sql"]) for query in connection.queries_log)


@override_settings(DEBUG=True)
def test_statements_that_save_rows_one_by_one_hold_no_long_values(create):
    connection.queries_log.clear()

    with listening(signals.post_save, lambda **_: None, Item):
        done = create("items", [{"code": f"{number}", "note": "x" * 50_000} for number in range(3)])

    assert done.outcomes == ["CREATED"] * 3
    assert len([one for one in connection.queries_log if "xxx" in one["sql"]]) >= 3
    assert longest() <= CHARACTERS


@override_settings(DEBUG=True)
def test_statements_that_delete_rows_hold_no_thousands_of_keys(create, bulk):
    rows = [{"name": f"Account {number}"} for number in range(2_000)]
    create("financialAccounts", rows)
    connection.queries_log.clear()

    done = bulk(Verb.DELETE, "financialAccounts", rows, match_by=["name"])

    assert set(done.outcomes) == {"DELETED"}
    assert longest() <= CHARACTERS


@override_settings(DEBUG=True)
def test_short_statements_are_remembered_as_they_are():
    connection.queries_log.clear()

    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", ["x"])
        cursor.execute("SELECT length(%s)", ["x" * 50_000])

    short, long = (query["sql"] for query in connection.queries_log)
    assert short == "SELECT 'x'"
    assert long == ("SELECT length('" + "x" * CHARACTERS)[: CHARACTERS - 1] + "…"
