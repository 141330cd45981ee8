"""An execution is a cycle of objects that garbage collection may find late: rows are not among them."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

pytestmark = pytest.mark.django_db(transaction=True)

CREATE = """
mutation ($input: BulkCreateInput!) { bulkCreate(input: $input, options: { mode: SYNC }) { total failed } }
"""
#: A list that nothing else in this process has: lists are tracked by the collector, whatever they hold.
MARK = [918_273, 645_546]


@pytest.fixture
def without_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("name", ["name", "surplus"])
@pytest.mark.usefixtures("without_collection")
def test_nothing_of_a_request_s_rows_waits_for_the_collector(user, name):
    client = AsyncClient()
    client.force_login(user)
    rows = [{"name": "Cash", name: [*MARK]}]
    variables = {"input": {"financialAccounts": {"rows": rows}}}

    answer = async_to_sync(client.post)(
        "/graphql", {"query": CREATE, "variables": variables}, content_type="application/json"
    )

    assert answer.json()["data"]["bulkCreate"] == {"total": 1, "failed": 1}
    del rows, variables
    assert [one for one in gc.get_objects() if type(one) is list and one == MARK and one is not MARK] == []
