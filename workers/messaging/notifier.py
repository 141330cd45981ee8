"""A message in Redis -> the consumers that wait for one, at once.

dramatiq's consumers ask for messages, and sleep the longer the more often there are none: a twentieth of a second for
each step of an operation, and questions without end while there is nothing to do. So who sends a message publishes that
there is one, and consumers sleep until they hear of it. What is lost, or said while Redis is away, they find by asking.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

logger = logging.getLogger("bulkql")

CHANNEL = "bulkql.notifier"
#: Seconds between two tries to listen.
AGAIN_SECONDS = 1


class Notifier:
    """What consumers of this process wait for."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._changed = threading.Condition()
        self._listener: threading.Thread | None = None
        #: How often it was heard.
        self.count = 0

    def notify(self) -> None:
        """Wake the consumers of all processes."""
        try:
            self._client.publish(CHANNEL, b"")
        except redis.RedisError as error:
            logger.debug("consumers were not notified (%s)", type(error).__name__)

    def wake(self) -> None:
        """Wake the consumers of this process."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, count: int, seconds: float) -> None:
        """Until it has been heard since it was heard so often, or until the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self.count != count, seconds)

    def listen(self) -> None:
        """Hear what others ring, from now on."""
        with self._changed:
            if self._listener is None:
                self._listener = threading.Thread(target=self._run, name="bulkql-notifier", daemon=True)
                self._listener.start()

    def _run(self) -> None:
        while True:
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                    pubsub.subscribe(CHANNEL)
                    for _ in pubsub.listen():
                        self.wake()
            except (redis.RedisError, OSError):
                time.sleep(AGAIN_SECONDS)  # until Redis is back


class WakingConsumer(dramatiq.Consumer):
    """A consumer that looks for messages when the notifier is heard, and every so many seconds."""

    def __init__(self, consumer: Any, notifier: Notifier, seconds: float) -> None:
        self._consumer = consumer
        self._notifier = notifier
        self._seconds = seconds

    def ack(self, message: Any) -> None:
        self._consumer.ack(message)
        # There is room for another.
        self._notifier.wake()

    def nack(self, message: Any) -> None:
        self._consumer.nack(message)
        self._notifier.wake()

    def requeue(self, messages: Any) -> None:
        self._consumer.requeue(messages)

    def __next__(self) -> Any:
        count = self._notifier.count
        message = next(self._consumer)
        if message is None:
            self._notifier.wait(count, self._seconds)
        return message

    def close(self) -> None:
        self._consumer.close()


class NotifyingBroker(RedisBroker):
    """dramatiq's Redis broker, with a notifier."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.notifier = Notifier(self.client)

    def enqueue(self, message: Any, *, delay: int | None = None) -> Any:
        sent = super().enqueue(message, delay=delay)
        self.notifier.notify()
        return sent

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> WakingConsumer:
        self.notifier.listen()
        # Its own sleep is a millisecond's.
        return WakingConsumer(super().consume(queue_name, prefetch, timeout=1), self.notifier, timeout / 1000)
