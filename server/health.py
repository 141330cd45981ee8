"""Whether the service lives, and whether it can serve."""

from __future__ import annotations

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse


async def live(request: HttpRequest) -> HttpResponse:
    """GET /healthz: the process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> HttpResponse:
    """GET /readyz: database and Redis answer too; 503 names the one that does not."""
    checks = {"database": is_up(ask_database), "redis": is_up(ask_redis)}
    status = "ok" if all(checks.values()) else "unavailable"
    return JsonResponse({"status": status, **checks}, status=200 if status == "ok" else 503)


def is_up(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (DatabaseError, redis.RedisError):
        return False
    return True


def ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def ask_redis() -> None:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()
