"""dramatiq over Redis: the notifier. What it loses, the rescue dispatches again."""

from __future__ import annotations

import threading
import time
from typing import Any

import dramatiq
import dramatiq.worker
from django.db import close_old_connections
from dramatiq.middleware import AgeLimit, Callbacks, Pipelines, Retries, ShutdownNotifications, TimeLimit

from bulkql.workers.messaging.notifier import NotifyingBroker
from bulkql.workers.messaging.servers import client_of, queue_url


class DatabaseConnections(dramatiq.Middleware):
    """Django's per-request care for its connections, per message."""

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        close_old_connections()

    def after_process_message(
        self, broker: dramatiq.Broker, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        close_old_connections()


#: Seconds after which Redis is asked again once it was away. By default consumers wait for three, and a worker that has
#: finished a chunk for five. There is no setting for the latter.
AGAIN_SECONDS = 0.25
vars(dramatiq.worker).update(
    CONSUMER_RESTART_DELAY_SECS=AGAIN_SECONDS, POST_PROCESS_MESSAGE_RETRY_DELAY_SECS=AGAIN_SECONDS
)


#: Ends what hangs, each actor by its own limit.
time_limit = TimeLimit()


def grant_time(seconds: float) -> None:
    """Let the message that this thread works on, if it is one, take at least so long from now."""
    # Untyped, and under gevent, which we do not run, of another class.
    manager: Any = time_limit.manager
    thread = threading.get_ident()
    ends_at = manager.deadlines.get(thread)
    if ends_at is not None and ends_at < time.monotonic() + seconds:
        manager.add_timeout(thread, seconds * 1_000)


#: Ours alone: actors name it, so that the actors of a project keep the broker that the project has set.
broker = NotifyingBroker(
    client=client_of(queue_url()),
    namespace="bulkql",
    # By default, the messages of a killed worker come back after a minute and a lottery of another seven. A worker that
    # lives and is slow loses its messages too soon; they come twice then, which does no harm.
    maintenance_chance=1_000_000,
    heartbeat_timeout=5_000,
    middleware=[
        AgeLimit(),
        time_limit,
        ShutdownNotifications(),
        Callbacks(),
        Pipelines(),
        # Longer than PostgreSQL takes to come back: what is given up here is dispatched again only after a while.
        Retries(max_retries=8, min_backoff=100, max_backoff=5_000),
        DatabaseConnections(),
    ],
)
