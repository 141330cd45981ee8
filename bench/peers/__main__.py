"""`python -m bench.peers`: this service, its peers and the limit side by side, in one run -> bench/results/."""

from __future__ import annotations

import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import chart, client, plan
from bench.machine import conditions
from bench.peers.peers import PEERS
from bench.peers.report import Report, save, show
from bench.peers.runs import Scale, of_ours, of_peer
from bench.stage import Stage
from bench.work import create

FULL = Scale(rows=100_000, repetitions=3, most_seconds=30)
QUICK = Scale(rows=5_000, repetitions=1, most_seconds=5)

console = Console()
console.width = max(console.width, 140)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="5,000 rows, once: do they all work?")] = False,
    peer: Annotated[list[str] | None, typer.Option(help="Only this peer; several times.")] = None,
    name: Annotated[str | None, typer.Option(help="The results' name.", show_default="peers or peers-quick")] = None,
) -> None:
    """Measure this service and its peers beside the database's own COPY."""
    scale = QUICK if quick else FULL
    wanted = [one for one in PEERS if not peer or one.name in peer]
    # A stop is a Ctrl-C too: the service does not stay behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = conditions()
    with console.status("") as status, tempfile.TemporaryDirectory(prefix="bulkql-bench-") as directory:
        # PostgreSQL does not run as root: its own user must be able to enter.
        Path(directory).chmod(0o755)
        status.update("Starting the service")
        with (
            plan.started(Path(directory) / "service") as place,
            client.connected(place.service.url, place.service.token) as one,
        ):
            work = create(1, Path(directory))
            stage = Stage(service=place.service, client=one, database=place.database, work=work)
            measured = [of_ours(stage, scale, status.update)]
            measured += [of_peer(other, stage, scale, status.update) for other in wanted]
            settings = place.database.settings()
    report = Report(
        name=name or ("peers-quick" if quick else "peers"),
        command=shlex.join(["python", "-m", "bench.peers", *sys.argv[1:]]),
        conditions={**found, "postgresql": settings},
        rows=scale.rows,
        found=measured,
    )
    show(report, console)
    for path in save(report):
        console.print(f"Written: {path}")
    console.print(f"Written: {chart.draw(report.name)}")


if __name__ == "__main__":
    typer.run(main)
