"""GET /metrics -> what waits, for how long, and who works, in Prometheus' format.

Each figure is read from the database and Redis when it is asked for: it is the same whichever process answers, and
no restart forgets it. https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from itertools import product

from asgiref.sync import sync_to_async
from django.db.models import Count, DateTimeField, Min, Q
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry
from redis import RedisError

from bulkql.schema.context import SIGN_IN
from bulkql.server.auth import failure, user_of_request
from bulkql.server.door.refusals import serves
from bulkql.workers.backends import whole_sum
from bulkql.workers.enums import DeliveryState, State, Verb
from bulkql.workers.messaging.queues import listening_workers, waiting_messages
from bulkql.workers.models import Chunk, Delivery, Operation

#: Django's own, as its admin asks for it.
VIEW = "bulkql.view_operation"
UNFINISHED = [state for state in State if state not in State.final()]


@serves("GET", "HEAD")
async def metrics(request: HttpRequest) -> HttpResponseBase:
    """The figures, for users who may view operations: they tell of the work of all others."""
    user = await user_of_request(request)
    if not user.is_authenticated:
        return failure(SIGN_IN, "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED)
    if not await sync_to_async(user.has_perm)(VIEW):
        return failure(f"You may not read metrics: they need the permission {VIEW}.", "FORBIDDEN", HTTPStatus.FORBIDDEN)
    # OpenMetrics for those who accept it.
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    text = await sync_to_async(encode)(registry)
    return HttpResponse(text, content_type=content_type, headers={"Cache-Control": "no-store"})


class Figures(Collector):
    """What is known now; raises DatabaseError. What is over is not counted: it is removed with its results."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield operations()
        yield gauge(
            "bulkql_longest_wait_seconds", "Seconds since the first of the QUEUED operations could begin.", waited()
        )
        yield from chunks()
        # Without Redis these are absent, which alerts can ask for, and the others are not lost with them.
        with suppress(RedisError):
            yield by_label("bulkql_messages", "Messages that no worker has taken.", "queue", waiting_messages())
            yield gauge("bulkql_worker_processes", "Worker processes that listen for messages.", listening_workers())
        pending = Delivery.objects.filter(state=DeliveryState.PENDING, operation__finished_at__isnull=False)
        yield gauge("bulkql_webhooks", "Webhooks of operations that are over, not yet delivered.", pending.count())


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def by_label(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    """A gauge with a value for each of its label's."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for of_label, value in values.items():
        family.add_metric([of_label], value)
    return family


def operations() -> GaugeMetricFamily:
    """How many are not over, also where there are none: an alert needs a figure to compare."""
    family = GaugeMetricFamily("bulkql_operations", "Operations that are not over.", labels=["verb", "state"])
    unfinished = Operation.objects.filter(finished_at=None).order_by()
    counted = unfinished.values_list("verb", "state").annotate(Count("pk"))
    found = Counter({(verb, state): count for verb, state, count in counted})
    for verb, state in product(Verb, UNFINISHED):
        family.add_metric([verb.value, state.value], found[verb.value, state.value])
    return family


def waited() -> float:
    """Seconds; 0 where none waits. One that is for later does not wait before its time."""
    begin = Coalesce("start_at", "created_at", output_field=DateTimeField())
    queued = Operation.objects.filter(finished_at=None, state=State.QUEUED).annotate(begin=begin)
    first: datetime | None = queued.filter(begin__lte=Now()).aggregate(first=Min("begin"))["first"]
    return 0 if first is None else (timezone.now() - first).total_seconds()


def chunks() -> Iterator[GaugeMetricFamily]:
    """What is stored of operations that are not over, and is not yet written."""
    left = Chunk.objects.filter(recorded_at=None, operation__finished_at=None).aggregate(
        chunks=Count("pk"), rows=whole_sum("row_count"), failing=Count("pk", filter=Q(attempts__gt=1))
    )
    yield gauge("bulkql_chunks", "Chunks that are stored and not yet written.", left["chunks"])
    yield gauge("bulkql_chunk_rows", "Rows of these chunks.", left["rows"])
    yield gauge("bulkql_chunks_tried_again", "Chunks, of these, that were begun more than once.", left["failing"])
