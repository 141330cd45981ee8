"""The database that the tests run on: the wheels' PostgreSQL, an installed one of another version, or SQLite."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkql.server import embedded

#: TEST_DATABASE: empty for the wheels' PostgreSQL, sqlite, or the bin directory of an installed PostgreSQL.
WANTED = os.environ.get("TEST_DATABASE", "")


@contextmanager
def database(directory: Path) -> Iterator[str]:
    """A database for the tests; gives its DATABASE_URL."""
    if WANTED == "sqlite":
        yield f"sqlite:///{directory / 'tests.sqlite3'}"
    elif WANTED:
        with installed_postgres(Path(WANTED), directory) as url:
            yield url
    else:
        with embedded.postgres(directory) as url:
            yield url


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
    listening = f"-c listen_addresses='' -c unix_socket_directories={directory}"
    run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-o", listening, "-l", str(directory / "log"), "start")
    try:
        yield f"postgresql://postgres@/postgres?host={directory}"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
