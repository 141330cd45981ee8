"""A CSV file of the ledger's rows -> the seconds that their validation takes, in a process without a database.

`python -m bench.validation FILE` prints the seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter


def seconds_of(path: Path) -> float:
    """In a process of its own: Django wants to be set up for good."""
    command = [sys.executable, "-m", "bench.validation", str(path)]
    environment = {"SECRET_KEY": "none is needed to validate rows", "DJANGO_SETTINGS_MODULE": "bulkql.server.settings"}
    done = subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def main(path: Path) -> None:
    """Read the file, then validate its chunks, as a worker does."""
    import django

    django.setup()

    import polars as pl

    from bulkql.workers.conf import limits
    from bulkql.workers.enums import Verb
    from bulkql.workers.readers import csv
    from bulkql.workers.readers.options import FileFormat, FileOptions
    from bulkql.workers.resources.plan import Plan
    from bulkql.workers.resources.registry import resource_named
    from bulkql.workers.validation.values import validate

    plan = Plan(resource=resource_named("financialTransactions"), verb=Verb.UPDATE, match_by=("id",))
    with path.open("rb") as file:
        frame = pl.concat(csv.read(file, plan, FileOptions(format=FileFormat.CSV)), rechunk=True)
    chunks = list(frame.iter_slices(limits().chunk_size))
    validate(plan, chunks[0])
    started = perf_counter()
    good = sum(validate(plan, chunk).rows.height for chunk in chunks)
    seconds = perf_counter() - started
    if good != frame.height:
        raise SystemExit(f"{frame.height - good} of {frame.height} rows were found bad.")
    print(seconds)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
