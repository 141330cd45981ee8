"""Small requests, of which somebody waits for the answer."""

from __future__ import annotations

import time
from statistics import median
from time import perf_counter

from bench import work
from bench.case import case
from bench.client import document
from bench.request import request, send_rows
from bench.rows import slices
from bench.stage import Stage, Timing
from bench.target import Target

SYNC_ROWS = 50
ASYNC_ROWS = 100
#: Seconds in which a service becomes idle; odd, so that they keep no step with anyone's polling.
PAUSE_SECONDS = 0.337
STATE = "query ($id: ID!) { operation(id: $id) { state processed } }"


@case(Target(measure="seconds", most=0.025), work=work.create, rows=50 * SYNC_ROWS, quick_rows=10 * SYNC_ROWS)
def sync_50(stage: Stage) -> Timing:
    """SYNC request of 50 rows over kept-alive HTTP."""
    waited = []
    for rows in slices(stage.work.sent, SYNC_ROWS):
        body = request("Create", "financialTransactions", mode="SYNC", rows=rows)
        started = perf_counter()
        operation = stage.client.post(body)["bulkCreate"]
        waited.append(perf_counter() - started)
        if operation["state"] != "COMPLETED":
            raise SystemExit(f"A SYNC request came back as {operation}")
    return Timing(seconds=median(waited), parts={"slowest": max(waited)})


@case(Target(measure="seconds", most=0.15), work=work.create, rows=20 * ASYNC_ROWS, quick_rows=5 * ASYNC_ROWS)
def async_100(stage: Stage) -> Timing:
    """ASYNC operation of 100 rows on an idle service, to the final event."""
    timings = []
    for rows in slices(stage.work.sent, ASYNC_ROWS):
        time.sleep(PAUSE_SECONDS)  # the service is to be idle
        timings.append(send_rows(stage, "Create", rows))
    return Timing(
        seconds=median(one.seconds for one in timings),
        parts={
            "answer": median(one.parts["answer"] for one in timings),
            "write": median(one.parts["write"] for one in timings),
            "slowest": max(one.seconds for one in timings),
        },
    )


@case(
    Target(measure="seconds", most=0.5),
    work=work.create_with_more,
    rows=1_000_000,
    quick_rows=150_000,
    repetitions=3,
)
def beside_million(stage: Stage) -> Timing:
    """100 rows while a large CSV file is written, to their final event."""
    assert stage.work.more is not None
    upload_id = stage.client.upload(stage.work.sent.path)
    body = request("Create", "financialTransactions", file={"uploadId": upload_id})
    operation = stage.client.post(body)["bulkCreate"]["id"]
    waited = []
    while (seen := state(stage, operation))["processed"] == 0 and seen["state"] in ("QUEUED", "RUNNING"):
        time.sleep(PAUSE_SECONDS / 10)  # as a script asks
    for rows in slices(stage.work.more, ASYNC_ROWS):
        timing = send_rows(stage, "Create", rows)
        # One that ended after the large operation had nothing to wait for.
        if state(stage, operation)["state"] == "RUNNING":
            waited.append(timing.seconds)
        time.sleep(PAUSE_SECONDS)  # spread over the large operation
    stage.client.watch(operation)
    if not waited:
        raise SystemExit("The large operation was over before the small one; give it more rows.")
    return Timing(seconds=median(waited), parts={"slowest": max(waited)}, events=len(waited))


def state(stage: Stage, operation: str) -> dict[str, object]:
    """An operation's state and count."""
    found: dict[str, object] = stage.client.post(document(STATE, id=operation))["operation"]
    return found
