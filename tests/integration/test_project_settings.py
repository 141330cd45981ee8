"""Settings of a project that are not ours: what bulkql does is the same."""

from __future__ import annotations

import json

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.server.auth import token_for

CREATE = 'mutation { bulkCreate(input: {financialAccounts: {rows: [{name: "Cash"}]}}) { state created } }'


@pytest.fixture
def send(user):
    """Send a request with the user's token."""

    async def ask(method, path, body, headers):
        return await AsyncClient().generic(method, path, body, "application/json", headers=headers)

    def perform(method, path, body=""):
        return async_to_sync(ask)(method, path, body, {"Authorization": f"Bearer {token_for(user)}"})

    return perform


@pytest.fixture
def _atomic_requests(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_atomic_requests")
class TestAtomicRequests:
    """Django refuses async views in a transaction of its own, and our views commit by themselves."""

    def test_a_mutation_answers_when_its_operation_is_committed(self, send):
        answer = send("POST", "/graphql", json.dumps({"query": CREATE}))

        assert answer.json() == {"data": {"bulkCreate": {"state": "COMPLETED", "created": 1}}}
        assert FinancialAccount.objects.count() == 1

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("POST", "/uploads", 412),
            ("PUT", "/uploads/00000000-0000-0000-0000-000000000000", 404),
            ("GET", "/files/00000000-0000-0000-0000-000000000000/x/results.csv", 404),
            ("GET", "/files/templates/x/accounts.xlsx", 404),
            ("GET", "/healthz", 200),
            ("GET", "/readyz", 200),
        ],
    )
    def test_all_other_addresses_answer_as_they_do_without(self, send, method, path, status):
        assert send(method, path).status_code == status
