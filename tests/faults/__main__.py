"""`python -m tests.faults --seconds 120 --seed 1`: faults into a running stack; exit code 1 if anything went wrong."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.faults import report
from tests.faults.rounds import Rounds
from tests.faults.stack import running


def main(
    seconds: Annotated[int, typer.Option(help="After which no round is begun.")] = 120,
    seed: Annotated[int, typer.Option(help="The same faults and requests again, but not the same moments.")] = 1,
    kind: Annotated[list[str] | None, typer.Option(help="Only faults of these kinds.")] = None,
) -> None:
    console = Console(width=130)
    home = Path(tempfile.mkdtemp(prefix="bulkql-faults-"))
    home.chmod(0o755)  # the database's own user must be able to enter
    console.print(f"seed {seed}; logs and record are in {home}")
    with running(home / "data") as stack, closing(Rounds(stack, seed)) as rounds:
        until = time.monotonic() + seconds
        number = 0
        while time.monotonic() < until:
            number += 1
            rounds.play(kinds=kind)
            report.record(rounds.run, home / "record.json", seed)
            tell(console, rounds, number)
    report.record(rounds.run, home / "record.json", seed)
    report.show(rounds.run, console)
    raise typer.Exit(0 if rounds.run.is_fine and rounds.run.operations else 1)


def tell(console: Console, rounds: Rounds, number: int) -> None:
    run = rounds.run
    bad = [one for one in run.operations if not one.is_fine]
    console.print(
        f"round {number}: {len(run.faults)} faults, {len(run.operations)} operations, {len(bad)} of them wrong,"
        f" {len(run.orphans)} orphans"
    )
    for one in bad[-3:]:
        console.print(f"  {one.id} ({one.what}): stuck {one.is_stuck}, {one.wrong[:3]}, {one.watchers[:2]}")


if __name__ == "__main__":
    typer.run(main)
