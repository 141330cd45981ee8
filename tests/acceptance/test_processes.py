"""What `bulkql up` has started ends with it, however it ends, and what dies meanwhile is started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from bulkql.server.embedded import free_port
from tests.acceptance.service import OF_THE_TESTS, Service, wait_for

ROOT = Path(__file__).parents[2]
#: Seconds in which what was started is gone: PostgreSQL shuts down, workers finish the chunk that they have begun.
GONE_SECONDS = 20
WORKER = "dramatiq bulkql.server.processes.worker"


@contextmanager
def up(data: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`bulkql up`, ready; whatever it is left in, it is killed at the end."""
    inherited = {name: value for name, value in os.environ.items() if name not in OF_THE_TESTS}
    bulkql = str(Path(sys.executable).with_name("bulkql"))
    printed = data.parent / "up.log"
    with printed.open("w") as log:
        command = [*words, bulkql, "up", "--port", str(free_port()), "--data", str(data)]
        process = subprocess.Popen(command, env=inherited, stdout=log, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: "Ctrl-C stops it." in printed.read_text() or process.poll() is not None, 180, "the service")
        assert process.poll() is None, printed.read_text()
        yield process
    finally:
        left = family(process.pid)
        process.kill()
        process.wait()
        psutil.wait_procs(left, GONE_SECONDS)


def family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def names(processes: list[psutil.Process]) -> set[str]:
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            words = " ".join(process.cmdline())
            found |= {name for name in ("bin/postgres", "redis-server", "uvicorn", "dramatiq") if name in words}
    return found


EVERYTHING = {"bin/postgres", "redis-server", "uvicorn", "dramatiq"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all: each service starts on what the one that was killed before has left."""
    directory = tmp_path_factory.mktemp("killed")
    # PostgreSQL's own user must be able to enter.
    directory.chmod(0o755)
    return directory / "data"


def test_nothing_outlives_a_service_that_is_killed_and_the_next_one_starts_and_ends_with_its_supervisors(data):
    with up(data) as first:
        started = family(first.pid)
        assert names(started) == EVERYTHING
        first.kill()
        first.wait()
        _, alive = psutil.wait_procs(started, GONE_SECONDS)
        assert names(alive) == set()

    with up(data) as service:
        started = family(service.pid)
        assert names(started) == EVERYTHING
        supervisors = [one for one in started if "supervisor.supervisord" in " ".join(one.cmdline())]
        for one in (psutil.Process(service.pid), *supervisors):
            one.kill()
        _, alive = psutil.wait_procs(started, GONE_SECONDS)
        assert names(alive) == set()


def test_service_starts_where_everything_was_killed_at_once_and_the_number_of_postgresql_is_anothers_now(data):
    with up(data) as service:
        for one in (psutil.Process(service.pid), *family(service.pid)):
            with suppress(psutil.NoSuchProcess):  # some end with their parent
                one.kill()
    pid_file = data / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    with up(data) as second:
        assert names(family(second.pid)) == EVERYTHING


def test_make_that_is_killed_leaves_nothing(data):
    bound = [sys.executable, str(ROOT / "server/processes/bound.py")]
    # What make does: a process that waits for its child.
    script = "import subprocess, sys; subprocess.run(sys.argv[1:])"

    with up(data, sys.executable, "-c", script, *bound) as make:
        started = family(make.pid)
        assert names(started) == EVERYTHING
        make.kill()
        make.wait()
        _, alive = psutil.wait_procs(started, GONE_SECONDS)
        assert alive == []


def test_children_end_with_the_master_of_the_workers(service: Service):
    children = service.workers()
    masters = [one for one in service.processes(WORKER) if one not in children]

    for master in masters:
        master.kill()

    _, alive = psutil.wait_procs(children, 5)
    assert alive == []
    wait_for(lambda: len(service.workers()) == 2, 30, "the workers to be back")


def test_postgresql_that_is_killed_is_started_again(service: Service):
    (postmaster,) = [one for one in service.processes("bin/postgres -D") if one.parent().name() != "postgres"]

    postmaster.kill()

    wait_for(lambda: is_ready(service), 30, "the service to be ready")
    assert service.create({"mode": "SYNC"}, financialAccounts={"rows": [{"name": "After the fall"}]})["created"] == 1
    service.sql("DELETE FROM ledger_financialaccount WHERE name = 'After the fall'")


def is_ready(service: Service) -> bool:
    try:
        return httpx.get(f"{service.url}/readyz", timeout=10, verify=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def called(processes: list[psutil.Process], name: str) -> Iterator[psutil.Process]:
    """Those of a name; a database's backend may be gone before it is asked."""
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            if one.name() == name:
                yield one


@pytest.mark.parametrize("server", ["postgres", "redis-server"])
def test_readiness_is_answered_within_two_seconds_whatever_hangs(service: Service, server):
    """Stopped servers take connections, and say nothing: the worst of what can be down."""
    stopped = list(called(service.processes(""), server))
    assert is_ready(service)
    for one in stopped:
        with suppress(psutil.NoSuchProcess):
            one.suspend()
    try:
        took = []
        for _ in range(3):
            began = time.monotonic()
            answer = httpx.get(f"{service.url}/readyz", timeout=40)
            took.append(time.monotonic() - began)
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    finally:
        for one in stopped:
            with suppress(psutil.NoSuchProcess):
                one.resume()
    assert max(took) < 2
    wait_for(lambda: is_ready(service), 30, "the service to be ready")
