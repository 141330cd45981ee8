"""Bytes that nobody meant -> the readers of CSV and NDJSON: rows, or an error of ours; counted.

python -m tests.fuzz.parsers --cases 1000000 --seed 1
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import random
import time
from collections import Counter
from typing import Any

import django

from tests.peaks import peak_bytes

SEEDS = (
    b'name\nCash\n"Bank, main"\n"say ""hi"""\n',
    b"name,bulkql_row\r\nCash,1\r\nBank,2\r\n",
    b'{"name": "Cash"}\n{"name": null}\n{"name": ["a", {"b": 1.50}]}\n',
    b'{"name": "\\ud83d\\ude00"}\n{}\n{"other": 1}\n',
)
PIECES = (b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"[[", b"{", b"}", b"1e999", b"\\u00", b'""')
MOST_SECONDS = 2


def mutated(random_: random.Random) -> bytes:
    """A valid file, or nothing at all, with a few changes."""
    data = bytearray(random_.choice((*SEEDS, b"name\n", b"")))
    for _ in range(random_.randint(0, 6)):
        at = random_.randint(0, len(data))
        match random_.randrange(4):
            case 0:
                data[at:at] = random_.choice(PIECES) * random_.choice((1, 1, 2, 100))
            case 1:
                del data[at : at + random_.randint(1, 8)]
            case 2:
                data[at : at + 1] = random_.randbytes(1)
            case 3:
                data[at:at] = data[: random_.randint(0, len(data))]
    return bytes(data)


def run(cases: int, seed: int) -> dict[str, Any]:
    """Read so many cases; raises what is no error of ours. Gives the counts."""
    from bulkql.workers.enums import Verb
    from bulkql.workers.errors import BulkError
    from bulkql.workers.readers import files
    from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, UnknownColumns
    from bulkql.workers.resources.plan import Plan
    from bulkql.workers.resources.registry import resource_named

    plan = Plan(resource=resource_named("financialAccounts"), verb=Verb.CREATE)
    random_ = random.Random(seed)
    found: Counter[str] = Counter()
    slowest = 0.0
    for case in range(cases):
        data = mutated(random_)
        options = FileOptions(
            format=random_.choice((FileFormat.CSV, FileFormat.NDJSON)),
            unknown_columns=random_.choice(list(UnknownColumns)),
            empty_cells=random_.choice(list(EmptyCells)),
            null_values=random_.choice(((), ("NA", ""))),
            delimiter=random_.choice(",,,;\t|"),
            encoding=random_.choice(("utf-8", "utf-8", "utf-16", "cp1252")),
        )
        begun = time.perf_counter()
        try:
            start = files.FileStart(io.BytesIO(data), options)
            start.names()
            start.check(plan)
            rows = sum(frame.height for frame in files.read_file(io.BytesIO(data), plan, options))
            found["read"] += 1
            found["rows"] += rows
        except BulkError as error:
            found[type(error).__name__] += 1
        except BaseException as error:
            raise AssertionError(f"case {case} of seed {seed}: {data!r}, {options}") from error
        slowest = max(slowest, time.perf_counter() - begun)
    assert slowest < MOST_SECONDS
    return {"cases": cases, **found, "slowest_seconds": round(slowest, 4), "peak_bytes": peak_bytes()}


def strict_rows(data: str) -> list[list[str]]:
    """What Python's own reader makes of a CSV file; raises csv.Error."""
    return list(csv.reader(io.StringIO(data, newline=""), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bulkql.server.settings")
    os.environ.setdefault("SECRET_KEY", "fuzz")
    django.setup()
    begun = time.perf_counter()
    report = run(given.cases, given.seed)
    print({**report, "seconds": round(time.perf_counter() - begun, 1)})


if __name__ == "__main__":
    main()
