"""PgBouncer before a PostgreSQL server, as Debian has it: each transaction gets one of two connections."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bulkql.server.embedded import bound_command, free_port

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
#: Why what needs it is left out.
MISSING = "PgBouncer is not installed (apt-get install pgbouncer)"


@contextmanager
def pooled(url: str, directory: Path, size: int = 2) -> Iterator[str]:
    """The URL of the same database through PgBouncer in transaction mode, with a pool of so many connections."""
    assert PGBOUNCER is not None, MISSING
    parts = urlsplit(url)
    sockets, port = parse_qs(parts.query)["host"][0], free_port()
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host={sockets}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = transaction\ndefault_pool_size = {size}\nmax_client_conn = 500\n"
    )
    # auth_type any needs a user for all; PgBouncer refuses to run as root.
    text = configuration.read_text().replace(f"host={sockets}", f"host={sockets} user=postgres")
    configuration.write_text(text)
    configuration.chmod(0o644)
    user = "pgserver" if os.geteuid() == 0 else None
    with (directory / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(
            bound_command([PGBOUNCER, str(configuration)], user=user), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_for_port(port, process)
        yield f"postgresql://postgres@127.0.0.1:{port}{parts.path}"
    finally:
        process.terminate()
        process.wait()


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)  # it cannot call back
    raise AssertionError("PgBouncer did not start")
