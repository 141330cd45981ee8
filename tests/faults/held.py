"""What a running stack holds: memory, files, connections, keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import psutil
import redis

from bulkql.workers.messaging.servers import next_database
from tests.faults.stack import Stack

#: How much each figure may grow from the first samples to the last: MB, files, connections, keys.
BOUNDS = {
    "web MB": 80,
    "worker MB": 80,
    "workers MB": 250,
    "Redis MB": 30,
    "web files": 30,
    "worker files": 15,
    "connections": 15,
    "Redis keys": 60,
}
#: Samples at each end, whose median is compared.
ENDS = 3


@dataclass(frozen=True)
class Held:
    """A sample."""

    seconds: float
    operations: int
    figures: dict[str, float]


def look(stack: Stack, seconds: float, operations: int) -> Held:
    """What is held now. `worker` is the eldest of the workers, `workers` are all of them with their masters."""
    workers = sorted(stack.workers(), key=psutil.Process.create_time)
    web = list(stack.supervisor.named("web"))
    figures = {
        "web MB": total(web, megabytes),
        "worker MB": total(workers[:1], megabytes),
        "workers MB": total([*workers, *stack.masters()], megabytes),
        "Redis MB": total(list(stack.supervisor.named("redis")), megabytes),
        "web files": total(web, psutil.Process.num_fds),
        "worker files": total(workers[:1], psutil.Process.num_fds),
        "connections": connections(stack),
        "Redis keys": keys(stack),
    }
    return Held(seconds, operations, figures)


def grown(samples: list[Held]) -> list[str]:
    """What grew beyond its bound, in words."""
    found = []
    for name, bound in BOUNDS.items():
        first, last = (median(one.figures[name] for one in some) for some in (samples[:ENDS], samples[-ENDS:]))
        if last - first > bound:
            found.append(f"{name} grew from {first:,.0f} to {last:,.0f}, by more than {bound}")
    return found


def total(processes: list[psutil.Process], of: Callable[[psutil.Process], float]) -> float:
    figures = []
    for process in processes:
        try:
            figures.append(of(process))
        except psutil.NoSuchProcess:
            continue
    return sum(figures)


def megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 1e6


def connections(stack: Stack) -> float:
    query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    return float(stack.service.sql(query)[0][0])


def keys(stack: Stack) -> float:
    """Of progress and of the queue."""
    url = stack.service.state["REDIS_URL"]
    count = 0
    for one in (url, next_database(url)):
        with redis.Redis.from_url(one) as client:
            count += int(client.dbsize())
    return float(count)
