"""Files -> how much memory reading each into chunks takes, in this process and in those that it starts.

    python -m tests.peaks FILE...

prints a line of JSON for each: its name, the peak in bytes, the chunks, the rows, and the error.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import django


def peak_bytes(pid: int | str = "self") -> int:
    """The most memory that a process has taken (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def read_into_chunks(path: Path) -> dict[str, Any]:
    """What the web process and the worker do with a file before they ask the database."""
    from bulkql.workers.enums import Verb
    from bulkql.workers.errors import BulkError
    from bulkql.workers.frames import pack, unpack
    from bulkql.workers.intake.duplicates import find_superseded
    from bulkql.workers.intake.reading import in_slices
    from bulkql.workers.intake.replay import ReplayBuffer
    from bulkql.workers.operations.chunks import checked
    from bulkql.workers.readers import files
    from bulkql.workers.readers.options import FileOptions, UnknownColumns, format_by_name
    from bulkql.workers.resources.plan import Plan
    from bulkql.workers.resources.registry import resource_named

    plan = Plan(resource=resource_named("financialAccounts"), verb=Verb.CREATE)
    unknown = UnknownColumns.IGNORE if "columns" in path.name else UnknownColumns.REJECT
    options = FileOptions(format=format_by_name(path.name), unknown_columns=unknown)
    chunks = rows = row_errors = 0
    error = None
    try:
        with path.open("rb") as file, closing(ReplayBuffer()) as buffer:
            start = files.FileStart(file, options)
            start.names()
            start.check(plan)
            start.header(plan)
            del start
            file.seek(0)
            frames = files.read_file(file, plan, options)
            with closing(find_superseded(plan, buffer.recording(frames), None)) as verdicts:
                for frame in in_slices(chain(buffer.playback(), frames), 10_000):
                    packed = pack(verdicts.mark(frame, rows))
                    row_errors += checked(plan, unpack(packed)).errors.height
                    chunks, rows = chunks + 1, rows + frame.height
    except BulkError as refusal:
        error = str(refusal)
    return {"chunks": chunks, "rows": rows, "row_errors": row_errors, "error": error}


def main(paths: list[str]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bulkql.server.settings")
    os.environ.setdefault("SECRET_KEY", "tests")
    django.setup()
    for path in map(Path, paths):
        forget_peak()
        found = read_into_chunks(path)
        of_children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        print(json.dumps({"name": path.name, "peak": peak_bytes(), "children": of_children, **found}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
