"""A directory -> the service as users run it, `bulkql up`, until the block ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Beside this Python: the command that the package installs.
BULKQL = Path(sys.executable).with_name("bulkql")
#: The last line that `bulkql up` prints before it waits.
IS_UP = "Ctrl-C stops it."
#: Seconds for it to stop.
STOP_SECONDS = 60
#: Where set, these replace the embedded servers: not here.
NOT_OURS = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service."""

    url: str
    token: str
    database_url: str
    redis_url: str
    #: Of `bulkql up`; web, workers and Redis descend from it.
    pid: int


@contextmanager
def running(data: Path) -> Iterator[Service]:
    """`bulkql up`, answering; stopped by Ctrl-C's signal at the end."""
    process = subprocess.Popen(
        [*up_command(data), "--port", "0"],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        # A Ctrl-C of the terminal is for us; we pass it on.
        start_new_session=True,
    )
    try:
        wait_until_up(process)
        state = json.loads((data / "service.json").read_text())
        yield Service(
            url=state["url"],
            token=token(data),
            database_url=state["DATABASE_URL"],
            redis_url=state["REDIS_URL"],
            pid=process.pid,
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)


def up_command(data: Path) -> list[str]:
    """The command that starts the service."""
    return [str(BULKQL), "up", "--data", str(data)]


def environment() -> dict[str, str]:
    """Ours, but for what would bring other servers into it."""
    return {name: value for name, value in os.environ.items() if name not in NOT_OURS}


def wait_until_up(process: subprocess.Popen[str]) -> None:
    """Until it says so; raises SystemExit with what it said instead."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if IS_UP in line:
            return
    raise SystemExit(f"`bulkql up` did not come up; it said:\n{said}")


def token(data: Path) -> str:
    """The superuser's bearer token."""
    command = [str(BULKQL), "token", "admin", "--data", str(data)]
    return subprocess.run(command, env=environment(), check=True, capture_output=True, text=True).stdout.strip()
