"""Whether the service lives, and whether it can serve."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import redis
from django.db import DatabaseError, connection, connections
from django.http import HttpRequest, HttpResponse, JsonResponse

from bulkql.workers.messaging.servers import redis_url
from bulkql.workers.resources.tables import lacking_tables

#: Seconds in which the database and Redis have to answer.
ANSWER_SECONDS = 2
#: Asks the database. One thread: while a question hangs, the next ones time out behind it, and no threads pile up.
_asking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readyz")
#: Whether all tables have been found; tables that are there stay, so they are looked for until then.
_is_complete = False


async def live(request: HttpRequest) -> HttpResponse:
    """GET /healthz: the process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> HttpResponse:
    """GET /readyz: database and Redis answer, and all tables are there; 503 names what fails."""
    missing = missing_tables()
    checks = {"database": missing is not None, "redis": has_redis()}
    status = "ok" if all(checks.values()) and not missing else "unavailable"
    body = {"status": status, **checks, **({"missing": missing} if missing else {})}
    return JsonResponse(body, status=200 if status == "ok" else 503)


def missing_tables() -> list[str] | None:
    """What the database lacks, in sentences; None where it does not answer in time."""
    try:
        return _asking.submit(ask_database).result(ANSWER_SECONDS)
    except (DatabaseError, TimeoutError):
        return None


def ask_database() -> list[str]:
    """The same, on a connection that is given back."""
    global _is_complete
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = [] if _is_complete else lacking_tables()
        _is_complete = not missing
        return missing
    finally:
        connections.close_all()


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
