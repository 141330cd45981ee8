"""A thousand pages that watch one operation."""

from __future__ import annotations

from bisect import bisect_left
from statistics import median, quantiles
from time import perf_counter

from bench import commits, subscribers, work
from bench.case import case
from bench.request import request
from bench.stage import Stage, Timing
from bench.target import Target

SUBSCRIBERS = 1_000
QUICK_SUBSCRIBERS = 50
#: So many that the operation is still at work when the last has subscribed; fewer are a quick run.
MANY_ROWS = 2_000_000


@case(
    Target(measure="seconds", most=0.25),
    Target(measure="events_per_second", most=10),
    work=work.create,
    rows=MANY_ROWS,
    quick_rows=100_000,
    repetitions=2,
)
def subscribers_1000(stage: Stage) -> Timing:
    """Commit of a chunk to its frame, with 1,000 websocket subscribers (quick: 50), p99."""
    number = SUBSCRIBERS if stage.work.sent.count >= MANY_ROWS else QUICK_SUBSCRIBERS
    with (
        subscribers.connected(stage.service.url, stage.service.token, number) as watching,
        commits.heard(stage.service.database_url) as committed,
    ):
        upload_id = stage.client.upload(stage.work.sent.path)
        body = request("Create", "financialTransactions", file={"uploadId": upload_id})
        operation = stage.client.post(body)["bulkCreate"]["id"]
        began_at = perf_counter()
        joined_at = watching.subscribe(operation)
        arrivals = watching.arrivals()
        stage.client.watch(operation)
    counted = [commit for commit in committed.of(operation) if commit[0] >= joined_at]
    if len(counted) < 2:
        raise SystemExit(
            f"The operation was over before all had subscribed, after {joined_at - began_at:.1f} s; give it more rows."
        )
    waited = [delay(commit, frames) for commit in counted for frames in arrivals]
    return Timing(
        seconds=quantiles(waited, n=100)[98],
        parts={"p50": median(waited), "slowest": max(waited), "all subscribed after": joined_at - began_at},
        events=max(map(len, arrivals)),
        events_per_second=max(map(rate, arrivals)),
    )


def delay(commit: tuple[float, int], frames: list[tuple[float, int]]) -> float:
    """Seconds from a commit to the first frame that tells of it; where its event was left out, that is the next one."""
    at, total = commit
    place = bisect_left(frames, total, key=lambda frame: frame[1])
    return frames[place][0] - at


def rate(frames: list[tuple[float, int]]) -> float:
    """Events a second, from the first to the last."""
    return (len(frames) - 1) / max(frames[-1][0] - frames[0][0], 1)
