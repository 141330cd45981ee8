"""A Django app of the processes under attack: it holds whoever comes to a named point of the pipeline for which a file
lies there, until the file is gone. The harness does the rest: nothing of this is in the product."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.apps import AppConfig

from tests.faults.points import clocks

BEFORE, AFTER = "before", "after"

#: Point -> the functions before or after which a process is there.
POINTS: dict[str, list[tuple[str, str, str]]] = {
    "after store": [("operations.running", "hand_over", BEFORE)],
    "before dispatch": [("messaging.dispatch", "send", BEFORE)],
    "after claim": [("ledger.claims", f"claim_{what}", AFTER) for what in ("chunk", "input", "operation")],
    "while reading": [("ledger.claims", "hold_input", AFTER), ("ledger.claims", "read_to_end", BEFORE)],
    "before copy": [("columns.copying", "copy", BEFORE)],
    "after copy": [("columns.copying", "copy", AFTER)],
    "before commit": [
        ("ledger.entries", "record", AFTER),
        ("ledger.entries", "record_all", AFTER),
        ("operations.inline", "mark_finished", AFTER),
    ],
    "after commit": [
        ("operations.chunks", "write_and_record", AFTER),
        ("operations.atomic", "write_or_roll_back", AFTER),
        ("operations.running", "store_and_write", AFTER),
    ],
    "before publish": [("messaging.events", "publish_now", BEFORE)],
    "before finish": [("ledger.endings", "finish", BEFORE)],
}

#: Nobody is held longer, should the harness be gone.
HELD_SECONDS = 10


class Points(AppConfig):
    """Named in BULKQL_APPS as tests.faults.points.apps.Points."""

    name = "tests.faults.points"
    label = "fault_points"

    def ready(self) -> None:
        directory = Path(os.environ["FAULT_POINTS"])
        clocks.follow(directory)
        for point, functions in POINTS.items():
            for module, function, when in functions:
                wrap(f"bulkql.workers.{module}", function, functools.partial(pass_by, directory, point), when)


def wrap(module: str, function: str, visit: Callable[[], None], when: str) -> None:
    """Visit the point before or after the function, under whichever name it was imported."""
    original = getattr(importlib.import_module(module), function)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if when == BEFORE:
            visit()
        answer = original(*args, **kwargs)
        if when == AFTER:
            visit()
        return answer

    for loaded in [one for name, one in sys.modules.items() if name.startswith("bulkql.")]:
        for name, value in list(vars(loaded).items()):
            if value is original:
                setattr(loaded, name, wrapped)


def pass_by(directory: Path, point: str) -> None:
    """Go on, unless a file of the point's name lies there: then the first to come waits until it is taken away."""
    held = directory / f"{point}.{os.getpid()}"
    try:
        (directory / point).rename(held)
    except FileNotFoundError:
        return
    deadline = time.monotonic() + HELD_SECONDS
    while held.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
