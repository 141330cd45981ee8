"""The whole service on this machine: embedded servers, migrations, web and workers, until it is stopped."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from bulkql.server import embedded
from bulkql.server.processes import bound
from bulkql.workers.conf import Limits

#: What a data directory remembers, so that `bulkql token --data` finds the service.
STATE = "service.json"
#: The names of what is supervised: PostgreSQL and Redis are there before, and until after, what needs them.
SERVERS, SERVICE = "servers", "service"
#: Seconds to wait for the service to answer.
START_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A running service."""

    url: str
    #: The environment of its processes.
    environment: dict[str, str]
    #: supervisord, which runs the web process and the workers; another one runs PostgreSQL and Redis.
    supervisor: subprocess.Popen[bytes]
    data: Path


@contextmanager
def running(data: Path, *, port: int, workers: int, apps: list[str]) -> Iterator[Stack]:
    """Everything started and answering; everything stopped at the end."""
    data = data.resolve()
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"{data} cannot be made: {error.strerror}. Give another --data.") from None
    with ExitStack() as stack:
        stack.enter_context(only_one(data))
        environment = {"SECRET_KEY": secret(data), "DJANGO_SETTINGS_MODULE": settings_module()}
        if served := ",".join(apps) or os.environ.get("BULKQL_APPS"):
            environment["BULKQL_APPS"] = served
        for name in (SERVERS, SERVICE):
            clear_away(data, name)
        # Not before: what a killed one left may have had the port.
        check_port(port)
        servers: dict[str, list[str]] = {}
        for name, command in (("DATABASE_URL", embedded.postgres_command), ("REDIS_URL", embedded.redis_command)):
            if given := os.environ.get(name):
                environment[name] = given
            else:
                servers[name.removesuffix("_URL").lower()], environment[name] = command(data)
        whole = {**os.environ, **environment}
        if servers:
            supervisor = stack.enter_context(supervised(data, SERVERS, servers, whole))
            if "database" in servers:
                log = data / "log" / "database.log"
                embedded.wait_for_postgres(environment["DATABASE_URL"], lambda: supervisor.poll() is None, log)
        # It checks settings and registrations first: a process of its own would import all that once more.
        # The superuser is there before anybody can ask for its token.
        run_module(whole, "bulkql.server.preparation")
        drain = drain_seconds()
        programs = {
            "web": embedded.bound_command(web_command("127.0.0.1", port, drain)),
        }
        for number in range(1, workers + 1):
            # dramatiq's master stops all of its children where one of them dies: each has a master of its own.
            programs[f"worker-{number}"] = embedded.bound_command(worker_command(1, drain))
        supervisor = stack.enter_context(supervised(data, SERVICE, programs, {**SURROUNDINGS, **whole}, drain))
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, supervisor, data)
        remember(data, {"url": url, **environment})
        yield Stack(url=url, environment=whole, supervisor=supervisor, data=data)


def check_port(port: int) -> None:
    """Whether nobody listens there: another service's answer would be taken for that of this one."""
    try:
        # As uvicorn does it, which takes a port at once that a service before has left.
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise SystemExit(f"Port {port} is not free: {reason}. Give another --port; 0 takes one that is free.") from None


def drain_seconds() -> int:
    """Seconds that a process which is stopped has to finish what it has begun; BULKQL_DRAIN_SECONDS."""
    # The settings are not read here: this process gives its children their environment, and has not got it yet.
    return int(os.environ.get("BULKQL_DRAIN_SECONDS") or Limits().drain_seconds)


def web_command(host: str, port: int, drain: int) -> list[str]:
    """uvicorn, one process."""
    return [
        *(sys.executable, "-m", "uvicorn", "bulkql.server.processes.web:application"),
        *("--host", host, "--port", str(port), "--http", "bulkql.server.traffic.protocol:PatientProtocol"),
        *("--ws", "bulkql.server.traffic.protocol:LimitedSocket"),
        *("--lifespan", "off", "--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", str(drain)),
        # Events are a few hundred bytes: packing them takes longer than sending them, and memory for each subscriber.
        *("--ws-per-message-deflate", "false"),
        # A frame may have 16 MB. Versions of uvicorn that do not stop reading after one would keep 32 of a socket.
        *("--ws-max-queue", "1"),
    ]


#: What can be said in the environment of a process only.
SURROUNDINGS = {
    # dramatiq's workers look for messages four times a second where they hear of none, and take no more of them than
    # they have threads, so that none waits in one process while another is idle.
    "dramatiq_worker_timeout": "250",
    "dramatiq_queue_prefetch": "2",
    # glibc's own limit grows with what is freed, up to 32 MB: bodies and chunks would lie among small things, which
    # keep their place from being given back.
    "MALLOC_MMAP_THRESHOLD_": str(1024 * 1024),
}


def worker_command(processes: int, drain: int) -> list[str]:
    """dramatiq: two threads a process, so that one reads or waits for the database while the other computes."""
    return [
        # Those who wait for an answer or an event come before those who wait for their rows.
        *("nice", "-n", "10"),
        *(sys.executable, "-m", "dramatiq", "bulkql.server.processes.worker:broker"),
        *("--processes", str(processes), "--threads", "2"),
        *("--worker-shutdown-timeout", str(drain * 1_000)),
    ]


