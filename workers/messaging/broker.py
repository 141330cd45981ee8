"""dramatiq over Redis: the notifier. What it loses, the rescue dispatches again."""

from __future__ import annotations

from typing import Any

import dramatiq
from django.db import close_old_connections
from dramatiq.middleware import AgeLimit, Callbacks, Pipelines, Retries, ShutdownNotifications, TimeLimit

from bulkql.workers.messaging.notifier import NotifyingBroker
from bulkql.workers.messaging.servers import queue_url


class DatabaseConnections(dramatiq.Middleware):
    """Django's per-request care for its connections, per message."""

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        close_old_connections()

    def after_process_message(
        self, broker: dramatiq.Broker, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        close_old_connections()


#: Ours alone: actors name it, so that the actors of a project keep the broker that the project has set.
broker = NotifyingBroker(
    url=queue_url(),
    namespace="bulkql",
    # By default, the messages of a killed worker come back after a minute and a lottery of another seven.
    maintenance_chance=1_000_000,
    heartbeat_timeout=15_000,
    middleware=[
        AgeLimit(),
        TimeLimit(),
        ShutdownNotifications(),
        Callbacks(),
        Pipelines(),
        Retries(max_retries=4, min_backoff=100, max_backoff=5_000),
        DatabaseConnections(),
    ],
)
