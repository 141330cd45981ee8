"""errorGroups: what is wrong with a file of many rows, at a glance."""

from __future__ import annotations

import pytest

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.enums import Verb
from bulkql.workers.ledger import groups

pytestmark = pytest.mark.django_db(transaction=True)

GROUPS = "query ($id: ID!) { operation(id: $id) { errorGroups { resource code path message count example } } }"


def groups_of(ask, user, done):
    return ask(user, GROUPS, id=str(done.operation.pk))["operation"]["errorGroups"]


@pytest.mark.parametrize("chunk_size", [1, 3, 100])
def test_errors_are_counted_by_field_and_code(ask, user, bulk, chunk_size):
    FinancialAccount.objects.create(name="Cash")
    rows = [{"name": "Cash"}, {"name": 1}, {"name": "Bank"}, {"name": True}, {"name": ""}, {"name": 2}, {"colour": "x"}]

    done = bulk(Verb.CREATE, "financialAccounts", rows, chunk_size=chunk_size)

    told = groups_of(ask, user, done)
    found = [(one["path"], one["code"], one["count"], one["example"]) for one in told]
    assert found[:2] == [("name", "INVALID", 3, "1"), ("name", "REQUIRED", 2, "")]
    assert sorted(found[2:]) == [("colour", "UNKNOWN_FIELD", 1, '"x"'), ("name", "ALREADY_EXISTS", 1, None)]
    assert sum(one["count"] for one in told) == len(done.errors)
    assert {one["message"] for one in told} <= {one["message"] for one in done.errors}


def test_resources_are_counted_apart_and_without_errors_there_are_no_groups(ask, user, bulk):
    first = bulk(Verb.CREATE, "financialAccounts", [{"name": "Cash"}])
    second = bulk(Verb.CREATE, "keepers", [{"code": None}, {"code": "a b"}, {"code": "c d"}])

    assert groups_of(ask, user, first) == []
    assert [(one["resource"], one["code"], one["count"]) for one in groups_of(ask, user, second)] == [
        ("keepers", "INVALID", 2),
        ("keepers", "NULL_NOT_ALLOWED", 1),
    ]


@pytest.mark.parametrize("chunk_size", [1, 5])
def test_as_many_groups_are_told_as_anybody_reads(ask, user, bulk, monkeypatch, chunk_size):
    monkeypatch.setattr(groups, "GROUPS", 2)
    monkeypatch.setattr(groups, "MOST_COUNTED", 11)
    rows = [{"name": f"n{number}", f"colour{number}": "x"} for number in range(10)] + [{"name": 1}] * 3

    done = bulk(Verb.CREATE, "financialAccounts", rows, chunk_size=chunk_size)

    told = groups_of(ask, user, done)
    assert [(one["path"], one["count"]) for one in told] == [("name", 3), ("colour0", 1)]


def test_whoever_may_not_read_the_rows_reads_their_counts_alone(ask, user, bulk, django_user_model):
    staff = django_user_model.objects.create_user("eve", is_staff=True)
    done = bulk(Verb.CREATE, "financialAccounts", [{"name": ["secret"]}])

    (told,) = groups_of(ask, staff, done)

    assert (told["count"], told["code"], told["example"]) == (1, "INVALID", None)
    assert told["message"] == "Reading this needs the permission ledger.view_financialaccount."
