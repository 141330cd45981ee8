"""A subscription to all of one's operations: one's own, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from bulkql.server.client import BulkClient, RequestFailed
from tests.acceptance.rows import transactions
from tests.acceptance.service import CREATE
from tests.acceptance.test_access import user

OPERATIONS = "subscription { operations { id state total processed label } }"


def create(service: Any, token: str, label: str, start: int) -> str:
    given = {"financialTransactions": {"rows": transactions(60, start=start)}}
    answer = service.post(CREATE, token=token, input=given, options={"mode": "ASYNC", "label": label})
    return str(answer["data"]["bulkCreate"]["id"])


def test_own_operations_are_told_from_the_first_to_the_last_and_no_others(service):
    clerk = user(service, "clerk", "add_financialtransaction")
    with service.suspended():
        first = create(service, clerk, "before the subscription", 0)
        events = BulkClient(service.url, clerk).subscribe(OPERATIONS)

        seen = [next(events)["operations"]]
        create(service, service.token, "another's", 1_000)
        second = create(service, clerk, "after it", 2_000)
    while sum(event["state"] == "COMPLETED" for event in seen) < 2:
        seen.append(next(events)["operations"])
    events.close()  # type: ignore[attr-defined]

    assert seen[0] == {"id": first, "state": "QUEUED", "total": 60, "processed": 0, "label": "before the subscription"}
    assert {event["id"] for event in seen} == {first, second}
    for operation_id in (first, second):
        processed = [event["processed"] for event in seen if event["id"] == operation_id]
        assert processed == sorted(processed)
        assert processed[-1] == 60


def test_one_operation_is_told_to_all_who_may_watch_it_and_to_no_others(service):
    clerk = user(service, "clerk", "add_financialtransaction")
    stranger = user(service, "stranger", "add_financialtransaction")
    with service.suspended():
        operation = create(service, clerk, "watched by three", 3_000)
        watching = [BulkClient(service.url, token).watch(operation) for token in (clerk, clerk, service.token)]
        events = [[next(one)] for one in watching]

        # The same text and variables as the others', whose execution is going on.
        with pytest.raises(RequestFailed) as refused:
            next(BulkClient(service.url, stranger).watch(operation))
        watching.append(BulkClient(service.url, clerk).watch(operation))
        events.append([next(watching[-1])])
        watching.pop(0).close()  # type: ignore[attr-defined]
        events.pop(0)
    for told, one in zip(events, watching, strict=True):
        told.extend(one)

    assert refused.value.errors[0]["extensions"]["code"] == "NOT_FOUND"
    for told in events:
        assert (told[0]["state"], told[0]["processed"]) == ("QUEUED", 0)
        assert (told[-1]["state"], told[-1]["processed"]) == ("COMPLETED", 60)
        assert [one["processed"] for one in told] == sorted(one["processed"] for one in told)
