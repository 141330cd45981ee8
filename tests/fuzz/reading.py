"""Cases -> the readers, one after another in this process; what becomes of each is counted where others can see it.

    python -m tests.fuzz.reading SEED FIRST LAST TALLY

Parquet and workbooks are decoded in this process too, under the limit of the process that they have otherwise, which
takes a third of a second to start; some of them are given to such a process all the same (cases.py). What is no error
of ours is printed, a line of JSON each: the case, its kind, and what was raised where.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import django
import psutil

from tests.fuzz.cases import Case, case_of
from tests.fuzz.tally import Tally
from tests.peaks import peak_bytes

#: Seconds of CPU that a case may take, and beside them a process that decodes it: it starts, and imports its library.
MOST_SECONDS, START_SECONDS = 2, 4
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def prepare() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bulkql.server.settings")
    os.environ.setdefault("SECRET_KEY", "fuzz")
    # Frames of a few rows: to hand them to other threads takes longer than to go through them.
    os.environ["POLARS_MAX_THREADS"] = "1"
    django.setup()


def read_all(seed: int, first: int, last: int, tally: Tally) -> Iterator[dict[str, Any]]:
    """Read these cases; gives what went wrong."""
    # What is imported when it is needed first belongs to no case.
    for number in range(100):
        with contextlib.suppress(Exception), decoding_here(tally):
            read(case_of(0, number))
    for number in range(first, last):
        case = case_of(seed, number)
        tally.begin(number, case.kind)
        if (fault := outcome(case, tally)) is not None:
            yield {"case": number, **fault}
    # Not ru_maxrss: what started this process hands its own peak on to it.
    tally.peak_bytes = peak_bytes()
    tally.child_peak_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def outcome(case: Case, tally: Tally) -> dict[str, Any] | None:
    """Read a case and count it; what is wrong with it."""
    from bulkql.workers.errors import BulkError

    begun = time.perf_counter()
    children = seconds_of_children() if case.is_real else 0.0
    fault = None
    try:
        with contextlib.nullcontext() if case.is_real else decoding_here(tally):
            rows = read(case)
        tally.count(case.kind, "read")
        tally.count(case.kind, "rows", rows)
    except BulkError:
        tally.count(case.kind, "refused")
    except BaseException as error:  # whatever it is, it is what is looked for
        if isinstance(error, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        raised = f"{type(error).__name__}: {str(error)[:200]}"
        fault = {"what": f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}", "raised": raised}
    took = time.perf_counter() - begun
    if took > MOST_SECONDS and not case.is_real:
        took = seconds_again(case, tally)
    tally.slowest_us = max(tally.slowest_us, int(took * 1e6))
    if case.is_real:
        tally.count(case.kind, "real")
        if seconds_of_children() - children > MOST_SECONDS + START_SECONDS:
            fault = {"what": f"a process for {case.kind} took long"}
        if psutil.Process().children():
            fault = {"what": f"a process for {case.kind} was left"}
    if took > MOST_SECONDS and not case.is_real:
        fault = {"what": f"{case.kind} took long", "raised": f"{took:.1f} s"}
    if fault is not None:
        tally.count(case.kind, "faults")
        return {**fault, "kind": case.kind, "resource": case.resource, "options": str(case.options)}
    return None


def seconds_again(case: Case, tally: Tally) -> float:
    """The seconds of CPU: the machine may have been busy, and a case that is slow is slow again."""
    begun = time.process_time()
    with contextlib.suppress(Exception), decoding_here(tally):
        read(case)
    return time.process_time() - begun


def read(case: Case) -> int:
    """A file's rows, counted, by all steps that are taken before the database is asked; raises BulkError."""
    from bulkql.workers.enums import Verb
    from bulkql.workers.errors import BadInput
    from bulkql.workers.frames import pack, unpack
    from bulkql.workers.operations.chunks import checked
    from bulkql.workers.readers import files
    from bulkql.workers.readers.options import FileOptions
    from bulkql.workers.resources.plan import Plan
    from bulkql.workers.resources.registry import resource_named

    plan = Plan(resource=resource_named(case.resource), verb=Verb.CREATE)
    file = io.BytesIO(case.data)
    if case.is_checked:
        with contextlib.suppress(BadInput):
            files.format_of_file("rows", io.BytesIO(case.data))
    start = files.FileStart(file, case.options)
    start.names()
    start.check(plan)
    start.header(plan)
    # As they are stored between the two processes.
    options = FileOptions.from_json(start.options.as_json())
    rows = 0
    for frame in files.read_file(file, plan, options):
        rows += frame.height
        if case.is_checked:
            checked(plan, unpack(pack(frame)))
    return rows


def seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def decoding_here(tally: Tally) -> Iterator[None]:
    """Files are decoded in this process."""
    from bulkql.workers.readers import parquet, workbooks
    from bulkql.workers.readers.decoding import decoder
    from bulkql.workers.readers.decoding import parquet as of_parquet
    from bulkql.workers.readers.decoding import workbook as of_workbooks
    from bulkql.workers.readers.decoding.process import answers

    modules: dict[str | None, ModuleType] = {one.__file__: one for one in (of_parquet, of_workbooks)}

    class Here(decoder.Decoder):
        """The same, without a process."""

        def __init__(self, module: str, memory_bytes: int, arguments: dict[str, Any], refusal: decoder.Refusal) -> None:
            self._refusal = refusal
            self._memory_bytes = data_bytes() + memory_bytes
            self._answers = answers(modules[module].messages, arguments)
            self._process: Any = SimpleNamespace(stdin=self)

        def __exit__(self, *_: object) -> None:
            self._answers.close()

        def write(self, line: bytes) -> None:
            sys.stdin = io.StringIO(line.decode())

        def flush(self) -> None:
            pass

        def _message(self) -> tuple[bytes, bytes]:
            tally.is_decoding = 1
            try:
                with limited(self._memory_bytes):
                    kind, data = next(self._answers)
                    return kind, bytes(data)
            except MemoryError:
                return b"E", decoder.MEMORY.encode()
            finally:
                tally.is_decoding = 0

    with mock.patch.object(parquet, "Decoder", Here), mock.patch.object(workbooks, "Decoder", Here):
        yield


@contextlib.contextmanager
def limited(memory_bytes: int) -> Iterator[None]:
    """So much memory, and so many seconds of CPU: what takes longer ends this process, as it would one of its own."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def data_bytes() -> int:
    """The memory of this process that counts."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * PAGE_BYTES


def main() -> None:
    seed, first, last = map(int, sys.argv[1:4])
    prepare()
    with Tally(Path(sys.argv[4])) as tally:
        for fault in read_all(seed, first, last, tally):
            print(json.dumps(fault), flush=True)


if __name__ == "__main__":
    main()
