"""A process whose clock is off: by as many seconds as a file says, for as long as it lies there.

What Python's `time.time()` and Django's `timezone.now()` tell is moved, and nothing below them.
"""

from __future__ import annotations

import datetime
import os
import threading
import time
from pathlib import Path
from typing import Any

from django.utils import timezone

#: Seconds between two looks at the file.
LOOK = 0.1

_seconds = 0.0
_real = time.time


def file_of(directory: Path, pid: int) -> Path:
    return directory / f"clock-{pid}"


def follow(directory: Path) -> None:
    """Have this process's clock go by the file from now on."""
    now = timezone.now

    def moved_now() -> Any:
        return now() + datetime.timedelta(seconds=_seconds)

    time.time = moved_time
    timezone.now = moved_now
    import dramatiq.common  # it keeps the function by its name

    dramatiq.common.time = moved_time
    threading.Thread(target=watch, args=(directory,), name="fault-clock", daemon=True).start()


def moved_time() -> float:
    return _real() + _seconds


def watch(directory: Path) -> None:
    global _seconds
    while True:
        try:
            _seconds = float(file_of(directory, os.getpid()).read_text() or 0)
        except FileNotFoundError:
            _seconds = 0.0
        time.sleep(LOOK)
