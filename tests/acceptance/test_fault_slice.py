"""A slice of `make faults`, the same each time: what a minute shows of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.faults.rounds import Rounds
from tests.faults.stack import running

#: Each kind that does not stand still for long.
KINDS = [
    "kill worker",
    "kill web",
    "kill Redis",
    "FLUSHALL",
    "PostgreSQL, immediate stop",
    "terminate a database backend",
    "cut worker-database",
    "cut worker-Redis",
    "double messages",
    "reorder messages",
]


def test_faults_lose_nothing_double_nothing_and_leave_nothing_waiting(tmp_path: Path) -> None:
    # The database's own user must be able to enter.
    for directory in (tmp_path, *list(tmp_path.parents)[:2]):
        directory.chmod(0o755)

    with running(tmp_path / "data") as stack, closing(Rounds(stack, seed=12, largest=2_000, lanes=3)) as rounds:
        # A machine that mounts no disks has none to fill.
        kinds = [*KINDS, *({"disk full"} - rounds.run.left_out.keys())]
        rounds.play(calm=0, storm=len(kinds), kinds=kinds)

    assert {fault.kind for fault in rounds.run.faults} == set(kinds)
    assert rounds.run.operations
    assert [one for one in rounds.run.operations if not one.is_fine] == []
    assert rounds.run.failures == []
