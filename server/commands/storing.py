"""The service's bytes -> a file here: whole, or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.markup import escape

from bulkql.server.client import BulkClient
from bulkql.server.commands.connection import fault, screen


def check_place(path: Path, option: str) -> None:
    """Whether a file can be written there, asked before anything happens; exits with 2."""
    try:
        if path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not is_device(path):
            part = part_of(path)
            part.open("xb").close()
            part.unlink()
    except OSError as error:
        raise fault(f"{path}: {error.strerror}. Give {option} a file that can be written.") from None


def fetch(client: BulkClient, url: str, path: Path, *, replaces: bool = True) -> Path:
    """Download a file; where it does not replace one that is there, its name gets a number. Gives its place."""
    with screen.status(f"Fetching {escape(path.name)} ..."), client.download(url) as pieces:
        if is_device(path):
            with path.open("wb") as device:
                device.writelines(pieces)
            return path
        with partly(path) as part:
            with part.open("xb") as file:
                file.writelines(pieces)
            # What a link leads to is replaced, and not the link.
            place = path.resolve() if replaces else reserved(path)
            part.replace(place)
        return path if replaces else place


@contextmanager
def partly(path: Path) -> Iterator[Path]:
    """A place for what is not whole yet, which nobody finds afterwards."""
    part = part_of(path)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Beside what it becomes, on the same disk; two commands at once have one each."""
    place = path.resolve()
    return place.with_name(f"{place.name}.{os.getpid()}.part")


def is_device(path: Path) -> bool:
    """Whether it is written as it is: /dev/stdout, or what a shell makes of >(gzip)."""
    return path.exists() and not path.is_file() and not path.is_dir()


def reserved(path: Path) -> Path:
    """The same name, with a number where there is such a file: somebody may be mending it. It is made, and empty."""
    number, free = 2, path
    while True:
        with suppress(FileExistsError):
            free.touch(exist_ok=False)
            return free
        number, free = number + 1, path.with_name(f"{path.stem}-{number}{path.suffix}")
