"""Packages of npm -> an environment of their own, beside the Python ones under .bench/."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.environment import Environment, NotInstalled, made


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmEnvironment(Environment):
    """A directory with its packages in node_modules."""

    def command(self, name: str) -> str:
        """The path of one of its programs."""
        return str(self.path / "node_modules" / ".bin" / name)

    def versions(self) -> dict[str, str]:
        """Node.js, and the packages that were asked for: what they need in turn would fill a page."""
        found = json.loads(said(["npm", "ls", "--prefix", str(self.path), "--depth", "0", "--json"]))
        packages = {name: one["version"] for name, one in found["dependencies"].items()}
        return {"node": said(["node", "--version"]).strip().removeprefix("v"), **packages}


def said(command: list[str]) -> str:
    """What a command writes."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def npm_environment(name: str, *packages: str) -> Environment:
    """The environment of that name with these packages; made anew where they are others. Raises NotInstalled."""
    return NpmEnvironment(path=made(name, packages, install))


def install(path: Path, packages: tuple[str, ...]) -> None:
    """npm install; raises NotInstalled."""
    if shutil.which("npm") is None:
        raise NotInstalled("There is no npm on the PATH.")
    path.mkdir(parents=True)
    command = ["npm", "install", "--prefix", str(path), "--no-audit", "--no-fund", "--loglevel", "error"]
    done = subprocess.run([*command, *packages], capture_output=True, text=True, check=False)
    if done.returncode:
        # The first line has the code; those after it name the registry, and places of this machine.
        raise NotInstalled(done.stderr.strip().partition("\n")[0])
