"""CSV of careful writers and of careless ones -> this reader beside Python's own, in strict mode.

What Python reads must be read so, and what it does not, up to where it stops: no row may come out that was not sent.
Behind the first fault Python has no answer; there a row is right that is one of those that the writer meant.

python -m tests.fuzz.csv_files --cases 100000 --seed 1
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import django
from rich.console import Console

from tests.fuzz.progress import Progress, table_of

COLUMNS = ("description", "amount", "datetime")
TEXTS = (
    *"ab1 ",
    '"',
    '""',
    '"a"',
    "a,b",
    ";",
    "\n",
    "a\nb",
    "\r\n",
    '","',
    '",',
    ',"',
    '"\n',
    '\n"',
    'say "hi"',
    '5"',
    "'",
)
#: What people write. Of marks alone nobody can say what a careless writer meant.
WORDS = (
    *("a", "Anna", " ", "7", "-", "'", ";", ", ", "a\nb", "x,\ny", "\n"),
    *('say "hi" to', '5" pipe', '{"role": "cook", "shift": "8"}', '"Cash" account', "the 'old' one", 'a "b\nc" d'),
)
DOUBLING, QUOTING = "doubling", "quoting"
Row = tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A file, and the rows that its writer meant, or wrote; None where nobody knows."""

    text: str
    meant: frozenset[Row] | None


def case_of(random_: random.Random) -> Case:
    """A file of one of three kinds of writers."""
    kind = random_.randrange(3)
    texts = WORDS if kind == 1 else TEXTS
    rows = [row_of(random_, texts) for _ in range(random_.randint(0, 9))]
    end = random_.choice(("\n", "\n", "\r\n"))
    # Who forgets one thing forgets that one.
    forgets = random_.choice((DOUBLING, QUOTING)) if kind == 1 else None
    lines = [record_of(random_, row, forgets if random_.random() < 0.4 else None) for row in rows]
    text = "".join(line + end for line in [",".join(COLUMNS), *lines])
    if kind < 2:
        says = lines if forgets != QUOTING else [*lines, *text.split("\n")]
        return Case(text, frozenset([*rows, *(row for line in says for row in alone(line))]))
    return Case(mutated(random_, text), None)


def alone(record: str) -> list[Row]:
    """What the lines of a careless record say to a strict reader, if it stood alone: a line break ends a record."""
    found: list[Row] = []
    reader = csv.reader(io.StringIO(record, newline="\n"), strict=True)
    while True:
        try:
            found.append((*next(reader),))
        except StopIteration:
            return [cells for cells in found if len(cells) == len(COLUMNS)]
        except csv.Error:
            pass


def row_of(random_: random.Random, texts: Sequence[str]) -> Row:
    return tuple("".join(random_.choices(texts, k=random_.choice((0, 1, 1, 2, 4)))) for _ in COLUMNS)


def record_of(random_: random.Random, row: Row, forgets: str | None) -> str:
    """A record, by somebody who forgets to double quotes, or to quote."""
    cells = []
    for cell in row:
        must = any(sign in cell for sign in ',"\n\r')
        if forgets == QUOTING or not (must or random_.random() < 0.3):
            cells.append(cell)
        else:
            cells.append(f'"{cell if forgets == DOUBLING else cell.replace(chr(34), chr(34) * 2)}"')
    return ",".join(cells)


def mutated(random_: random.Random, text: str) -> str:
    """A file behind whose header something was put in or taken out."""
    start = text.index("\n") + 1
    for _ in range(random_.randint(1, 3)):
        at = random_.randint(start, len(text))
        text = text[:at] + random_.choice(('"', ",", "\n", "\r", "", "a", '""')) + text[at + random_.randint(0, 2) :]
    return text


def strict(text: str) -> tuple[list[tuple[int, list[str]]], int | None]:
    """Python's records, each with its line, and the line on which the record begins at which it stops."""
    reader = csv.reader(io.StringIO(text, newline="\n"), strict=True)
    found: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for record in reader:
            found.append((line, record))
            line = reader.line_num + 1
    except csv.Error:
        return found, line
    return found, None


def fault_in(case: Case, rows: list[tuple[int, Row | None]]) -> str | None:
    """What is wrong with rows that were read, each with its line; None for a row that was refused."""
    records, stopped = strict(case.text)
    # A record that says nothing is none, or one that is refused for its few cells.
    empty = {line for line, record in records if not any(record) or (len(record) == 1 and not record[0].strip())}
    wanted = {
        line: (*record,) if len(record) == len(COLUMNS) else None for line, record in records[1:] if line not in empty
    }
    before = [(line, row) for line, row in rows if (stopped is None or line < stopped) and line not in empty]
    if dict(before) != wanted or len(before) != len(wanted):
        return f"read {before}, and Python {wanted}"
    behind = [row for line, row in rows if row is not None and stopped is not None and line >= stopped]
    if case.meant is not None and not case.meant.issuperset(behind):
        return f"read {behind} behind a fault, of {sorted(case.meant)}"
    return None


def run(cases: int, seed: int, progress: Progress | None = None) -> dict[str, Any]:
    """Read so many files; gives the counts, and what was read wrongly, by its case's number."""
    from bulkql.workers.enums import Verb
    from bulkql.workers.errors import BadInput
    from bulkql.workers.frames import INTAKE_ERRORS, LINE
    from bulkql.workers.readers import csv as reader
    from bulkql.workers.readers import files
    from bulkql.workers.readers.options import FileFormat, FileOptions
    from bulkql.workers.resources.plan import Plan
    from bulkql.workers.resources.registry import resource_named

    plan = Plan(resource=resource_named("financialTransactions"), verb=Verb.CREATE)
    options = FileOptions(format=FileFormat.CSV)
    random_ = random.Random(seed)
    found: Counter[str] = Counter()
    faults: dict[int, str] = {}
    for number in range(cases):
        if progress:
            progress.tell(number, len(faults))
        case = case_of(random_)
        size = random_.choice((1, 7, 40, 1_000_000))
        rows: list[tuple[int, Row | None]] = []
        with mock.patch.multiple(reader, BLOCK_BYTES=size, FIRST_BYTES=size):
            try:
                for frame in files.read_file(io.BytesIO(case.text.encode()), plan, options):
                    errors = frame[INTAKE_ERRORS] if INTAKE_ERRORS in frame.columns else [None] * frame.height
                    cells = zip(*(frame[name].fill_null("") for name in COLUMNS if name in frame.columns), strict=True)
                    given = list(cells) or [()] * frame.height
                    rows += [
                        (line, row if error is None else None)
                        for line, row, error in zip(frame[LINE], given, errors, strict=True)
                    ]
            except BadInput as refusal:
                faults[number] = f"{case}: {refusal}"
                continue
        if (fault := fault_in(case, rows)) is not None:
            faults[number] = f"blocks of {size}: {case.text!r}: {fault}"
        found["rows"] += sum(row is not None for _, row in rows)
        found["refused"] += sum(row is None for _, row in rows)
    return {"cases": cases, **found, "faults": faults}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bulkql.server.settings")
    os.environ.setdefault("SECRET_KEY", "fuzz")
    django.setup()
    console = Console(width=130)
    progress = Progress(console, given.cases)
    report = run(given.cases, given.seed, progress)
    for number, fault in report["faults"].items():
        console.print(f"case {number}: {fault}", markup=False)
    counts = {**report, "faults": len(report["faults"]), "seconds": round(progress.seconds)}
    console.print(table_of(f"CSV beside Python's, seed {given.seed}", counts))
    return 1 if report["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
