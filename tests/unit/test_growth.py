"""Twice the bytes cost twice the time, whatever they are: each parser and limiter that takes clients' bytes.

Quadratic work takes 16 times as long on four times the input, linear work four times; the bound lies between them, and
the fastest of several runs is taken of each.
"""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Any

import pytest
from graphql import parse

from bulkql.schema.checks.documents import is_subscription
from bulkql.schema.checks.size import check_document
from bulkql.schema.checks.weight import is_heavy
from bulkql.server.door.requests import with_files
from bulkql.server.door.values import decode
from bulkql.workers.errors import BulkError
from bulkql.workers.readers.csv import CsvBeginning
from bulkql.workers.readers.files import FileStart, read_file
from bulkql.workers.readers.ndjson import NdjsonBeginning
from bulkql.workers.readers.objects import raw_frame
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from tests.plans import creating

TIMES = 8
CSV = FileOptions(format=FileFormat.CSV)
NDJSON = FileOptions(format=FileFormat.NDJSON)


def plan() -> Any:
    return creating(resource_named("financialAccounts"))


def csv(content: str) -> None:
    CsvBeginning(io.BytesIO(content.encode()), CSV).check(plan())


def rows(given: list[Any]) -> None:
    raw_frame(plan(), given)


def document(text: str) -> None:
    check_document(parse(text))


CASES: dict[str, tuple[Callable[[Any], object], Callable[[int], Any], int]] = {
    "a quoted header of line breaks": (csv, lambda n: f'"{chr(10) * n}"\n1\n', 5_000),
    "a quoted header that is never closed": (csv, lambda n: f'"{chr(10) * n}', 5_000),
    "a header of one name many times": (csv, lambda n: ",".join(["name"] * n) + "\nx\n", 500),
    "a header of unknown names": (csv, lambda n: ",".join(f"a{i}" for i in range(n)) + "\nx\n", 500),
    "rows with unknown fields of their own": (
        rows,
        lambda n: [{f"a{row}_{field}": 1 for field in range(10)} for row in range(n)],
        100,
    ),
    "lines of JSON": (
        lambda text: NdjsonBeginning(io.BytesIO(text.encode()), NDJSON).check(plan()),
        lambda n: '{"name": "x"}\n' * n,
        2_000,
    ),
    "JSON of nested lists": (decode, lambda n: "[" * n + "]" * n, 5_000),
    "JSON of long numbers": (decode, lambda n: "[" + ",".join(["1" * 4_000] * n) + "]", 50),
    "JSON of floats": (decode, lambda n: "[" + "1.5," * n + "1]", 5_000),
    "doubling fragments": (
        document,
        lambda n: "{...F0}" + "".join(f"fragment F{i} on Q{{...F{i + 1} ...F{i + 1}}}" for i in range(n)),
        200,
    ),
    "fields": (document, lambda n: "{" + "a " * n + "}", 1_000),
    "fragments": (document, lambda n: "{a}" + "".join(f"fragment F{i} on Q{{a}}" for i in range(n)), 300),
    "operations": (
        lambda text: is_subscription(text, "b"),
        lambda n: "".join(f"query a{i}{{a}}" for i in range(n)),
        500,
    ),
    "variables": (is_heavy, lambda n: {"a": [{"b": i} for i in range(n)]}, 500),
    "a map of files": (
        lambda given: with_files(*given),
        lambda n: (
            {"variables": {"files": [None] * n}},
            {str(i): [f"variables.files.{i}"] for i in range(n)},
            {str(i): i for i in range(n)},
        ),
        1_000,
    ),
}


#: What a file may begin with, and what may come again and again behind it.
BEGINNINGS = ("", "[", '"', '{"name": "', '{"name":\n', '[{"name": "a"},', "name\n", 'name\n"', "sep=;\n")
REPEATED = (
    '"',
    '""',
    '"a',
    '"\n',
    "{",
    "}",
    "[",
    "[]",
    '{"a":',
    "\\",
    ",",
    "a,",
    "a",
    "é",
    "1",
    " ",
    "\r",
    "\r\n",
    "\0",
    "'",
)


def read(content: bytes, file_format: FileFormat) -> None:
    """All that is done with a file's bytes until they are rows."""
    options = FileOptions(format=file_format)
    with suppress(BulkError):
        FileStart(io.BytesIO(content), options).check(plan())
    for _ in read_file(io.BytesIO(content), plan(), options):
        pass


for file_format, beginning in product((FileFormat.CSV, FileFormat.NDJSON), BEGINNINGS):
    for unit in REPEATED:
        CASES[f"{file_format} of {beginning!r} and {unit!r}"] = (
            partial(read, file_format=file_format),
            lambda n, beginning=beginning, unit=unit: (beginning + unit * n).encode(),
            4_000,
        )


def seconds(take: Callable[[Any], object], given: Callable[[int], Any], size: int) -> float:
    """The CPU time of the fastest of a few runs, each on an input of its own."""
    best = float("inf")
    for _ in range(5):
        content = given(size)
        begin = time.thread_time()
        with suppress(BulkError, ValueError):
            take(content)
        best = min(best, time.thread_time() - begin)
    return best


@pytest.fixture(autouse=True)
def _no_collector():
    """Its rounds come with the number of objects that there are, those of other tests among them."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("case", CASES)
def test_four_times_the_bytes_cost_no_sixteen_times_the_time(case):
    take, given, size = CASES[case]

    small, large = (seconds(take, given, size * factor) for factor in (1, 4))

    # A millisecond for what does not grow at all.
    assert large <= TIMES * (small + 0.001)
