"""GET /metrics: what a monitoring system is told, and who may ask."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from bulkql.server.auth import token_for
from bulkql.workers.enums import State, Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.models import Chunk, Delivery, Operation
from bulkql.workers.operations import steps
from bulkql.workers.resources.registry import resource_named
from tests.integration.turns import fresh_queue

__all__ = ["fresh_queue"]

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "monitoring.md"

pytestmark = pytest.mark.django_db(transaction=True)


def asked(user, method="GET", **headers):
    if user is not None:
        headers["Authorization"] = f"Bearer {token_for(user)}"
    return Client().generic(method, "/metrics", headers=headers)


def figures(user):
    """Name and labels, these in their own order -> value."""
    answer = asked(user)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert answer["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.content.decode())
    samples = [one for family in families for one in family.samples]
    return {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in samples}


def accepted(user, rows, **options):
    given = InputRequest(resource=resource_named("folders"), rows=[{"name": f"f{n}"} for n in range(rows)])
    request = BulkRequest(verb=Verb.CREATE, user=user, inputs=[given], mode=Mode.ASYNC, **options)
    return accept(request)[0]


@pytest.mark.usefixtures("fresh_queue")
def test_an_idle_service_has_a_figure_for_everything(user):
    found = figures(user)

    assert set(found.values()) == {0}
    states = product(["QUEUED", "RUNNING", "PAUSED", "CANCELING"], Verb.values)
    assert {tuple(labels) for name, *labels in found if name == "bulkql_operations"} == set(states)
    assert ("bulkql_messages", "small") in found
    assert ("bulkql_worker_processes",) in found


def test_who_accepts_openmetrics_is_told_in_it(user):
    answer = asked(user, Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")

    assert answer["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.content.endswith(b"# EOF\n")


def test_every_figure_is_documented(user):
    documented = re.findall(r"^\| `(bulkql_\w+)`", DOCUMENTATION.read_text(), re.MULTILINE)

    assert documented == list(dict.fromkeys(name for name, *_ in figures(user)))


@pytest.mark.usefixtures("fresh_queue")
def test_what_waits_is_told_until_it_is_over(user):
    operation = accepted(user, 5, chunk_size=2)
    Operation.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    Chunk.objects.filter(number=1).update(attempts=2)
    Delivery.objects.create(operation=operation, url="https://example.com/")

    found = figures(user)

    assert found["bulkql_operations", "QUEUED", "CREATE"] == 1
    assert 300 <= found["bulkql_longest_wait_seconds",] < 400
    assert [found[name,] for name in ("bulkql_chunks", "bulkql_chunk_rows", "bulkql_chunks_tried_again")] == [3, 5, 1]
    assert found["bulkql_webhooks",] == 0  # it is due at the end

    for chunk in operation.chunks.all():
        steps.write_chunk(chunk.pk, dispatches=False)
    operation.refresh_from_db()

    assert operation.state == State.COMPLETED
    found = figures(user)
    assert found["bulkql_webhooks",] == 1
    assert {value for (name, *_), value in found.items() if name != "bulkql_webhooks"} == {0}


@pytest.mark.usefixtures("fresh_queue")
def test_what_is_for_later_does_not_wait_yet(user):
    accepted(user, 1, start_at=timezone.now() + timedelta(hours=1))

    found = figures(user)

    assert (found["bulkql_operations", "QUEUED", "CREATE"], found["bulkql_longest_wait_seconds",]) == (1, 0)


def test_without_redis_the_figures_of_the_database_are_told(user, settings):
    settings.BULKQL_QUEUE_URL = "redis://127.0.0.1:1/0"  # nobody listens there

    names = {name for name, *_ in figures(user)}

    assert "bulkql_operations" in names
    assert names.isdisjoint({"bulkql_messages", "bulkql_worker_processes"})


def test_only_who_may_view_operations_is_told(django_user_model):
    other = django_user_model.objects.create_user("olga")

    assert asked(None).status_code == 401
    assert asked(None).json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert asked(other).status_code == 403
    (error,) = asked(other).json()["errors"]
    assert error["message"] == "You may not read metrics: they need the permission bulkql.view_operation."
    assert error["extensions"]["code"] == "FORBIDDEN"

    other.user_permissions.add(Permission.objects.get(codename="view_operation"))

    assert asked(other).status_code == 200
    assert asked(other, "HEAD").content == b""
    assert asked(other, "POST").status_code == 405
