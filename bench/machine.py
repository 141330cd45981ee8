"""This machine and what is installed on it -> the conditions under which a figure was found."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("bulkql", "django", "strawberry-graphql", "channels", "dramatiq", "polars", "psycopg", "uvicorn")


def conditions() -> dict[str, Any]:
    """Machine, versions, date."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpus": os.cpu_count(),
            "model": model(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": platform.platform(),
            "load_average_at_start": os.getloadavg()[0],
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "commit": commit(),
        # Limits that were set for this run; none, most of the time.
        "settings": {name: value for name, value in os.environ.items() if name.startswith("BULKQL_")},
    }


def model() -> str:
    """The processor's name, where the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def commit() -> str:
    """The checkout's commit, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
