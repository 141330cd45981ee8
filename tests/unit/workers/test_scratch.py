"""What a killed process leaves on the disk, the next one clears away."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkql.workers import scratch
from bulkql.workers.scratch import YOUNG_SECONDS, Scratch, clear_away

USES = """
from bulkql.workers.scratch import Scratch
directory = Scratch()
directory.path("rows").write_text("of somebody")
print(directory.name, flush=True)
input()
"""


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    """A place for temporary files that nobody else uses; and nobody has looked there yet."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(scratch.tempfile, "tempdir", None)
    monkeypatch.setattr(scratch, "_looked_at", -YOUNG_SECONDS)


@contextmanager
def user() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that uses a directory, which is old by now."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", USES], **pipes) as process:
        try:
            directory = Path(process.stdout.readline().strip())
            age(directory)
            yield process, directory
        finally:
            process.kill()


def age(directory: Path) -> None:
    long_ago = time.time() - 2 * YOUNG_SECONDS
    os.utime(directory, (long_ago, long_ago))


def test_what_a_killed_process_left_goes_and_what_a_living_one_uses_stays():
    with user() as (killed, left), user() as (_, used):
        killed.kill()
        killed.wait()

        with Scratch() as mine:
            assert not left.exists()
            assert (used / "rows").read_text() == "of somebody"
            assert Path(mine.name).exists()


def test_what_has_just_been_made_or_is_not_ours_stays(tmp_path):
    young, foreign = tmp_path / "bulkql-young", tmp_path / "bulkql-foreign"
    young.mkdir()
    (young / scratch.LOCK).touch()
    foreign.mkdir()
    age(foreign)

    clear_away()

    assert young.exists()
    assert foreign.exists()


def test_it_goes_with_its_user():
    with Scratch() as directory:
        directory.path("rows").touch()

    assert not Path(directory.name).exists()