def settings_module() -> str:
    """The project's own settings where the environment names them, or else ours."""
    return os.environ.get("DJANGO_SETTINGS_MODULE") or "bulkql.server.settings"


def run_module(environment: dict[str, str], *arguments: str) -> None:
    """A module as a program, to its end; exits with its output where it fails."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.stderr or done.stdout)


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """One service a data directory."""
    try:
        opened = (data / "lock").open("w")
    except OSError as error:
        raise SystemExit(f"{data} cannot be written: {error.strerror}. Give another --data.") from None
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"A service runs in {data} already; stop it, or give another --data.") from None
        yield


def secret(data: Path) -> str:
    """The key of this data directory, made at first start; the environment's comes first."""
    if given := os.environ.get("SECRET_KEY"):
        return given
    path = data / "secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text()


@contextmanager
def supervised(
    data: Path, name: str, programs: dict[str, list[str]], environment: dict[str, str], drain: int = 0
) -> Iterator[subprocess.Popen[bytes]]:
    """supervisord with these programs: it starts them again when they die, and stops them when it is stopped."""
    logs = data / "log"
    logs.mkdir(exist_ok=True)
    configuration = configuration_file(data, name)
    configuration.write_text(configuration_of(data, name, programs, drain))
    with (logs / f"{name}.out").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(configuration)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for us; we tell it.
            start_new_session=True,
            preexec_fn=partial(bound.bind, signal.SIGTERM, os.getpid()),
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def configuration_file(data: Path, name: str) -> Path:
    """Where the configuration of a supervisord is."""
    return data / f"{name}.conf"


def clear_away(data: Path, name: str) -> None:
    """Wait for the end of a supervisord whose `bulkql up` was killed; it stops what it has started."""
    import psutil

    path = str(configuration_file(data, name))
    with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        left = psutil.Process(int((data / f"{name}.pid").read_text()))
        if path in left.cmdline():
            left.terminate()
            embedded.wait_for_end(left)


def configuration_of(data: Path, name: str, programs: dict[str, list[str]], drain: int) -> str:
    """supervisord's configuration."""
    sections = [
        "[supervisord]",
        f"logfile={data}/log/{name}.log",
        f"pidfile={data}/{name}.pid",
        f"childlogdir={data}/log",
        "silent=true",
    ]
    for priority, (program, command) in enumerate(programs.items()):
        sections += [
            f"[program:{program}]",
            "command=" + " ".join(quoted(part) for part in command),
            f"priority={priority}",
            "autorestart=true",
            # A worker that is killed is back at once, however often.
            "startsecs=0",
            "startretries=1000",
            # What is stopped finishes what it has begun, and then has to say goodbye.
            f"stopwaitsecs={drain + 10}",
            # PostgreSQL's way to stop without waiting for its clients; its own children it stops itself.
            *(["stopsignal=INT"] if program == "database" else ["stopasgroup=true"]),
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={data}/log/{program}.log",
            "stdout_logfile_maxbytes=10MB",
        ]
    return "\n".join(sections) + "\n"


def quoted(part: str) -> str:
    """A word of a command as supervisord reads it."""
    return '"' + part.replace("%", "%%").replace('"', '\\"') + '"'


def remember(data: Path, state: dict[str, str]) -> None:
    """Keep what state_of tells, for its user alone."""
    written = data / f"{STATE}.new"
    written.touch(mode=0o600)
    written.write_text(json.dumps(state))
    # Whoever waits for the file never reads half of it.
    written.replace(data / STATE)


def wait_until_ready(url: str, supervisor: subprocess.Popen[bytes], data: Path) -> None:
    """Until /readyz says that it is; raises SystemExit with the log's end."""
    deadline = time.monotonic() + START_SECONDS
    # One client for all questions: each new one reads the system's certificates first.
    with httpx.Client(timeout=5) as client:
        while time.monotonic() < deadline and supervisor.poll() is None:
            # A project of its own may have no /readyz: then it is enough that it answers.
            with suppress(httpx.HTTPError):
                if client.get(f"{url}/readyz").status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    return
            time.sleep(0.1)  # the service has no way to call back
    log = data / "log" / "web.log"
    end = log.read_text()[-2000:] if log.exists() else "(no log)"
    raise SystemExit(f"The service did not start; {log} ends with:\n{end}")


def state_of(data: Path) -> dict[str, str]:
    """What the service in a data directory told of itself."""
    path = data / STATE
    try:
        state = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise SystemExit(f"No service has run in {data}; start one with `bulkql up --data {data}`.") from None
    except OSError as error:
        ways = "run the command as the user of that service, or set BULKQL_URL and BULKQL_TOKEN"
        raise SystemExit(f"{path}: {error.strerror}. It says where the service is; {ways}.") from None
    except ValueError:
        state = None
    if not isinstance(state, dict) or not {"url", "SECRET_KEY"} <= state.keys():
        raise SystemExit(f"{path} is damaged; start the service again with `bulkql up --data {data}`, which mends it.")
    return {str(name): str(value) for name, value in state.items()}
