"""Packages -> a Python environment of their own, made once under .bench/, apart from the product's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".bench"


class NotInstalled(Exception):
    """The packages do not install here; the message is a line of what pip or npm said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment with its packages in it."""

    path: Path

    def command(self, name: str) -> str:
        """The path of one of its programs."""
        return str(self.path / "bin" / name)

    def versions(self) -> dict[str, str]:
        """What is installed in it."""
        found = subprocess.run(
            [self.command("python"), "-m", "pip", "list", "--format", "json"],
            check=True,
            capture_output=True,
            text=True,
        )
        return {one["name"].lower(): one["version"] for one in json.loads(found.stdout)}


def environment(name: str, *packages: str) -> Environment:
    """The environment of that name with these packages; made anew where they are others. Raises NotInstalled."""
    return Environment(path=made(name, packages, install))


def made(name: str, packages: tuple[str, ...], install: Callable[[Path, tuple[str, ...]], None]) -> Path:
    """The directory of that name with these packages in it; made anew where they are others."""
    path = PLACE / name
    stamp = path / "installed"
    wanted = "\n".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(path, ignore_errors=True)
        install(path, packages)
        stamp.write_text(wanted)
    return path


def install(path: Path, packages: tuple[str, ...]) -> None:
    """A Python of its own, and pip install; raises NotInstalled."""
    subprocess.run([sys.executable, "-m", "venv", str(path)], check=True)
    command = [str(path / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, *packages], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalled(done.stderr.strip().rpartition("\n")[2])
