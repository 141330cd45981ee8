"""Operations whose next turn comes in a moment -> woken for it, in this process. What it forgets, the rescue finds."""

from __future__ import annotations

import threading
import time
from uuid import UUID


class Alarms:
    """When operations are due, by time.monotonic(). One thread waits for them: the rescue's."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[UUID, float] = {}
        self._is_heard = False

    def set(self, operation_id: UUID, seconds: float) -> None:
        """Wake the thread that waits in so many seconds; in web processes there is none, and workers will see."""
        with self._changed:
            if not self._is_heard:
                return
            self._due[operation_id] = time.monotonic() + seconds
            self._changed.notify_all()

    def wait(self, seconds: float) -> list[UUID]:
        """The operations that are due, once there are any; none after so many seconds."""
        until = time.monotonic() + seconds
        with self._changed:
            self._is_heard = True
            while True:
                now = time.monotonic()
                due = [one for one, at in self._due.items() if at <= now]
                if due or now >= until:
                    for one in due:
                        del self._due[one]
                    return due
                self._changed.wait(min([until, *self._due.values()]) - now)


alarms = Alarms()
