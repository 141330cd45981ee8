"""Whether the service lives, and whether it can serve."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import redis
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse, JsonResponse

from bulkql.workers.messaging.servers import redis_url
from bulkql.workers.resources.tables import lacking_tables

T = TypeVar("T")

#: Seconds in which the database and Redis have to answer, both together: orchestrators give up after two.
ANSWER_SECONDS = 1.2
#: Ask the database and Redis. One thread each: while a question hangs, the next ones time out behind it, and no threads
#: pile up.
_asking_database = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readyz-database")
_asking_redis = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readyz-redis")
#: Whether all tables have been found; tables that are there stay, so they are looked for until then.
_is_complete = False


async def live(request: HttpRequest) -> HttpResponse:
    """GET /healthz: the process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> HttpResponse:
    """GET /readyz: database and Redis answer, and all tables are there; 503 names what fails."""
    deadline = time.monotonic() + ANSWER_SECONDS
    database, notifier = _asking_database.submit(ask_database), _asking_redis.submit(has_redis)
    missing, has_answered = answer_of(database, deadline), answer_of(notifier, deadline)
    checks = {"database": missing is not None, "redis": bool(has_answered)}
    status = "ok" if all(checks.values()) and not missing else "unavailable"
    body = {"status": status, **checks, **({"missing": missing} if missing else {})}
    return JsonResponse(body, status=200 if status == "ok" else 503)


def answer_of(asked: Future[T], deadline: float) -> T | None:
    """The answer to a question; None where it does not come in time."""
    try:
        return asked.result(max(deadline - time.monotonic(), 0))
    except (DatabaseError, TimeoutError):
        # Who asks next need not wait behind a question that nobody asks any more.
        asked.cancel()
        return None


def ask_database() -> list[str]:
    """What the database lacks, in sentences; on a connection that is given back."""
    global _is_complete
    try:
        with closing(own_connection()) as own, own.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = [] if _is_complete else lacking_tables()
        _is_complete = not missing
        return missing
    finally:
        connections.close_all()


def own_connection() -> BaseDatabaseWrapper:
    """A connection for these questions alone: that others have taken the whole pool says nothing of the database."""
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    options = {name: value for name, value in own.settings_dict["OPTIONS"].items() if name != "pool"}
    own.settings_dict = {**own.settings_dict, "OPTIONS": options}
    return own


def has_redis() -> bool:
    """Whether Redis answers in time."""
    try:
        with redis.Redis.from_url(
            redis_url(), socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        ) as client:
            client.ping()
    except redis.RedisError:
        return False
    return True
