"""The service's process id -> its processes and the most memory that each has held."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A process and its VmHWM: the most memory it has held since it started."""

    role: str
    pid: int
    bytes: int


def peaks(pid: int) -> list[Peak]:
    """The web process, the workers and their master, and Redis."""
    found = [(role(process), process.pid) for process in psutil.Process(pid).children(recursive=True)]
    return [Peak(role=name, pid=number, bytes=high_water(number)) for name, number in sorted(found) if name]


def role(process: psutil.Process) -> str:
    """What a process is there for; "" for those that are not ours."""
    command = process.cmdline()
    if "uvicorn" in command:
        return "web"
    if any("redis" in part for part in command):
        return "Redis"
    if "dramatiq" not in command:
        return ""
    # The process that supervisord starts is their master, and works on nothing.
    return "worker" if "dramatiq" in process.parent().cmdline() else "workers' master"


def high_water(pid: int) -> int:
    """VmHWM in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kilobytes) * 1024
