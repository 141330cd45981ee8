"""The database that the tests run on: PostgreSQL from wheels or installed in another version, SQLite, or MariaDB."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bulkql.server import embedded

#: TEST_DATABASE: empty for the wheels' PostgreSQL, sqlite, mariadb, or the bin directory of an installed PostgreSQL.
WANTED = os.environ.get("TEST_DATABASE", "")


@contextmanager
def database(directory: Path) -> Iterator[str]:
    """A database for the tests; gives its DATABASE_URL."""
    if WANTED == "sqlite":
        yield f"sqlite:///{directory / 'tests.sqlite3'}"
    elif WANTED == "mariadb":
        with installed_mariadb(directory) as url:
            yield url
    elif WANTED:
        with installed_postgres(Path(WANTED), directory) as url:
            yield url
    else:
        with embedded.postgres(directory) as url:
            do_not_sync(url)
            yield url


def do_not_sync(url: str) -> None:
    """No test takes this machine's power away: what is committed need not wait for the disk."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def installed_postgres(programs: Path, directory: Path) -> Iterator[str]:
    """A new server on a unix socket from an installed PostgreSQL's programs, stopped at the end."""
    # PostgreSQL does not run as root; Debian's packages make a user for it.
    as_its_user = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    data = directory / "data"
    directory.chmod(0o777)

    def run(*command: str) -> None:
        # A server that inherited a pipe would keep it open.
        subprocess.run([*as_its_user, *command], check=True, stdout=subprocess.DEVNULL, cwd=directory)

    run(str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
    listening = f"-c fsync=off -c listen_addresses='' -c unix_socket_directories={directory}"
    run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-o", listening, "-l", str(directory / "log"), "start")
    try:
        yield f"postgresql://postgres@/postgres?host={directory}"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")


@contextmanager
def installed_mariadb(directory: Path) -> Iterator[str]:
    """A new server on a unix socket from an installed MariaDB's programs, ended at the end."""
    data, sockets = directory / "data", directory / "mariadb.sock"
    # No file of this machine's configuration; and the user who runs the tests, who may be root.
    own = ["--no-defaults", f"--datadir={data}", f"--user={getpass.getuser()}"]
    install = ["mariadb-install-db", *own, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(install, check=True, capture_output=True)
    program = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None
    with (directory / "mariadb.log").open("wb") as log:
        command = [program, *own, f"--socket={sockets}", "--skip-networking", "--innodb-flush-log-at-trx-commit=0"]
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        ask = ["mariadb", "--no-defaults", f"--socket={sockets}", "--user=root", "--execute=SELECT 1"]
        while subprocess.run(ask, capture_output=True).returncode:
            assert server.poll() is None, (directory / "mariadb.log").read_text()[-2000:]
            time.sleep(0.1)  # it cannot call back
        yield f"mysql://root@localhost/bulkql?unix_socket={sockets}"
    finally:
        server.terminate()
        server.wait()
