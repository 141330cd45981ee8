"""A small disk of its own for the database, which can be filled; where this machine lets us mount one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

#: Bytes of the disk: room for a run's tables and PostgreSQL's log. The image takes what is used of them.
DISK_BYTES = 6 * 1024**3
BLOCK = bytes(1024 * 1024)


class NoDisk(Exception):
    """Nothing can be mounted here: (why)."""


@dataclass(frozen=True)
class Disk:
    """A mounted file system."""

    path: Path

    def fill(self) -> int:
        """Leave not a byte of it; gives how many there were."""
        filler = self.path / "filler"
        with filler.open("wb", buffering=0) as file:
            left = os.statvfs(self.path)
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize * 99 // 100)
            file.seek(0, os.SEEK_END)
            with suppress(OSError):
                while True:
                    file.write(BLOCK)
            with suppress(OSError):
                while True:
                    file.write(BLOCK[:512])
        return filler.stat().st_size

    def free(self) -> None:
        (self.path / "filler").unlink(missing_ok=True)


@contextmanager
def mounted(directory: Path) -> Iterator[Disk]:
    """An ext4 file system of an image beside it; raises NoDisk."""
    image, path = directory / "disk.img", directory / "disk"
    path.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    run("mkfs.ext4", "-q", "-m", "0", str(image))
    run("mount", "-o", "loop", str(image), str(path))
    try:
        yield Disk(path)
    finally:
        # Whoever had files open there has been stopped, and may take a moment to be gone.
        for _ in range(50):
            if subprocess.run(["umount", str(path)], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.2)
        image.unlink()


def run(*command: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoDisk(str(error)) from None
    if done.returncode:
        raise NoDisk(f"{command[0]}: {done.stderr.strip()}")
